"""A difference as text, Markdown and JSON: short where it can be, and harmless to a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.plan.diff import Kind, ObjectChange, compare_objects
from reconciler.report import diff as report

OLD = report.Side(name="shop-1", commit="a" * 40, time="2026-11-20T01:17:03Z", outcome="Completed")
NEW = report.Side(name="shop-2", gaps=("secrets: 403",), notes=("another cluster",))


def change(old: dict[str, Any], new: dict[str, Any]) -> ObjectChange:
    return ObjectChange(
        path="shop/configmap/x.yaml",
        namespace="shop",
        folder="configmap",
        name="x",
        kind=Kind.CHANGED,
        fields=compare_objects(old, new),
    )


def lines(old: Any, new: Any) -> list[str]:
    """What is told of a field."""
    found = "".join(report.text_lines(OLD, OLD, [change({"x": old}, {"x": new})]))
    told = found.split("~ shop/configmap/x\n")[1].rpartition("\n\n")[0]
    return [line.rstrip() for line in told.split("\n") if line.strip()]


def test_both_sides_are_named_with_what_they_do_not_know() -> None:
    text = "".join(report.text_lines(OLD, NEW, []))
    assert text == (
        "from shop-1 (2026-11-20T01:17:03Z, Completed, aaaaaaaaaa)\n"
        "to   shop-2\n"
        "note: shop-2 could not read secrets: 403: nothing is known\n"
        "note: another cluster\n"
        "\n"
        "no differences in what could be read\n"
    )
    assert "".join(report.markdown_lines(OLD, NEW, [])).endswith(
        "\nno differences in what could be read\n"
    )


def test_i4_no_difference_says_nothing_of_what_could_not_be_read() -> None:
    blind = report.Side(name="cluster", notes=("Secrets are not compared",))
    counted = report.Counted()
    assert report.exit_code(OLD, OLD, counted) == 0
    assert report.exit_code(OLD, NEW, counted) == report.exit_code(NEW, OLD, counted) == 3
    assert report.exit_code(OLD, blind, counted) == 3
    list(counted.over([change({"x": 1}, {"x": 2})]))
    assert report.exit_code(OLD, NEW, counted) == report.exit_code(OLD, OLD, counted) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1, 2, ["    x: 1 → 2"]),
        ("a", "b c", ["    x: a → b c"]),
        ("yes", "1", ['    x: "yes" → "1"']),
        (None, [], ["    x: null → []"]),
        ({"a": 1}, {}, ["    - x.a: 1"]),
        (["a"], ["a", "b"], ["    + x[1]: b"]),
        (
            "a\nb\nc\n",
            "a\nB\nc\n",
            ["    x:", "      @@ line 1 @@", "       a", "      -b", "      +B", "       c"],
        ),
        (
            {"a": {"k": "v" * 50, "l": "w" * 50}},
            {},
            ["    - x.a:", "    -     k: " + "v" * 50, "    -     l: " + "w" * 50],
        ),
    ],
)
def test_a_field(old: Any, new: Any, expected: list[str]) -> None:
    assert lines(old, new) == expected


def test_values_that_a_terminal_or_ci_would_obey_are_only_text() -> None:
    text = "".join(lines("a", "\x1b[31mred\u202e")) + "".join(lines("a\n", "::error::x\n\x07\n"))
    assert not set(text) & {"\x1b", "\u202e", "\x07"}


def test_long_texts_are_not_told_in_full() -> None:
    many = "".join(f"{number}\n" for number in range(3000))
    assert lines(many, many + "x\n") == [
        *("    x:", "      @@ line 2999 @@", "       2998", "       2999", "      +x")
    ]
    other = many.replace("\n", "!\n")
    assert lines(many, other)[:2] == ["    x:", "      3001 lines → 3001 lines"]
    some = "".join(f"{number}\n" for number in range(500))
    told = lines(some, some.replace("\n", "!\n"))
    assert (len(told), told[-1].endswith("lines more")) == (202, True)


def test_a_change_far_down_a_long_list_is_shown() -> None:
    old = [f"10.0.{number}.0/24" for number in range(900)]
    new = ["10.9.9.0/24", *old[1:700], "0.0.0.0/0", *old[700:]]
    told = lines(old, new)
    assert [line.strip() for line in told if line[6:7] in ("+", "-")] == [
        *('-- "10.0.0.0/24"', '+- "10.9.9.0/24"', '+- "0.0.0.0/0"'),
    ]
    # What stands behind the last change costs nothing: items are told one by one.
    assert lines(old, ["10.9.9.0/24", *old[1:]]) == ['    x[0]: "10.0.0.0/24" → "10.9.9.0/24"']


def test_cells_show_where_two_long_values_differ() -> None:
    old = "a" * 300
    text = "".join(report.markdown_lines(OLD, OLD, [change({"x": old + "1"}, {"x": old + "2"})]))
    row = next(line for line in text.splitlines() if line.startswith("| shop/"))
    before, after = row.split(" | ")[2:4]
    assert (before, after.removesuffix(" |")) == (f"…{'a' * 20}1", f"…{'a' * 20}2")


def test_colours_are_for_what_was_added_and_removed() -> None:
    def paint(what: str, text: str) -> str:
        return f"<{what}>{text}</>"

    text = "".join(report.text_lines(OLD, OLD, [change({"x": 1}, {"x": 2, "y": 3})], paint))
    assert "<changed>~ shop/configmap/x</>\n" in text
    assert "    x: <removed>1</> → <added>2</>\n<added>    + y: 3</>\n" in text


def test_markdown_says_nothing_but_what_it_shows() -> None:
    text = "".join(report.markdown_lines(OLD, NEW, [change({"x": "a|b"}, {"x": "@all <b>"})]))
    assert "| shop/configmap/x | x | a&#124;b |" in text or '"a&#124;b"' in text
    assert "<b>" not in text
    assert "@all" not in text
    assert text.endswith("\n0 added, 0 removed, 1 changed\n")
    assert "".join(report.markdown_lines(OLD, OLD, [])).endswith("\nno differences\n")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_document_however_long(count: int) -> None:
    found = [change({"x": 1}, {"x": number + 2}) for number in range(count)]
    document = json.loads("".join(report.json_chunks(OLD, NEW, found)))
    assert (document["formatVersion"], document["type"]) == (1, "diff")
    assert document["to"]["notes"] == ["another cluster"]
    assert [one["fields"][0]["new"] for one in document["objects"]] == [*range(2, count + 2)]
    assert document["summary"] == {"added": 0, "removed": 0, "changed": count}
