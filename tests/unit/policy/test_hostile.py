"""Any bytes give problems, in bounded work and text, and never an exception (I9).

What full-sized files cost is bounded from outside, in tests/system/policy.
"""

from __future__ import annotations

import pytest

from reconciler.model.errors import InvalidInput
from reconciler.policy import nodes, parse_config, parse_files, render_problems
from reconciler.policy.formatting import format_file
from reconciler.policy.nodes import MAX_BYTES
from reconciler.policy.parsing import Caps
from reconciler.policy.reading import read_file
from tests.unit.policy.hostiletexts import EVIL, make_texts
from tests.unit.policy.yamltexts import MAIN, SHOP, messages

TEXTS = make_texts(8 * 1024)
GOOD = f"{MAIN}---\n{SHOP}".encode()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", TEXTS)
def test_hostile_files_cost_little_and_stop_nothing_else(name: str) -> None:
    files = {"evil.yaml": TEXTS[name], "good.yaml": GOOD}
    parsed = parse_files(files)
    assert parsed.problems
    assert {problem.file for problem in parsed.problems} == {"evil.yaml"}
    assert all(problem.message.isprintable() for problem in parsed.problems)
    assert len(parsed.problems) <= nodes.MAX_DOCUMENTS + nodes.MAX_PROBLEMS + 1
    documents = read_file("evil.yaml", TEXTS[name])
    assert len(documents) <= nodes.MAX_DOCUMENTS + 1
    assert sum(document.count for document in documents) <= nodes.MAX_NODES + 1
    text = render_problems(parsed.problems, files)
    assert len(text) < 150_000
    assert text.replace("\n", "").isprintable()
    good = parsed.document("BackupPolicy", "shop")
    assert good is not None
    assert good.value is not None


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_config_is_refused_with_places(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_config("backstay.yaml", TEXTS[name])
    assert caught.value.problems
    assert str(caught.value).isprintable()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", TEXTS)
def test_hostile_files_are_not_formatted(name: str) -> None:
    done = format_file("evil.yaml", TEXTS[name])
    if done.problems:
        assert done.data == TEXTS[name]
    again = format_file("evil.yaml", done.data)
    assert again.data == done.data


def test_a_file_at_its_limit_is_read() -> None:
    data = f"{MAIN}---\n{SHOP}# ".encode()
    assert parse_files({"a.yaml": data + b"x" * (MAX_BYTES - len(data))}).policies


def test_comments_are_looked_at_where_there_is_nothing_else() -> None:
    parsed = parse_files({"a.yaml": "# \u202e\n".encode(), "b.yaml": b"---\n# \x1b[2J\n"})
    assert [problem.file for problem in parsed.problems] == ["a.yaml", "b.yaml"]


NAMES = [
    "a\nb.yaml",
    "\x1b]0;owned\x07.yaml",
    "a\u202eb.yaml",
    "a\udcffb.yaml",
    "policies/a\rb.yaml",
    f"{'x' * 5000}.yaml",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_not_printable_is_shown_safely_and_not_read(name: str) -> None:
    files = {name: EVIL.encode(), "good.yaml": GOOD}
    parsed = parse_files(files)
    (problem,) = parsed.problems
    assert problem.message == "the file's name has characters that are not printable, or too many"
    assert problem.file.isprintable()
    assert len(problem.file) < 1100
    (broken,) = parsed.broken
    assert broken.source.isprintable()
    assert [policy.name for policy in parsed.policies] == ["shop"]
    assert render_problems(parsed.problems, files).replace("\n", "").isprintable()


def test_values_over_all_files_are_counted() -> None:
    """Each file is small; together they would fill the memory."""
    many = ("[" + "a," * 900 + "]").encode()
    files = {f"a{number:03}.yaml": many for number in range(4)} | {"good.yaml": GOOD}
    assert [p.name for p in parse_files(files).policies] == ["shop"]
    parsed = parse_files(files, caps=Caps(values=2_000))
    assert {document.file for document in parsed.documents} == {
        *("a000.yaml", "a001.yaml", "a002.yaml", "a003.yaml")
    }
    last = parsed.problems[-1]
    assert last.file == "a003.yaml"
    assert "this file and those after it were not read" in last.message


def test_bytes_over_all_files_are_counted() -> None:
    files = {f"a{number:03}.yaml": b"# " + b"x" * 250_000 for number in range(70)}
    parsed = parse_files(files | {"b.yaml": GOOD})
    assert [problem.file for problem in parsed.problems] == ["a068.yaml"]
    assert not parsed.policies


def test_problems_over_all_files_are_counted_and_every_document_keeps_one() -> None:
    nos = ("[" + "no," * 30 + "]\n").encode()
    parsed = parse_files({f"a{n:03}.yaml": nos for n in range(50)}, caps=Caps(problems=300))
    assert 300 <= len(parsed.problems) < 300 + 30 + 50
    assert len({problem.file for problem in parsed.problems}) == 50


def test_among_very_many_names_none_is_guessed() -> None:
    """The nearest of thousands, for each of thousands, would take hours."""
    repositories = "---\n".join(MAIN.replace("name: main", f"name: r{n}") for n in range(101))
    policy = EVIL.replace("volumes: {", "volumes: {repository: r999, ")
    parsed = parse_files({"a.yaml": policy.encode(), "b.yaml": repositories.encode()})
    assert [problem.hint for problem in parsed.problems] == [
        "add a document of kind Repository, or check the whole folder"
    ]


def test_numbers_that_overflow_say_what_is_taken() -> None:
    found = {
        name: messages(parse_files({"a.yaml": TEXTS[name], "b.yaml": GOOD}))
        for name in TEXTS
        if "overflow" in name or "huge" in name
    }
    assert all(found.values()), found
    assert "not longer than 36500d" in found["overflowing duration"][0]
    assert "must be at most 100000" in found["huge integer"][0]
    assert "more than 18 digits" in found["too huge integer"][0]


@pytest.mark.parametrize(
    "text", ['"x\\n::error::no"', '"a\\tb"', '"  "', "|\n        a\n        b"]
)
def test_a_reason_makes_no_line_of_its_own_in_a_report(text: str) -> None:
    rule = f"- match: {{claims: [a]}}\n      reason: {text}\n      copyMethod: Skip\n"
    rules = f"volumes:\n    copyMethod: Direct\n    rules:\n    {rule}"
    policy = EVIL.replace("volumes: {copyMethod: Direct}\n", rules)
    parsed = parse_files({"a.yaml": policy.encode(), "good.yaml": GOOD})
    assert ["`reason`" in problem.message for problem in parsed.problems] == [True]
