"""Copies that nobody reads any more, told from those of runs that live."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import naming
from reconciler.model.doctor import Finding, Level
from reconciler.plan import copyobjects
from reconciler.plan.doctorcopies import find_copies
from reconciler.plan.moverjob import mover_name
from tests.unit.plan.test_copysteps import COPY, JOB, TASK, bound

RUN, NAME = TASK.run_id, mover_name(TASK)
HOME = COPY.home


def copies() -> list[dict[str, Any]]:
    """Of one claim, as the API server lists them."""
    made = [
        copyobjects.make_snapshot(TASK, COPY),
        copyobjects.make_content(TASK, COPY, bound()),
        copyobjects.make_handover(TASK, COPY, JOB),
        copyobjects.make_claim(TASK, COPY, JOB),
    ]
    for raw in made:
        raw["metadata"]["uid"] = f"{raw['kind']}-uid"
    return made


def found(raws: list[dict[str, Any]], **known: Any) -> list[Finding]:
    nobody: frozenset[str] = frozenset()
    base = {"alive": nobody, "waiting": nobody, "scheduled": nobody}
    return list(find_copies(raws, **{**base, **known}))


def test_a_copy_of_a_dead_run_with_what_removes_it_in_the_safe_order() -> None:
    (one,) = found(copies())
    assert (one.id, one.level) == ("leftovers/copy", Level.WARNING)
    assert one.where == f"VolumeSnapshot shop/{NAME}"
    assert one.message == f"copy of claim shop/data (4 objects); run {RUN} is over"
    assert one.hint.split("; ") == [
        f"kubectl -n {HOME} delete persistentvolumeclaim {NAME}",
        f"kubectl -n {HOME} delete volumesnapshot {NAME}",
        f"kubectl delete volumesnapshotcontent {NAME}",
        f"kubectl -n shop delete volumesnapshot {NAME}",
    ]


@pytest.mark.parametrize("missing", [naming.RUN, naming.NAMESPACE, naming.CLAIM])
def test_a_name_that_is_made_of_nothing_is_no_copys(missing: str) -> None:
    told = {naming.RUN: TASK.run_id, naming.NAMESPACE: "shop", naming.CLAIM: "data"}
    forged = copyobjects.make_claim(TASK, COPY, JOB)
    for told_of in (told, dict.fromkeys(told, "")):
        left = {key: value for key, value in told_of.items() if key != missing}
        made = naming.mover_name(*(left.get(key, "") for key in told))
        forged["metadata"] |= {"annotations": left, "name": made, "uid": "forged"}
        (one,) = found([forged])
        assert one.message == "it carries the label of Backstay's copies and is none of them"


def test_the_next_run_removes_it() -> None:
    (one,) = found(copies(), scheduled=frozenset({"shop"}))
    assert one.hint.startswith("the next run of policy shop removes it; at once: kubectl")


def test_of_a_run_at_work_nothing_is_said() -> None:
    assert found(copies(), alive=frozenset({RUN})) == []


def test_a_run_that_lost_its_pod_goes_on() -> None:
    (one,) = found(copies()[:1], waiting=frozenset({RUN}), alive=frozenset({RUN}))
    assert (one.level, one.hint) == (Level.INFO, "nothing: its next pod goes on with it")
    assert "(1 object)" in one.message


def test_only_of_one_policy() -> None:
    assert len(found(copies(), policy="shop")) == 1
    assert found(copies(), policy="web") == []


@pytest.mark.parametrize("key", [naming.RUN, naming.CLAIM, naming.NAMESPACE])
def test_a_label_alone_proves_nothing(key: str) -> None:
    (raw, *_) = copies()
    raw["metadata"]["annotations"][key] = "another"
    (one,) = found([raw])
    assert "is none of them" in one.message
    del raw["metadata"]["annotations"][key]
    assert "is none of them" in found([raw])[0].message


def test_one_finding_for_each_copy() -> None:
    other = replace(TASK, claim="more")
    raws = [*copies(), copyobjects.make_snapshot(other, COPY)]
    assert [one.message.split()[3] for one in found(raws)] in (
        ["shop/data", "shop/more"],
        ["shop/more", "shop/data"],
    )
