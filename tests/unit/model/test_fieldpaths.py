"""Paths: what records show is read back, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from reconciler.model import fieldpaths

READ = {
    "spec.users[*].pin": ["spec", "users", None, "pin"],
    "data['app.ini']": ["data", "app.ini"],
    "metadata.annotations['acme.io/x']": ["metadata", "annotations", "acme.io/x"],
    "spec.*": ["spec", None],
    "spec.args[0]": ["spec", "args", "0"],
    "spec.env[TOKEN].value": ["spec", "env", "TOKEN", "value"],
    "spec.x[a/b:c d]": ["spec", "x", "a/b:c d"],
    "spec['it's'].x": ["spec", "it's", "x"],
    "*.x": [None, "x"],
    "a-b_1.größe": ["a-b_1", "größe"],
}


@pytest.mark.parametrize("text", READ)
def test_paths_are_read_and_written_alike(text: str) -> None:
    path = fieldpaths.parse(text)
    assert [step.name for step in path] == READ[text]
    assert fieldpaths.render(path) == text
    assert fieldpaths.parse(fieldpaths.render(path)) == path


def test_quotes_that_are_not_needed_are_no_other_path() -> None:
    assert fieldpaths.parse("spec['a']['b']") == fieldpaths.parse("spec.a.b")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("$.spec", "from character 1 on"),
        (".spec", "from character 1 on"),
        ("[0].x", "begins in a list"),
        ("spec.", "from character 5 on"),
        ("spec..x", "from character 5 on"),
        ("spec.**.x", "from character 7 on"),
        ("spec.**", "from character 7 on"),
        ("spec.a.[0]", "from character 7 on"),
        ("spec[]", "from character 5 on"),
        ("spec['']", "from character 5 on"),
        ("spec['a]", "from character 5 on"),
        ("spec.a b", "from character 7 on"),
        ("acme.io/x", "from character 8 on"),
        ("spec['a\nb']", "can't be seen"),
        ("spec['a\u202eb']", "can't be seen"),
        ("a" * (fieldpaths.LONGEST + 1), "longer than"),
        (".".join("a" * (fieldpaths.DEEPEST + 1)), "more than 24 steps"),
    ],
)
def test_what_is_none_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(fieldpaths.Malformed, match=told):
        fieldpaths.parse(text)
