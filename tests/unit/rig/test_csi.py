"""The parts of the rig's storage that need no cluster: rules, the record of calls, loop devices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rig.cluster import build, csi, csibuild, loops
from tests.rig.cluster.csifaults import CREATE_SNAPSHOT, DELETE_VOLUME, CsiFaults
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.loops import Loop


def write_call(data: Path, call: str, about: str, effect: str = "", *, ended: bool = False) -> None:
    """As the driver does."""
    line = {"node": "n", "call": call, "about": about, "effect": effect, "ended": ended}
    with (data / "calls.jsonl").open("a") as file:
        file.write(json.dumps(line | ({"code": "OK"} if ended else {})) + "\n")


def rules(data: Path) -> list[dict[str, str]]:
    """What the driver would read."""
    found: list[dict[str, str]] = json.loads((data / "faults.json").read_text())
    return found


def test_rules_are_there_as_long_as_their_blocks(tmp_path: Path) -> None:
    faults = CsiFaults(tmp_path)
    with faults.failing(DELETE_VOLUME, "shop/", code="ABORTED", message="busy"):
        with faults.unready("of shop/data$"):
            assert [rule["effect"] for rule in rules(tmp_path)] == ["unready", "fail"]
        assert rules(tmp_path) == [
            {
                "call": "DeleteVolume",
                "about": "shop/",
                "effect": "fail",
                "code": "ABORTED",
                "message": "busy",
            }
        ]
    assert rules(tmp_path) == []


def test_rule_ends_with_a_test_that_fails(tmp_path: Path) -> None:
    faults = CsiFaults(tmp_path)
    with pytest.raises(ZeroDivisionError), faults.held(CREATE_SNAPSHOT):
        raise ZeroDivisionError
    assert rules(tmp_path) == []


def test_fault_counts_arrivals_that_met_it_since_it_is_there(tmp_path: Path) -> None:
    faults = CsiFaults(tmp_path)
    assert faults.calls() == []
    write_call(tmp_path, CREATE_SNAPSHOT, "shop/a of shop/data", "fail")
    with faults.failing(CREATE_SNAPSHOT, "of shop/data$") as fault:
        assert fault.hits() == []
        write_call(tmp_path, CREATE_SNAPSHOT, "shop/b of shop/data", "fail")
        write_call(tmp_path, CREATE_SNAPSHOT, "shop/b of shop/data", "fail", ended=True)
        write_call(tmp_path, CREATE_SNAPSHOT, "shop/c of shop/data2", "fail")
        write_call(tmp_path, CREATE_SNAPSHOT, "shop/d of shop/data", "hold")
        write_call(tmp_path, DELETE_VOLUME, "shop/d of shop/data", "fail")
        assert [hit.about for hit in fault.hits()] == ["shop/b of shop/data"]
        assert fault.wait() == fault.hits()[0]
    assert len(faults.calls(CREATE_SNAPSHOT, "of shop/data$")) == 4


def test_half_a_line_is_not_a_call_yet(tmp_path: Path) -> None:
    write_call(tmp_path, DELETE_VOLUME, "shop/data", ended=True)
    with (tmp_path / "calls.jsonl").open("a") as file:
        file.write('{"node": "n", "ca')
    (only,) = CsiFaults(tmp_path).calls()
    assert (only.call, only.about, only.ended, only.code) == (
        DELETE_VOLUME,
        "shop/data",
        True,
        "OK",
    )


def test_devices_on_a_file_and_on_each_other_come_from_the_top() -> None:
    disk, dev = "254:0", "0:6"
    low, lock = Loop("/dev/loop1", 7, disk), Loop("/dev/loop0", 91, dev)
    nodes = {"/dev/loop0": (90, dev), "/dev/loop1": (91, dev), "/dev/loop2": (92, dev)}
    foreign = [Loop("/dev/loop2", 7, "254:1"), Loop("/dev/loop3", 92, dev)]
    found = loops.above([lock, *foreign, low], {(7, disk)}, lambda loop: nodes[loop.name])
    assert found == [lock, low]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("", []),
        ('{"loopdevices": []}', []),
        (
            """{"loopdevices": [
                {"name": "/dev/loop0", "back-ino": 7, "back-maj:min": "254:0"},
                {"name": "/dev/loop1", "back-ino": null, "back-maj:min": null},
                {"name": "/dev/loop2", "back-ino": 8, "back-maj:min": null},
                {"name": "/dev/loop3", "back-ino": null, "back-maj:min": "254:0"},
                {"name": "/dev/loop4", "back-ino": "9", "back-maj:min": " 0:6"}
            ]}""",
            [Loop("/dev/loop0", 7, "254:0"), Loop("/dev/loop4", 9, "0:6")],
        ),
    ],
)
def test_device_that_goes_while_it_is_listed_is_none(said: str, names: list[Loop]) -> None:
    assert loops.parsed(said) == names


def test_what_fails_when_storage_is_taken_away_leaves_nothing_undone() -> None:
    done: list[str] = []

    def fail(what: str) -> None:
        raise RigError(what)

    with pytest.raises(RigError, match="first") as caught:
        csi.attempt(
            lambda: done.append("before"),
            lambda: fail("first"),
            lambda: done.append("between"),
            lambda: fail("second"),
            lambda: done.append("after"),
        )
    assert done == ["before", "between", "after"]
    assert caught.value.__notes__ == ["then: second"]
    csi.attempt(lambda: done.append("again"))
    assert done[-1] == "again"


def test_build_of_a_program_of_ours_is_named_after_its_source(tmp_path: Path) -> None:
    module = tmp_path / "csi"
    module.mkdir()
    for name in ("go.mod", "go.sum", "main.go"):
        (module / name).write_text(name)
    before = build.key(csibuild.OURS, modules=tmp_path)
    (module / "main.go").write_text("changed")
    assert build.key(csibuild.OURS, modules=tmp_path) != before
