"""Problems as people and machines get them."""

from __future__ import annotations

import json

from rich.cells import cell_len

from reconciler.model.errors import Problem
from reconciler.policy import render_count, render_json, render_problems, render_valid


def problem(line: int, column: int, file: str = "a.yaml", hint: str = "do so") -> Problem:
    return Problem(
        file=file, line=line, column=column, message="it is wrong", hint=hint, path="a.b"
    )


def test_the_line_with_a_caret_below_the_word() -> None:
    sources = {"a.yaml": b'x: 1\n  keep: [one, "two words"]\n'}
    assert render_problems([problem(2, 3), problem(2, 15)], sources) == (
        "a.yaml:2:3: error: it is wrong\n"
        '    2 |   keep: [one, "two words"]\n'
        "      |   ^^^^ do so\n"
        "a.yaml:2:15: error: it is wrong\n"
        '    2 |   keep: [one, "two words"]\n'
        "      |               ^^^^^^^^^^^ do so\n"
        "2 problems in 1 file\n"
    )


def test_a_place_without_its_source_or_beyond_its_end() -> None:
    assert render_problems([problem(1, 1)], {}) == (
        "a.yaml:1:1: error: it is wrong\n     hint: do so\n1 problem in 1 file\n"
    )
    assert "9:9: error" in render_problems([problem(9, 9, hint="")], {"a.yaml": b"x\n"})
    assert "      | ^ do so" in render_problems([problem(2, 7)], {"a.yaml": b"x\n\n"})


def test_nothing_that_a_terminal_would_act_on() -> None:
    sources = {"\x1b[31m.yaml": "a: \x1b]0;x\x07\u202e\n".encode() + b"\xff\n"}
    text = render_problems([problem(1, 4, file="\x1b[31m.yaml")], sources)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text


def test_long_lines_are_cut_around_the_place() -> None:
    text = render_problems([problem(1, 5001)], {"a.yaml": b"x" * 5000 + b"!" + b"y" * 5000})
    line, caret = text.splitlines()[1:3]
    assert len(line) <= 108
    assert line[caret.index("^")] == "!"


def shown(line: str, column: int) -> tuple[str, str]:
    """The line as it is shown and what stands below it, from the same column on."""
    text = render_problems([problem(1, column, hint="")], {"a.yaml": line.encode()})
    return text.splitlines()[1][8:], text.splitlines()[2][8:]


def test_a_value_is_marked_whole() -> None:
    assert shown("a: {b: 17 25 * * *, c: d}  # e", 8)[1].strip() == "^" * len("17 25 * * *")
    assert shown("a: it's 5 o'clock  # e", 4)[1].strip() == "^" * len("it's 5 o'clock")
    assert shown("a: https://x#y", 4)[1].strip() == "^" * len("https://x#y")
    assert shown("key: value", 1)[1].strip() == "^^^"


def test_a_tab_is_one_blank() -> None:
    assert shown("a:\tb:\tword", 7) == ("a: b: word", "      ^^^^")


def test_wide_and_combining_characters_take_the_columns_of_a_terminal() -> None:
    assert shown("名前: shop", 5) == ("名前: shop", "      ^^^^")
    assert shown("a: 名前", 4) == ("a: 名前", "   ^^^^")
    assert shown("e\u0301te\u0301: x", 8) == ("e\u0301te\u0301: x", "     ^")
    assert shown("🙂: [x]", 5) == ("🙂: [x]", "     ^")


def test_a_long_line_of_wide_characters_is_cut_to_the_same_width() -> None:
    line, caret = shown("名" * 3000 + "[x]" + "前" * 3000, 3002)
    assert (line[0], line[-1]) == ("…", "…")
    assert cell_len(line) <= 100
    before = line[: line.index("x")]
    assert caret == " " * cell_len(before) + "^"


def test_a_long_word_is_cut_as_well() -> None:
    line, caret = shown(f"a: [{'x' * 5000}]", 5)
    assert line.startswith("a: [xxx")
    assert cell_len(line) <= 100
    assert caret.strip() == "^" * 50


def test_no_text_is_a_command_of_a_ci_system() -> None:
    text = render_problems(
        [problem(1, 1, file="::stop-commands::x.yaml", hint="##[error]x")],
        {"::stop-commands::x.yaml": b"##[add-matcher]/x\n"},
    )
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    lead = render_problems([problem(1, 1, file="  ::debug::x.yaml")], {})
    assert not lead.lstrip().startswith("::")


def test_credentials_are_masked_in_the_shown_line() -> None:
    for value in ("https://user:hunter2@h/x", "https://hunter2@h/x", "s3:key:hunter2@h"):
        for padding in (0, 90, 5000):
            data = b"x" * padding + f" url: {value}\n".encode()
            text = render_problems([problem(1, padding + 7)], {"a.yaml": data})
            assert "hunter2" not in text
            assert "@h" in text


def test_counts() -> None:
    assert render_count([problem(1, 1), problem(1, 2, file="b")]) == "2 problems in 2 files"
    assert render_valid([(3, "policy"), (1, "repository")]) == "3 policies, 1 repository: valid"


def test_json() -> None:
    document = json.loads(render_json([problem(1, 2)], {"policy": 1}))
    assert document == {
        "formatVersion": 1,
        "valid": False,
        "counts": {"policy": 1},
        "problems": [
            {
                "file": "a.yaml",
                "line": 1,
                "column": 2,
                "message": "it is wrong",
                "hint": "do so",
                "path": "a.b",
                "document": 0,
            }
        ],
    }
