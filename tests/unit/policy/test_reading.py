"""The text of a file: what is refused before the language is looked at, and where."""

from __future__ import annotations

import pytest

from reconciler.model.errors import Problem
from reconciler.policy.nodes import (
    MAX_BYTES,
    MAX_DOCUMENTS,
    Mapping,
    find,
    place,
    plain_value,
    render_path,
    split_documents,
)
from reconciler.policy.reading import read_file


def problems(data: str | bytes) -> list[Problem]:
    raw = data.encode() if isinstance(data, str) else data
    return [problem for document in read_file("f.yaml", raw) for problem in document.problems]


def value(data: str) -> object:
    (document,) = read_file("f.yaml", data.encode())
    assert not document.problems
    assert document.root is not None
    return plain_value(document.root)


@pytest.mark.parametrize(
    ("data", "place_of", "message", "hint"),
    [
        ("a: no\n", (1, 4), "`no` is read as a string by YAML 1.2 and as false by YAML", '"no"'),
        ("a:\n  - 010\n", (2, 5), "`010` is read as different values", 'quote it: "010"'),
        (
            "a: 99999999999999999999\n",
            (1, 4),
            "a number with more than 18 digits",
            'write a smaller number; only what is no number: quote it: "9999',
        ),
        ("on: x\n", (1, 1), "`on` is read as a string by YAML 1.2 and as true", "quote it"),
        ("12: x\n", (1, 1), "a key must be a text", 'quote it: "12"'),
        ("{n}: x\n", (1, 1), "a key must be a text", "quote"),
        ("a: &x 1\n", (1, 4), "anchor `&x` is not allowed", "write the value out"),
        ("a: *x\n", (1, 4), "alias `*x` is not allowed", "write the value out"),
        ("a: [*-cache]\n", (1, 5), "alias `*-cache` is not allowed", "quote it"),
        ("a: */5 * * * *\n", (1, 4), "alias `*/5` is not allowed", "quote it"),
        ("a: !!str x\n", (1, 4), "YAML tags are not allowed", "remove it"),
        ("a: !x {}\n", (1, 4), "YAML tags are not allowed", "remove it"),
        ("a: !!python/object/apply:os.system [x]\n", (1, 4), "YAML tags are not allowed", ""),
        ("a: 1\nb: 2\na: 3\n", (3, 1), "duplicate key `a`", "line 1, column 1 already"),
        ("a: {b: 1, b: 2}\n", (1, 11), "duplicate key `b`", "line 1, column 5 already"),
        ("<<: {a: b}\n", (1, 1), "merge keys are not allowed", "write the values out"),
        ("a: <<\n", (1, 4), "`<<` is read", "quote it"),
        ("a: @daily\n", (1, 4), "not YAML: found character '@'", "quote it"),
        ("a: `x`\n", (1, 4), "not YAML: found character '`'", "quote it"),
        ("a:\n\tb: 1\n", (2, 1), "not YAML: found character '\\t'", "indent with spaces"),
        ("a: [1, 2\nb: 3\n", (2, 2), "not YAML", "that began in line 1"),
        ('a: "x\n', (2, 1), "not YAML: found unexpected end of stream", "began in line 1"),
        ("a: b: c\n", (1, 5), "not YAML: mapping values are not allowed here", ""),
        ("# x\n%YAML 1.1\n---\na: 1\n", (2, 1), "YAML directives are not allowed", "remove"),
        ("a: x\x00\n", (1, 5), "character U+0000 NUL is not allowed", "remove it"),
        ("\ufeffa: x\n", (1, 1), "character U+FEFF byte order mark is not allowed", "save"),
        ("a: x\n# \u202e\n", (2, 3), "character U+202E RIGHT-TO-LEFT OVERRIDE", "hides"),
        ("a: x\u2028\n", (1, 5), "character U+2028 LINE SEPARATOR", "remove"),
        ("a: x\rb: y\n", (1, 5), "character U+000D", "remove"),
        ('a: "\\u202e"\n', (1, 4), "character U+202E RIGHT-TO-LEFT OVERRIDE", "remove it"),
        ('a: "\\0"\n', (1, 4), "character U+0000 NUL is not allowed", "remove it"),
        (b"a: \xff\n", (1, 4), "not UTF-8 text", "UTF-8"),
        (b"a: 1\nb: \xed\xa0\x80\n", (2, 4), "not UTF-8 text", "UTF-8"),
        ("a: é".encode() + b"\xff\n", (1, 5), "not UTF-8 text", "UTF-8"),
        ("a: x\u200by\n", (1, 5), "character U+200B ZERO WIDTH SPACE", "hides"),
        ("a: \U000e0041\n", (1, 4), "character U+E0041 TAG LATIN CAPITAL LETTER A", "hides"),
        ("a: " + "1" * 5000 + "x\nb: " + "1" * 5000, (2, 4), "too long to be read as", "quote"),
        ("a: x\n".encode("utf-16"), (1, 1), "not UTF-8 text", "UTF-8"),
        ("a: " + "[" * 60, (1, 54), "nested more than 50 deep", ""),
        ("- " * 60 + "x", (1, 101), "nested more than 50 deep", ""),
        (b"a" * (MAX_BYTES + 1), (1, 1), "larger than 256 KiB and not read", "split the file"),
        ("[" + "a," * 10_001, (1, 20_000), "file has too many values", "split it"),
    ],
)
def test_refused_texts(
    data: str | bytes, place_of: tuple[int, int], message: str, hint: str
) -> None:
    first = problems(data)[0]
    assert message in first.message
    assert hint in first.hint
    assert (first.line, first.column) == place_of


