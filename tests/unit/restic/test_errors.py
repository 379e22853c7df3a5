"""Exit codes and sentences of restic, and what they mean for us."""

from __future__ import annotations

import pytest

from reconciler.adapters import resticerrors
from reconciler.adapters.resticerrors import Cause
from reconciler.model import errors

WHERE = "'main' (s3:https://s3.example.org/backups)"
SENTENCES = [
    ("Stat: The specified bucket does not exist", Cause.NO_BUCKET),
    ("client.PutObject: Access Denied.", Cause.DENIED),
    ("Stat: The access key ID you provided does not exist in our records.", Cause.DENIED),
    ("Stat: The request signature we calculated does not match the signature", Cause.DENIED),
    ("s3.getCredentials: no credentials found. Use `-o s3.unsafe-anon`", Cause.DENIED),
    ("unexpected HTTP response (403): 403 Forbidden", Cause.DENIED),
    ("client.GetObject: Bucket name cannot be shorter than 3 characters", Cause.BAD_URL),
    ("Fatal: parsing repository location failed: invalid backend", Cause.BAD_URL),
    ("unable to open repository at /r: config file already exists", Cause.TAKEN),
    ("repository master key and config already initialized", Cause.TAKEN),
    ("create key in repository failed: repository already contains keys", Cause.HALF_MADE),
    ('failed to find snapshot: no matching ID found for prefix "zz"', Cause.NO_SNAPSHOT),
    ("path tmp: not found", Cause.NO_SNAPSHOT),
    ("write /cache/pack: no space left on device", Cause.DISK_FULL),
    ("unexpected HTTP response (507): 507 Insufficient Storage", Cause.DISK_FULL),
    ("client.PutObject: QuotaExceeded: the bucket is full", Cause.DISK_FULL),
    ("client.PutObject: Storage backend has reached its minimum free drive", Cause.DISK_FULL),
    ("client.PutObject: Bucket quota exceeded", Cause.DISK_FULL),
    ("dial tcp 127.0.0.1:1: connect: connection refused", Cause.AWAY),
    ("dial tcp: lookup nohost.invalid on 10.0.0.2:53: no such host", Cause.AWAY),
    ("read tcp 1.2.3.4:5: i/o timeout", Cause.AWAY),
    ("unexpected HTTP response (502): 502 Bad Gateway", Cause.AWAY),
    ("client.PutObject: Please reduce your request rate. SlowDown", Cause.AWAY),
    ("something that nobody ever saw", Cause.UNKNOWN),
]


@pytest.mark.parametrize(("text", "cause"), SENTENCES)
def test_sentences_have_a_cause(text: str, cause: Cause) -> None:
    assert resticerrors.find_cause(text) is cause


@pytest.mark.parametrize(
    ("code", "text", "kind", "exit_code"),
    [
        (10, "Fatal: repository does not exist", errors.RepositoryMissing, 10),
        (11, "unable to create lock in backend: repository is locked", errors.RepositoryLocked, 11),
        (12, "Fatal: wrong password or no key found", errors.WrongPassword, 12),
        (130, "", errors.Interrupted, 130),
        (-9, "", errors.Transient, 1),
        (1, "Stat: The specified bucket does not exist", errors.RepositoryMissing, 10),
        (1, "Access Denied.", errors.Refused, 1),
        (1, "connection refused", errors.Transient, 1),
        (1, "no space left on device", errors.Refused, 1),
        (1, "config file already exists", errors.Refused, 1),
        (1, "repository already contains keys", errors.Refused, 1),
        (1, "path x: not found", errors.Refused, 1),
        (1, "invalid backend", errors.Refused, 1),
        (77, "anything", errors.BackstayError, 1),
        (3, "", errors.BackstayError, 1),
    ],
)
def test_every_error_has_its_class_its_place_and_a_hint(
    code: int, text: str, kind: type[errors.BackstayError], exit_code: int
) -> None:
    found = resticerrors.make_error(code, text, where=WHERE)
    assert type(found) is kind
    assert found.exit_code == exit_code
    assert WHERE in found.message
    assert found.hint or isinstance(found, errors.Interrupted)


def test_long_texts_keep_their_beginning_and_their_end() -> None:
    cut = resticerrors.shorten("Fatal: begin " + "x" * 5000 + " end\nof it")
    assert len(cut) < 520
    assert cut.startswith("begin ")
    assert cut.endswith("end of it")
    assert resticerrors.shorten("") == "no message"
