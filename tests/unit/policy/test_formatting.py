"""The usual form of a policy file: what moves, what stays, and that nothing else changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import Phase, given, settings

from reconciler.policy import parse_files
from reconciler.policy.formatting import format_file
from reconciler.policy.reading import read_file
from tests.unit.policy.formattexts import AFTER, BEFORE, documents
from tests.unit.policy.yamltexts import HEAD, MAIN, SHOP


def formatted(text: str) -> str:
    """The usual form of a text that has one, and is not left alone."""
    done = format_file("a.yaml", text.encode())
    assert not done.problems
    assert not done.kept
    return done.data.decode()


def policy(spec: str) -> str:
    """A policy with this spec, indented by two."""
    lines = "".join(f"  {line}\n" if line else "\n" for line in spec.splitlines())
    return f"{HEAD}kind: BackupPolicy\nmetadata: {{name: shop}}\nspec:\n{lines}"


def test_a_whole_file() -> None:
    assert formatted(BEFORE) == AFTER
    assert formatted(AFTER) == AFTER


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("suspend: true\nprofile: gold", "profile: gold\nsuspend: true"),
        ("suspend:   true   \nschedule :  x", "suspend: true\nschedule: x"),
        ("retention: {keepDaily: 7,  keepLast: 3 , }", "retention: {keepLast: 3, keepDaily: 7}"),
        ("selector:\n    namespaces: [ shop,x ]", "selector:\n  namespaces: [shop, x]"),
        ("hooks:\n- name: a\n- name: b", "hooks:\n  - name: a\n  - name: b"),
        ("hooks:\n-   pods: {}\n    name: a", "hooks:\n  - name: a\n    pods: {}"),
        ("hooks:\n  -\n    pods: {}\n    name: a", "hooks:\n  - name: a\n    pods: {}"),
        ("hooks:\n- # one\n  name: a", "hooks:\n  # one\n  - name: a"),
        ("hooks:\n- pods: {}\n  # why\n  name: a", "hooks:\n  # why\n  - name: a\n    pods: {}"),
        ("volumes:\n  rules:\n  - {copyMethod: Skip, match: {claims: [a]}}",
         "volumes:\n  rules:\n    - {match: {claims: [a]}, copyMethod: Skip}"),
        ("suspend: true # s\n# p\nprofile: gold", "# p\nprofile: gold\nsuspend: true # s"),
        ("# s\n\n\n# t\nsuspend: true\n\n\n\nprofile: g", "profile: g\n# s\n\n# t\nsuspend: true"),
        ("retention:\n    keepLast: 1\n    # of retention\n# of the spec\nprofile: g",
         "# of the spec\nprofile: g\nretention:\n  keepLast: 1\n  # of retention"),
        ("retention:\n  keepLast: 1\nprofile: g\n# the end",
         "profile: g\nretention:\n  keepLast: 1\n# the end"),
        ("x: |\n    one\n      two\n\nprofile: g", "profile: g\nx: |\n    one\n      two"),
        ("x: >-  # c\n   one\n\n   two\nprofile: g", "profile: g\nx: >-  # c\n   one\n\n   two"),
        ('x: "one\n   two"\nprofile: g', 'profile: g\nx: "one\n   two"'),
        ("x: one\n  two # c\nprofile: g", "profile: g\nx: one\n  two # c"),
        ("x: [a,\n  b] # c\nprofile: g", "profile: g\nx: [a,\n  b] # c"),
        ("hooks:\n- command:\n  - a\n  - |\n    b\n     c",
         "hooks:\n  - command:\n      - a\n      - |\n        b\n         c"),
        ("x:\n- - a\n  - b\n- [c]", "x:\n  - - a\n    - b\n  - [c]"),
        ("manifests:\nprofile: g", "profile: g\nmanifests:"),
        ("zzz: 1\nprofile: g\naaa: 2", "profile: g\nzzz: 1\naaa: 2"),
        ("selector: {namespaces: {matchLabels: {z: a, a: z}, names: [x]}}",
         "selector: {namespaces: {names: [x], matchLabels: {z: a, a: z}}}"),
        ("hooks: [{pods: {}, name: a}]", "hooks: [{name: a, pods: {}}]"),
        ("x: {a, b: , \"c\":1}", "x: {a, b: , \"c\":1}"),
        ("x: [a: b, c]", "x: [a: b, c]"),
        ("x: {? a : b}", "x: {? a : b}"),
    ],
)  # fmt: skip
def test_a_spec(before: str, after: str) -> None:
    assert formatted(policy(before)) == policy(after)
    assert formatted(policy(after)) == policy(after)


def test_comments_in_a_column_stay_in_it() -> None:
    text = policy("profile:    gold   # one\nsuspend: false     # two\nschedule: x  # three")
    assert formatted(text) == policy(
        "profile: gold      # one\nsuspend: false     # two\nschedule: x  # three"
    )


def test_comments_at_the_top_are_about_the_file() -> None:
    text = "# yaml-language-server: $schema=x\n\n# Our shop.\nkind: Repository\n# api\n"
    rest = MAIN.partition("kind: Repository\n")[2]
    assert formatted(f"{text}{HEAD}{rest}") == (
        f"# yaml-language-server: $schema=x\n\n# Our shop.\n# api\n{HEAD}kind: Repository\n{rest}"
    )


def test_line_ends_and_markers() -> None:
    text = f"\n\n---  \n{MAIN}\n\n--- # two\n{SHOP}\n...\n\n# rest\n\n\n"
    assert formatted(text.replace("\n", "\r\n")) == f"---\n{MAIN}--- # two\n{SHOP}...\n# rest\n"
    assert formatted(MAIN.rstrip()) == MAIN
    assert formatted("") == ""


OTHERS = "apiVersion: v1\nkind: ConfigMap\ndata:\n    b: '1'   \n\n\n    a: |\n       x\n"


def test_documents_of_other_tools_stay_as_they_are() -> None:
    messy = SHOP.replace("kind: BackupPolicy\n", "").replace("spec:", "kind: BackupPolicy\nspec:")
    assert messy != SHOP
    assert formatted(f"{OTHERS}---\n{messy}") == f"{OTHERS}---\n{SHOP}"
    for text in (
        OTHERS,
        "[a,b]",
        "{apiVersion: backstay.dev/v1alpha1,kind: Repository}\n",
        "a:  1",
    ):
        assert formatted(text).rstrip() == text.rstrip()


@pytest.mark.parametrize("text", ["--- {a: 1,b: 2}\n", "--- |\n a\n", "--- \n? a\n: b\n"])
def test_what_begins_beside_a_marker_stays(text: str) -> None:
    assert formatted(text).split() == text.split()


def test_a_file_with_a_problem_stays_and_tells_it() -> None:
    for text in ("a: no\n", "a: [\n", "a: &x 1\n", "a: 1\na: 2\n", "a: \u202e\n"):
        done = format_file("a.yaml", f"{HEAD}kind: Repository\n{text}".encode())
        assert done.data.decode() == f"{HEAD}kind: Repository\n{text}"
        assert done.problems


@pytest.mark.parametrize(
    "spec",
    ["? profile\n: gold", "hooks:\n-\n- name: a", "profile:\n  gold", "x: |+\n  a\n\n\nprofile: g"],
)
def test_what_is_written_in_rare_ways_is_left_alone_or_moved_whole(spec: str) -> None:
    before = policy(spec)
    after = formatted(before)
    assert read_values(after) == read_values(before)
    assert formatted(after) == after


def read_values(text: str) -> list[object]:
    """What a file says, without places."""
    from reconciler.policy.nodes import plain_value

    found = read_file("a.yaml", text.encode())
    return [plain_value(document.root) if document.root else None for document in found]


def comments(text: str) -> list[str]:
    """All comments of texts without other ``#``."""
    return sorted(re.findall(r"#.*\S", text))


