"""Each line of the table of cleaned fields has a golden file: what was sent, what is captured.

A file of `tests/golden/clean/` has a sentence and the lines of the table that it shows, then the
object as an API server sent it (from a real one, shortened), then what is captured of it. The
second is written by ``--update-golden``; the first is written by hand, or taken from a cluster.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.capture import clean, emitter, rules, rules_storage, rules_workloads
from reconciler.capture.loading import load_document
from reconciler.model.objects import Resource
from tests.conftest import Golden

FOLDER = Path(__file__).parents[2] / "golden/clean"
RULE = "# rule: "
NEW = "inventedLater"
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One golden file."""

    name: str
    head: tuple[str, ...]
    raw: dict[str, Any]

    @property
    def rules(self) -> list[str]:
        """The lines of the table that it shows."""
        return [line.removeprefix(RULE) for line in self.head if line.startswith(RULE)]

    @property
    def resource(self) -> Resource:
        group, _, version = str(self.raw["apiVersion"]).rpartition("/")
        kind = str(self.raw["kind"])
        return Resource(
            group=group,
            version=version,
            kind=kind,
            plural=f"{kind.lower()}s",
            namespaced="namespace" in self.raw["metadata"],
        )

    def cleaned(self) -> dict[str, Any]:
        """What is captured of it."""
        return clean.clean(self.raw, self.resource)


def read(path: Path) -> Case:
    before, _, _ = path.read_text().partition("\n---\n")
    head = tuple(line for line in before.splitlines() if line.startswith("#"))
    return Case(path.stem, head, load_document(before.encode()))


CASES = [read(path) for path in sorted(FOLDER.glob("*.yaml"))]
NAMES = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_what_is_captured_is_what_the_golden_file_says(case: Case, golden: Golden) -> None:
    sent = copy.deepcopy(case.raw)
    found = case.cleaned()
    assert case.raw == sent, "what was sent is left as it is"
    again = clean.clean(applied(found), case.resource)
    assert again == found, "what is made from it is captured alike"
    head = "".join(f"{line}\n" for line in case.head).encode()
    text = head + emitter.emit(sent) + b"---\n" + emitter.emit(found)
    golden(f"clean/{case.name}.yaml", text)


def applied(captured: dict[str, Any]) -> dict[str, Any]:
    """The object as it comes back from an API server, which tells who set the fields."""
    tracked = {"f:spec": fields(captured.get("spec", {}))}
    entry = {"manager": "kubectl", "operation": "Apply", "fieldsV1": tracked}
    return captured | {"metadata": captured["metadata"] | {"managedFields": [entry]}}


def fields(value: Any) -> dict[str, Any]:
    """The names of what is set, as managed fields have them; of lists a Service's ports only."""
    if isinstance(value, dict):
        return {f"f:{key}": fields(inner) for key, inner in value.items()}
    ports = [item for item in value if "port" in item] if isinstance(value, list) else []
    return {
        f'k:{{"port":{port["port"]},"protocol":"{port["protocol"]}"}}': fields(port)
        for port in ports
    }


def test_each_line_of_the_table_has_a_golden_file_and_each_file_a_line() -> None:
    shown = {rule for case in CASES for rule in case.rules}
    assert shown == {f"{line.kind} | {line.field}" for line in rules.TABLE}
    assert [case.name for case in CASES if not case.rules] == []


def test_each_function_of_a_kind_does_something_in_a_golden_file() -> None:
    """Beside what is done for every kind: so none is there that no file shows."""
    acted = {case.resource.folder for case in CASES if case.cleaned() != as_unknown_kind(case)}
    assert acted == rules.BY_KIND.keys()


def as_unknown_kind(case: Case) -> dict[str, Any]:
    """What is captured of the same object of a kind without a rule."""
    found = clean.clean(case.raw, replace(case.resource, group="example.org", kind="Unknown"))
    return found | {"apiVersion": case.raw["apiVersion"], "kind": case.raw["kind"]}


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("", clean.SERVER_METADATA),
        ("annotations", clean.DROPPED_ANNOTATIONS),
        ("annotations", rules_storage.BINDING),
        ("annotations", rules_workloads.POD_NETWORK),
        ("labels", rules_workloads.CONTROLLER_UID),
        ("labels", rules_workloads.JOB_NAME),
    ],
)
def test_each_name_that_is_dropped_is_seen_to_go(what: str, names: Collection[str]) -> None:
    gone: set[str] = set()
    for case in CASES:
        before, after = case.raw["metadata"], case.cleaned()["metadata"]
        if what:
            before, after = before.get(what) or {}, after.get(what) or {}
        gone |= before.keys() - after.keys()
    assert set(names) <= gone


def test_each_finalizer_that_is_dropped_is_seen_to_go() -> None:
    (case,) = (case for case in CASES if case.name == "finalizers")
    assert {*clean.SERVER_FINALIZERS} < {*case.raw["metadata"]["finalizers"]}
    assert case.cleaned()["metadata"]["finalizers"] == ["example.org/mine"]


# What goes as a whole, with whatever may stand in it one day; an item of a list as ``*``.
WHOLE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "*": (("status",), ("metadata", "managedFields"), ("metadata", "ownerReferences")),
    "serviceaccount": (("secrets", "*"), ("imagePullSecrets", "*")),
    "pod": (
        ("spec", "ephemeralContainers"),
        ("spec", "volumes", "*"),
        ("spec", "containers", "*", "volumeMounts", "*"),
        ("spec", "initContainers", "*", "volumeMounts", "*"),
    ),
    "statefulset.apps": (("spec", "volumeClaimTemplates", "*", "status"),),
    "persistentvolumeclaim": (("spec", "dataSource"), ("spec", "dataSourceRef")),
    "clusterrole.rbac.authorization.k8s.io": (("rules",),),
    "application.argoproj.io": (("operation",),),
}


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_field_that_no_rule_knows_stays_wherever_it_stands(case: Case) -> None:
    """A deny-list: a field of tomorrow's Kubernetes, in any mapping, is captured."""
    allowed = WHOLE["*"] + WHOLE.get(case.resource.folder, ())
    for place in mappings(case.raw):
        sent = copy.deepcopy(case.raw)
        at(sent, place)[NEW] = "kept"
        if not any(below(place, whole) for whole in allowed):
            found = clean.clean(sent, case.resource)
            assert NEW.encode() in emitter.emit(found), f"lost in {place}"


def mappings(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where there is a mapping."""
    if isinstance(value, dict):
        yield place
        for key, inner in value.items():
            yield from mappings(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from mappings(inner, (*place, number))


def at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def below(place: Place, whole: tuple[str, ...]) -> bool:
    first = ["*" if isinstance(step, int) else step for step in place[: len(whole)]]
    return first == [*whole]