def test_one_text_can_have_many_problems() -> None:
    found = problems("a: no\nb: [*x, 010, &y z]\na: on\n")
    assert [(problem.line, problem.column) for problem in found] == [
        (1, 4),
        (2, 5),
        (2, 9),
        (2, 14),
        (3, 1),
        (3, 4),
    ]


def test_problems_of_one_document_are_capped() -> None:
    found = problems("- no\n" * 1000)
    assert len(found) == 101
    assert found[-1].message == "too many problems; the rest was not read"


def test_values() -> None:
    text = 'a: 1\nb: [x, "no", \'010\', null]\nc: |\n  two\n  lines\nd: {e: true}\n"12": 1.5\n'
    assert value(text) == {
        "a": 1,
        "b": ["x", "no", "010", None],
        "c": "two\nlines\n",
        "d": {"e": True},
        "12": 1.5,
    }


def test_times_are_text_under_the_keys_that_take_them() -> None:
    assert value("at: 2026-11-21T02:00:00Z\n") == {"at": "2026-11-21T02:00:00Z"}


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("", []),
        ("# only a comment\n---\n\n---\n", []),
        ("a: 1\n", [("a: 1\n", 0)]),
        ("a: 1\n---\nb: 2\n", [("a: 1\n", 0), ("---\nb: 2\n", 1)]),
        ("---\na: 1\n...\n# x\nb: 2\n", [("---\na: 1\n", 0), ("# x\nb: 2\n", 3)]),
        ("--- # c\na: 1\n--- {b: 2}", [("--- # c\na: 1\n", 0), ("--- {b: 2}", 2)]),
        ("a: |\n  ---\n---x: 1\n", [("a: |\n  ---\n---x: 1\n", 0)]),
    ],
)
def test_documents_are_separated_by_markers(text: str, chunks: list[tuple[str, int]]) -> None:
    assert [(chunk.text, chunk.before) for chunk in split_documents(text)] == chunks


def test_a_broken_document_leaves_its_neighbours_alone() -> None:
    documents = read_file("f.yaml", b"a: 1\n---\nb: [\n---\nkind: x\nd: '\n---\nc: 3\n")
    assert [bool(document.problems) for document in documents] == [False, True, True, False]
    assert [document.index for document in documents] == [0, 1, 2, 3]
    assert [document.line for document in documents] == [1, 2, 4, 7]
    broken = documents[2].root
    assert isinstance(broken, Mapping)
    assert plain_value(broken) == {"kind": "x"}  # what was read before it broke


def test_lines_are_counted_over_documents_and_windows_line_ends() -> None:
    (found,) = problems("a: 1\r\n---\r\nb: 2\r\nc: no\r\n")
    assert (found.line, found.column, found.document) == (4, 4, 1)


def test_too_many_documents() -> None:
    documents = read_file("f.yaml", b"---\na\n" * (MAX_DOCUMENTS + 5))
    assert len(documents) == MAX_DOCUMENTS + 1
    assert documents[-1].problems[0].message == "file has too many documents"


def test_places_of_values_keys_and_what_is_missing() -> None:
    (document,) = read_file("f.yaml", b"spec:\n  rules:\n    - {a: 1}\n    - b: x\n")
    root = document.root
    assert root is not None
    assert place(root, ("spec", "rules", 1, "b")) == (4, 10)
    assert place(root, ("spec", "rules", 1, "b"), key=True) == (4, 7)
    assert place(root, ("spec", "rules", 0, "missing")) == (3, 7)
    assert place(root, ("spec", "missing", "below")) == (1, 1)
    assert place(root, ("missing",)) == (1, 1)
    assert find(root, ("spec", "rules", 5)) is None
    assert render_path(("spec", "rules", 1, "b")) == "spec.rules[1].b"