def key_below(lines: list[str], comment: str) -> str:
    """The key that a comment stands above or beside."""
    at = next(number for number, line in enumerate(lines) if comment in line)
    beside = lines[at].partition("#")[0].strip()
    below = (line for line in lines[at + 1 :] if line.strip() and line.strip()[0] != "#")
    found = re.search(r"(\w+)\s*:", beside or next(below, ""))
    return found[1] if found else ""


@settings(max_examples=25, derandomize=True, phases=(Phase.generate,))
@given(documents())
def test_any_way_to_write_a_policy(text: str) -> None:
    """The same policy, the same comments at the same keys, and nothing more to do."""
    done = format_file("a.yaml", text.encode())
    after = done.data.decode()
    assert not done.problems
    assert not done.kept
    assert comments(after) == comments(text)
    lines = after.split("\n")
    about_the_file = re.match(r"(\s|#.*\n)*", text)
    for comment, name in re.findall(r"(# about (\w+) \d+)", text):
        stays = about_the_file is not None and comment in about_the_file.group()
        assert stays or key_below(lines, comment) == name
    again = format_file("a.yaml", done.data)
    assert again.data == done.data
    meant, means = (
        parse_files({"a.yaml": side.encode(), "b.yaml": MAIN.encode()}) for side in (text, after)
    )
    assert [found.digest for found in meant.documents] == [
        found.digest for found in means.documents
    ]
    assert not re.search(r"[ \t]+$", after, re.MULTILINE)
