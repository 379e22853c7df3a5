"""Any bytes give problems, in bounded time and text, and never an exception (I9)."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.errors import Problem
from reconciler.policy import parse_files, render_problems
from reconciler.policy.nodes import MAX_BYTES
from tests.unit.policy.yamltexts import HEAD, MAIN, SHOP

SIZE = 32 * 1024
POLICY = f"{HEAD}kind: BackupPolicy\nmetadata: {{name: x}}\nspec:\n"

HOSTILE = {
    "brackets": "[" * SIZE,
    "braces": "{" * SIZE,
    "dashes": "- " * (SIZE // 2),
    "questions": "? " * (SIZE // 2),
    "indents": "".join(f"{' ' * depth}a:\n" for depth in range(300)),
    "tags": "!" * SIZE,
    "anchors": "&a " * (SIZE // 3),
    "aliases": "a: &a [x]\nb: [" + "*a," * (SIZE // 3) + "]",
    "laughs": "a: &a [x]\n" + "".join(f"a{n}: &a{n} [*a,*a,*a,*a]\n" for n in range(1000)),
    "quotes": "'" * SIZE,
    "open quote": '"' + "\n" * SIZE,
    "escapes": '"' + "\\n" * (SIZE // 2) + '"',
    "colons": ":" * SIZE,
    "stars": "*" * SIZE,
    "user infos": "url: " + "a:" * (SIZE // 2),
    "keys": "a:\n" * (SIZE // 3),
    "markers": "---\na\n" * (SIZE // 6),
    "scalar": "a" * SIZE,
    "nos": "[" + "no," * (SIZE // 3) + "]",
    "bidi": "\u202e" * (SIZE // 3),
    "rules": f"{POLICY}  volumes: {{rules: [" + "{copyMethod: Auto}," * 1500 + "]}",
    "unknown": POLICY + "".join(f"  a{n}: 1\n" for n in range(2000)),
    "globs": f'{POLICY}  selector: {{namespaces: ["' + "*a" * (SIZE // 2) + '"]}',
    "names": f"{POLICY}  profile: {'a-' * (SIZE // 2)}",
    "crons": f"{POLICY}  schedule: '{'1,' * (SIZE // 2)} * * * *'",
    "numbers": f"a: {'9' * SIZE}",
    "ten megabytes": "a" * 10_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little_and_stop_nothing_else(name: str) -> None:
    data = HOSTILE[name].encode()
    files = {"evil.yaml": data, "good.yaml": f"{MAIN}---\n{SHOP}".encode()}
    began = time.process_time()
    parsed = parse_files(files)
    text = render_problems(parsed.problems, files)
    assert time.process_time() - began < 1.5
    assert parsed.problems
    assert {problem.file for problem in parsed.problems} == {"evil.yaml"}
    assert len(text) < 150_000
    good = parsed.document("BackupPolicy", "shop")
    assert good is not None
    assert good.value is not None


def test_a_file_at_its_limit_is_read() -> None:
    data = f"{MAIN}---\n{SHOP}# ".encode()
    assert parse_files({"a.yaml": data + b"x" * (MAX_BYTES - len(data))}).policies


PIECES = [
    *("apiVersion: backstay.dev/v1alpha1\n", "kind: BackupPolicy\n", "metadata: {name: shop}\n"),
    *("spec:\n", "  schedule: ", "'17 4 * * *'\n", "  selector: {namespaces: [shop]}\n"),
    *("  volumes: {copyMethod: Direct}\n", "  retention: {keepDaily: 7}\n", "kind: Repository\n"),
    *(
        "---\n",
        "...\n",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!x ",
        "no",
        "010",
        ": ",
        "- ",
        "? ",
        "|\n",
    ),
    *(
        "\n",
        "  ",
        "\t",
        '"',
        "'",
        "#",
        "%YAML 1.2\n",
        "\0",
        "\ufeff",
        "\u202e",
        "\r",
        "é",
        "\\",
        "@",
    ),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


def check(data: bytes) -> None:
    parsed = parse_files({"a.yaml": data})
    render_problems(parsed.problems, {"a.yaml": data})
    for problem in parsed.problems:
        check_place(problem, data)
    broken = {document.index for document in parsed.broken if not document.held}
    assert broken == {problem.document for problem in parsed.problems}


def check_place(problem: Problem, data: bytes) -> None:
    assert problem.message
    assert 1 <= problem.line <= data.count(b"\n") + 1
    assert 1 <= problem.column <= len(data) + 1


@settings(max_examples=250, derandomize=True)
@given(TEXTS)
def test_pieces_of_policies_in_any_order_give_values_or_problems(text: str) -> None:
    check(text.encode())


@settings(max_examples=100, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_give_problems(data: bytes) -> None:
    check(data)


def test_a_valid_file_with_bytes_changed_gives_values_or_problems() -> None:
    chance = random.Random(3)  # noqa: S311 - the same examples every time
    original = f"{MAIN}---\n{SHOP}".encode()
    for _ in range(150):
        data = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice(
                b" \n\t:-[]{}'\"#&*!|>%@`0Aa\0\xff\xc3"
            )
        check(bytes(data))
