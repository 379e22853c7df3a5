"""The parser and the formatter against made-up bytes: values or problems, and never an exception.

2,000 inputs each time, the same ones. A hundred thousand, each time the same as well::

    BACKSTAY_TEST_FUZZ=50 .venv/bin/pytest tests/unit/policy/test_fuzz.py

which is the number of seeds, with 2,000 inputs each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from reconciler.model.errors import LONGEST_TEXT
from reconciler.model.policy import ParsedFiles
from reconciler.policy import nodes, parse_files, render_problems
from reconciler.policy.formatting import format_file
from tests.unit.policy.yamltexts import MAIN, SHOP

SEEDS = int(os.environ.get("BACKSTAY_TEST_FUZZ", "1"))
INPUTS = 2_000
EACH = 500

FIELDS = [
    *("apiVersion: backstay.dev/v1alpha1\n", "kind: BackupPolicy\n", "metadata: {name: shop}\n"),
    *("kind: Repository\n", "kind: Config\n", "kind: Profile\n", "kind: Exemption\n"),
    *("spec:\n", "  schedule: ", "'17 4 * * *'\n", "  selector: {namespaces: [shop]}\n"),
    *("  volumes: {copyMethod: Direct}\n", "  retention: {keepDaily: 7}\n", "  hooks:\n"),
    *("  - name: a\n", "    pods: {}\n", "  objectives: {rpo: 26h}\n", "  suspend: false\n"),
]
MARKS = [
    *("---\n", "...\n", "{", "}", "[", "]", "&a ", "*a", "!x ", "!!str ", "<<: ", ": ", "- ", "? "),
    *("|\n", ">-\n", "|+\n", "\n", "  ", "\t", '"', "'", "#", " # c\n", ",", "\\", "@", "`", "%"),
    *("%YAML 1.2\n", "no", "010", "12:30", "1e3", "~", "99999999999999999999", "x", "é", "名"),
    *("\0", "\ufeff", "\u202e", "\u2028", "\r", "\r\n", "\x1b[", "\x85"),
]
TEXTS = st.lists(st.sampled_from(FIELDS + MARKS), max_size=14).map(lambda p: "".join(p).encode())
BYTES = st.binary(max_size=60)


@st.composite
def _changed(draw: st.DrawFn) -> bytes:
    """A valid file with some pieces of it replaced."""
    data = draw(st.sampled_from([MAIN, SHOP])).encode()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 12))
        piece = draw(st.sampled_from(MARKS)).encode() if draw(st.booleans()) else draw(BYTES)
        data = data[:start] + piece + data[end:]
    return data


KINDS = {"pieces": TEXTS, "policies": _changed(), "bytes": BYTES}
SHARES = {"pieces": 2 * EACH, "policies": EACH, "bytes": EACH}


def make_test(kind: str, number: int) -> Callable[[], None]:
    """A property of its own for each seed: a test's time is limited."""

    @seed(number)
    @settings(
        max_examples=SHARES[kind],
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[kind])
    def test_any_input(data: bytes) -> None:
        check(data)

    return test_any_input


globals().update(
    {f"test_{kind}_{number}": make_test(kind, number) for kind in KINDS for number in range(SEEDS)}
)


def test_the_shares_are_as_many_as_the_page_says() -> None:
    assert sum(SHARES.values()) == INPUTS


def check(data: bytes) -> None:
    """Every promise for one file."""
    parsed = parse_files({"a.yaml": data})
    shown = render_problems(parsed.problems, {"a.yaml": data})
    assert shown.replace("\n", "").isprintable()
    assert len(shown) < 5_000 * (len(parsed.problems) + 1)
    assert len(parsed.problems) <= nodes.MAX_DOCUMENTS + nodes.MAX_PROBLEMS + 1
    lines, longest = data.count(b"\n") + 1, len(data) + 1
    for problem in parsed.problems:
        assert problem.message
        assert len(problem.message) <= LONGEST_TEXT
        assert 1 <= problem.line <= lines
        assert 1 <= problem.column <= longest
    broken = {document.index for document in parsed.broken if not document.held}
    assert broken == {problem.document for problem in parsed.problems}
    check_formatted(data, parsed)


def check_formatted(data: bytes, parsed: ParsedFiles) -> None:
    """What it says is the same afterwards, and there is nothing more to do."""
    done = format_file("a.yaml", data)
    if done.problems or done.kept:
        assert done.data == data
    if done.data == data:
        return
    after = parse_files({"a.yaml": done.data})
    assert [found.digest for found in after.documents] == [d.digest for d in parsed.documents]
    assert sorted(map(without_places, after.problems), key=str) == sorted(
        map(without_places, parsed.problems), key=str
    )
    again = format_file("a.yaml", done.data)
    assert again.data == done.data


def without_places(problem: object) -> str:
    """A problem's words, without the lines that other problems are at."""
    message, hint = getattr(problem, "message", ""), getattr(problem, "hint", "")
    return re.sub(r"[0-9]+", "0", f"{message}|{hint}")
