"""A command's output in the run's log: bounded, and without what looks secret."""

from __future__ import annotations

import pytest

from reconciler.engine.hookoutput import LONGEST, Output, redact
from tests.fakes.reporter import FakeReporter

SECRET = "S3cret-Marker-4711"


@pytest.mark.parametrize(
    "line",
    [
        f"password={SECRET}",
        f"PGPASSWORD: '{SECRET}'",
        f'{{"api_key": "{SECRET}", "user": "me"}}',
        f"Authorization: Bearer {SECRET}",
        f"curl -H 'bearer {SECRET}'",
        f"postgres://app:{SECRET}@db:5432/shop",
        f"the token is {SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"PASS={SECRET}",
        f"DB_PASS: {SECRET}",
        f"pwd: {SECRET}",
        f"MYSQL_PWD={SECRET}",
        f"+ tool --password {SECRET} --all",
        f"tool --admin-token '{SECRET}'",
        f"+ mysqldump -uroot -p{SECRET} shop",
        f"password:\n  {SECRET}",
        f"password: 'my {SECRET}",
        f"client_key: {SECRET}",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{SECRET}\n-----END PGP PRIVATE KEY BLOCK-----",
        f"PuTTY-User-Key-File-3: ssh-rsa\n{SECRET}",
        f"requirepass {SECRET}",
        f"ALTER USER app IDENTIFIED BY '{SECRET}'",
        f"CREATE ROLE app LOGIN PASSWORD '{SECRET}'",
        f"<password>{SECRET}</password>",
        f"machine example.org login me password {SECRET}",
        f"machine example.org\n  login me\n  password {SECRET}",
        f'{{"name":"DB_PASSWORD","value":"{SECRET}"}}',
        f"- name: DB_PASSWORD\n  value: {SECRET}",
        f"me:$2y$05${SECRET}",
        f"+ redis-cli -h cache -a {SECRET} SAVE",
        f"+ mysqldump -u root -p {SECRET}",
    ],
)
def test_what_looks_secret_is_blotted_out(line: str) -> None:
    assert SECRET not in redact(line)
    assert "*" in redact(line)


TAIL = "Zz9" * 20
TOKENS = [
    "AKIAIOSFODNN7EXAMPLE", f"ghp_{TAIL[:36]}", f"gho_{TAIL[:36]}", f"github_pat_{TAIL}",
    f"glpat-{TAIL[:20]}", f"xoxb-{TAIL}", f"sk_live_{TAIL[:24]}", f"AIza{TAIL[:35]}",
    f"npm_{TAIL[:36]}", f"pypi-AgEIcHlwaS5vcmc{TAIL}", f"SG.{TAIL[:22]}.{TAIL[:43]}",
    f"hvs.{TAIL}", f"dop_v1_{'0f' * 32}", f"eyJ{TAIL}.eyJ{TAIL}.{TAIL}",
    f"AGE-SECRET-KEY-1{TAIL.upper()}",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("line", ["{}", "using {} now", "https://example.org/?a={}", "'{}',"])
def test_a_known_token_is_blotted_out_to_its_end(token: str, line: str) -> None:
    shown = redact(line.format(token))
    assert token[-8:] not in shown


def test_only_the_line_with_a_secret_is_dropped() -> None:
    shown = redact(f"locked\nrequirepass {SECRET}\nname: DB_PASSWORD\nvalue: {SECRET}\nsaved")
    assert shown == "locked\n***\n***\n***\nsaved"


@pytest.mark.parametrize("line", ["backup label: 17", "locked 3 tables in 0.2 s", "passed: 12"])
def test_what_does_not_is_shown(line: str) -> None:
    assert redact(line) == line


@pytest.mark.parametrize(
    "piece",
    [
        "password", "a", "a:", "password-", "-", "--", " --a", "eyJ-", "password=\"", "password  ",
        "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "bearer ", "is ", "//", "password='x\n", "\n",
        "password" * 60 + "\n", "a" * 480 + "\n", "a:" * 240 + "\n", "eyJ-" * 120 + "\n",
        "redis-cli ", "redis-cli -a", " -p ", "requirepass a\n", "password 'a'\n", "<password>a</",
        "machine a password b ", "name: password\n", "name: password value: ", "passwd:\n a\n",
        "AKIA", "ghp_", " eyJaaaaaaaaaa.", "AGE-SECRET-KEY-1", "?sig=", "PuTTY-User-Key-File-3",
    ],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    # A pattern that needs more than linear time ends at the limit of a unit test's CPU time.
    redact(piece * (LONGEST // len(piece)))


@pytest.mark.parametrize("front", [480, 490, 498])
def test_half_a_secret_at_the_end_of_a_long_line_is_not_shown(front: int) -> None:
    shown = redact(f"{'x ' * (front // 2)}postgres://app:{SECRET}@db/{'y' * 100}")
    assert SECRET[:3] not in shown
    assert shown.endswith("…")


def test_half_a_secret_at_the_end_of_what_is_kept_is_not_shown() -> None:
    output, log = Output(), FakeReporter()
    output.take(b"line\n" * 3275 + f"//me:{SECRET}@db/".encode())
    output.tell(log)
    assert SECRET[:3] not in redact(str(log.of("hook says")))


def test_it_is_bounded_and_counted() -> None:
    output, log = Output(), FakeReporter()
    for _ in range(300):
        output.take(b"x" * 999 + b"\n")
    output.tell(log, hook="q")
    assert output.count == 300_000
    assert len(log.of("hook says")) == LONGEST // 1000 + 1
    assert log.of("hook says more") == [{"hook": "q", "bytes": 300_000}]
    assert all(len(str(line["line"])) <= 500 for line in log.of("hook says"))


def test_control_characters_do_not_reach_a_terminal() -> None:
    output, log = Output(), FakeReporter()
    output.take(b"\x1b[31mred\x00\xff\n\n")
    output.tell(log)
    (line,) = log.of("hook says")
    assert str(line["line"]).isprintable()
