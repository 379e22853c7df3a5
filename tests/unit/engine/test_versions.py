"""The versions of an object across a policy's rename, and commits that no run made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.capture import emitter, message, record
from reconciler.engine.history import read_points
from reconciler.engine.namespacepoints import points_of_namespace
from reconciler.engine.reading import compare_texts
from reconciler.engine.versions import (
    blame_object,
    find_path,
    hint_alike,
    object_versions,
    version_changes,
)
from reconciler.model.errors import Refused
from reconciler.model.run import RunRecord
from reconciler.model.store import Write
from reconciler.plan.diff import Kind, render_path
from reconciler.plan.objectnames import ObjectName
from tests.fakes.gitstore import FakeManifestStore
from tests.integration.git.history_world import FIRST, make_record

PATH = "shop/configmap/x.yaml"
OLD, NEW = "clusters/prod-eu/webshop", "clusters/prod-eu/shop"


def made(policy: str, number: int, former: str = "") -> RunRecord:
    found = make_record(0, 1, 0, 0, 1)
    return replace(
        found,
        name=f"{policy}-20261120-000000-0000{number}",
        policy=replace(found.policy, name=policy, renamed_from=former),
        started=FIRST + timedelta(days=number),
    )


def push(store: FakeManifestStore, branch: str, run: RunRecord | None, **data: str) -> str:
    """A commit with this ConfigMap, of a run or of somebody."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}
    files = [Write(PATH, emitter.emit(body))]
    if run is not None:
        files.append(Write("_run.yaml", record.render_record(run)))
    text = message.render_message(run) if run else "somebody\n"
    sha = store.commit(branch, store.tip(branch), files, text, when=FIRST)
    store.push({branch: sha})
    return sha


def renamed() -> FakeManifestStore:
    store = FakeManifestStore()
    push(store, OLD, made("webshop", 1), a="1")
    push(store, OLD, made("webshop", 2), a="2", b="1")
    push(store, NEW, made("shop", 3, "webshop"), a="2", b="1")
    push(store, NEW, made("shop", 4), a="2", b="2")
    # The former name was taken by another policy since: not a part of this history.
    push(store, OLD, made("webshop", 5), a="9")
    return store


def test_a_renamed_policys_object_goes_on() -> None:
    store = renamed()
    versions = list(object_versions(store, NEW, PATH))
    assert [(one.run[:-6], one.kind) for one in versions] == [
        ("shop-20261120-000000", Kind.CHANGED),
        ("webshop-20261120-000000", Kind.CHANGED),
        ("webshop-20261120-000000", Kind.ADDED),
    ]
    changes = [
        [change.field for change in found.fields]
        for _, found in version_changes(store, PATH, versions)
    ]
    assert changes == [["data.b"], ["data.a", "data.b"], []]
    tip = store.tip(NEW)
    assert tip is not None
    since = {
        render_path(one.field.path): one.version.run[-1]
        for one in blame_object(store, NEW, PATH, tip)
    }
    assert (since["kind"], since["data.a"], since["data.b"]) == ("1", "2", "4")


def test_a_former_name_that_had_another_state_is_a_change() -> None:
    store = FakeManifestStore()
    push(store, OLD, made("webshop", 1), a="1")
    push(store, NEW, made("shop", 2, "webshop"), a="2")
    first, second = object_versions(store, NEW, PATH)
    assert (first.kind, second.kind) == (Kind.CHANGED, Kind.ADDED)


def test_a_commit_that_no_run_made_is_told_as_that() -> None:
    store = FakeManifestStore()
    push(store, NEW, made("shop", 1), a="1")
    push(store, NEW, None, a="2")
    runs = [one.run for one in object_versions(store, NEW, PATH)]
    assert runs == ["", "shop-20261120-000000-00001"]


def test_records_of_other_runs_are_not_taken_for_a_runs_part() -> None:
    store = FakeManifestStore()
    push(store, NEW, made("shop", 1), a="1")
    copied = made("shop", 2)
    text = message.render_message(copied)
    wrong = [Write("_run.yaml", record.render_record(made("shop", 1)))]
    sha = store.commit(NEW, store.tip(NEW), wrong, text, when=FIRST)
    store.push({NEW: sha})
    points = read_points(store, NEW)
    found = [one.run_id for one in points_of_namespace(store, NEW, points, "shop")]
    assert found == ["shop-20261120-000000-00001"]


def test_what_is_nested_too_deeply_stops_nobody() -> None:
    deep = [b"a: " + b"[" * 900 + inner + b"]" * 900 + b"\n" for inner in (b"1", b"2")]
    assert compare_texts(PATH, *deep).note == "nested too deeply to be compared"
    store = FakeManifestStore()
    sha = store.commit(NEW, None, [Write(PATH, deep[0])], "x\n", when=FIRST)
    store.push({NEW: sha})
    with pytest.raises(Refused, match="nested too deeply"):
        blame_object(store, NEW, PATH, sha)


def test_a_misspelt_kind_is_answered_with_the_kinds_that_have_the_name() -> None:
    store = renamed()
    tip = str(store.tip(NEW))
    assert find_path(store, NEW, tip, ObjectName("shop", "configmaps", "x")) == PATH
    with pytest.raises(Refused) as error:
        find_path(store, NEW, tip, ObjectName("shop", "cm", "x"))
    assert error.value.hint == "of that name there is: shop/configmap/x"


def test_without_one_of_the_name_the_hint_says_how_an_object_is_named() -> None:
    store = renamed()
    told = hint_alike(store, [str(store.tip(NEW))], ObjectName("shop", "cm", "y"))
    assert "a kind is written deployment.apps" in told
