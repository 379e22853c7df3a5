"""Manifests as people and tools write them, and as somebody who means harm does."""

from __future__ import annotations

import pytest

from reconciler.capture import manifestfiles
from reconciler.capture.manifestfiles import ManifestFiles


def read(text: str | bytes, file: str = "a.yaml") -> ManifestFiles:
    """One file."""
    found = ManifestFiles()
    found.read(file, text.encode() if isinstance(text, str) else text)
    return found


def names(found: ManifestFiles) -> list[str]:
    """``Kind/name`` in order."""
    return [f"{one.body['kind']}/{one.body['metadata']['name']}" for one in found.objects]


def problems(found: ManifestFiles) -> list[str]:
    """``line:column message``."""
    return [f"{one.line}:{one.column} {one.message}" for one in found.problems]


def manifest(kind: str, name: str) -> str:
    """In flow style."""
    return f"{{apiVersion: v1, kind: {kind}, metadata: {{name: {name}}}}}\n"


def test_documents_lists_and_what_is_no_object() -> None:
    found = read(
        "# Source: chart/templates/a.yaml\n"
        "---\n"
        + manifest("Namespace", "a")
        + "--- # empty\n---\n"
        + "apiVersion: v1\nkind: List\nitems:\n- "
        + manifest("Secret", "b")
        + "- "
        + manifest("ConfigMap", "c")
        + "- just a text\n"
        + "...\n---\nreplicaCount: 3\n---\n"
        + manifest("Pod", "d")
    )
    assert names(found) == ["Namespace/a", "Secret/b", "ConfigMap/c", "Pod/d"]
    assert [one.line for one in found.objects] == [3, 6, 6, 16]
    assert found.others == 2
    assert found.problems == []


def test_texts_stay_texts_and_null_is_nothing() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: 017}\n"
    found = read(text + 'spec:\n  a: yes\n  b: "~"\n  c: ~\n  d:\n  e: 1e3\n')
    (only,) = found.objects
    assert only.body["metadata"] == {"name": "017"}
    assert only.body["spec"] == {"a": "yes", "b": "~", "c": None, "d": None, "e": "1e3"}


def test_json_with_tabs_and_a_byte_order_mark() -> None:
    text = b'{\n\t"apiVersion": "v1",\n\t"kind": "Namespace",\n\t"metadata": {"name": "a"}\n}\n'
    assert names(read(b"\xef\xbb\xbf" + text)) == ["Namespace/a"]


def test_a_directive_belongs_to_what_follows() -> None:
    assert names(read("%YAML 1.2\n---\n" + manifest("Namespace", "a"))) == ["Namespace/a"]


def test_a_broken_document_hides_no_other() -> None:
    found = read(
        manifest("Pod", "a") + "---\na: b: c\n---\n{{ if .Values.x }}\n---\n" + manifest("Pod", "b")
    )
    assert names(found) == ["Pod/a", "Pod/b"]
    assert problems(found) == [
        "3:5 not YAML: mapping values are not allowed in this context",
        "5:2 a key that is no text",
    ]
    assert "kustomize build" in found.problems[0].hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "2:4 YAML aliases are not read: write it out"),
        ("a: {<<: {b: c}}\n", "1:5 YAML merge keys are not read: write it out"),
        ("a: 1\nb: 2\na: 3\n", "3:1 the key `a` stands here twice"),
        ("? [a]\n: b\n", "1:3 a key that is no text"),
        ("a: \0b\n", "1:1 not YAML: unacceptable character #x0000: control characters are not"),
        (b"a: \xff\n", "1:1 not YAML: unacceptable character #x00ff: invalid leading UTF-8 octet"),
        ("a: " + "[" * 200_000, "1:103 nested more than 100 deep"),
        ("\n".join(" " * n + "a:" for n in range(1000)), "101:101 nested more than 100 deep"),
        ("? " * 50_000, "1:3 a key that is no text"),
        ("a: 'never ends", "1:15 not YAML: found unexpected end of stream"),
        ("a: [1, 2\n", "2:1 not YAML: did not find expected ',' or ']'"),
    ],
)
def test_what_is_not_read_is_said(text: str | bytes, message: str) -> None:
    found = read(text)
    assert len(found.problems) == 1
    assert problems(found)[0].startswith(message)
    assert found.objects == []


def test_a_quoted_merge_key_is_a_key() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {'<<': x}\n"
    assert names(read(text)) == ["ConfigMap/a"]


def test_what_a_terminal_would_act_on_is_not_shown() -> None:
    (problem,) = read('"\\e[2J": 1\n"\\e[2J": 2\n', file="a\n\x1b.yaml").problems
    assert problem.message == "the key `\\x1b[2J` stands here twice"
    assert problem.file == "a\\n\\x1b.yaml"


def test_a_file_that_is_too_large_is_not_read() -> None:
    assert problems(read(b" " * (manifestfiles.MAX_BYTES + 1))) == [
        "1:1 larger than 16 MiB and not read"
    ]


def test_values_and_objects_and_problems_have_caps() -> None:
    found = ManifestFiles(values=manifestfiles.MAX_VALUES - 3)
    found.read("a.yaml", b"[1, 2, 3, 4]\n---\n[1]\n")
    assert problems(found) == [
        "1:8 more than 2000000 values in all are not read",
        "3:1 more than 2000000 values in all are not read",
    ]
    assert len(read("---\na: b: c\n" * 1000).problems) == manifestfiles.MAX_PROBLEMS


@pytest.mark.parametrize(
    "text",
    [
        "kind: Pod\nmetadata: {name: a}\n",
        "apiVersion: [v1]\nkind: Pod\nmetadata: {name: a}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: [a]\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {}\n",
        "apiVersion: v1\nkind: Pod\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: }\n",
        "apiVersion: v1\nkind: List\nitems: {}\n",
        "just a text\n",
        "[a, b]\n",
    ],
)
def test_shapes_that_are_no_objects(text: str) -> None:
    found = read(text)
    assert (found.objects, found.others, found.problems) == ([], 1, [])


def test_nothing_is_nothing() -> None:
    for text in ("", "---\n", "# a comment\n", "\n\n---\n...\n"):
        found = read(text)
        assert (found.objects, found.others, found.problems) == ([], 0, [])
