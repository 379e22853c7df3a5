"""What others make of a policy's status: kstatus itself, and Argo CD's Lua of docs/install.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.errors import Stalled, Transient
from tests.rig.cluster import shell
from tests.rig.goprograms import program
from tests.unit.engine.controller_world import BROKEN, files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld
from tests.unit.engine.test_mirror_rewound import LOST, put_tip

# Not the fixture's: the first one on a machine builds the program.
pytestmark = pytest.mark.timeout(300, func_only=True)
PAGE = (Path(__file__).parents[3] / "docs/install.md").read_text()
KEY = "resource.customizations.health.backstay.dev_BackupPolicy"
Object = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """Build the program while HOME is still the caller's."""
    program("health")


def script() -> str:
    """The health check, as a reader copies it into argocd-cm."""
    (block,) = (
        found
        for found in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        if KEY in found
    )
    return str(yaml.safe_load(block)["data"][KEY])


def healths(objects: list[Object]) -> list[tuple[str, str, str]]:
    """(kstatus, Argo CD's status, Argo CD's message) of each."""
    asked = json.dumps({"script": script(), "objects": objects})
    found = json.loads(shell.run([program("health")], stdin=asked))
    return [(one["kstatus"], one["argo"], one["message"]) for one in found]


def in_force() -> MirrorWorld:
    """Policy shop is in force."""
    world = MirrorWorld()
    world.source.push(files("shop", "mail"))
    world.cycle()
    return world


def suspended() -> Object:
    """By Git."""
    world = in_force()
    text = policy_yaml("shop").replace(b"spec:", b"spec:\n  suspend: true")
    world.source.push(files("mail", shop=text))
    world.cycle()
    return world.mirror()


def invalid() -> Object:
    """Its document is broken, the version before it stays."""
    world = in_force()
    world.source.push(files("mail", shop=BROKEN))
    world.cycle()
    return world.mirror()


def held() -> Object:
    """Nothing of it is in Git any more, and a brake holds its schedule."""
    world = in_force()
    world.source.push(files())
    world.cycle()
    return world.mirror()


def away(error: Transient | Stalled) -> Object:
    """Git can't be read."""
    world = in_force()
    world.source.failures.append(error)
    world.cycle()
    return world.mirror()


def edited() -> Object:
    """By hand, and no cycle came since."""
    world = in_force()
    world.edit(lambda raw: raw["spec"].update(suspend=True), by="kubectl", at="spec.suspend")
    return world.mirror()


def rewound() -> Object:
    """A run has found its branch rewound; what is in force stays so."""
    world = in_force()
    put_tip(world, LOST)
    world.cycle()
    return world.mirror()


def fresh() -> Object:
    """Just created, without a status."""
    found = in_force().mirror()
    return {key: value for key, value in found.items() if key != "status"}


STATES: dict[str, tuple[Callable[[], Object], str, str, str]] = {
    "applied": (lambda: in_force().mirror(), "Current", "Healthy", "schedule 17 2 * * *"),
    "suspended": (suspended, "Current", "Suspended", "suspended in Git"),
    "invalid": (invalid, "Failed", "Degraded", "policies/shop.yaml:"),
    "deletion held": (held, "Failed", "Degraded", "Backstay-Approve"),
    "git away": (
        lambda: away(Transient("no answer")), "InProgress", "Progressing", "no answer",
    ),
    "key refused": (
        lambda: away(Stalled("key refused")), "Failed", "Degraded", "key refused",
    ),
    "branch rewound": (rewound, "Failed", "Degraded", "was rewound or replaced"),
    "edited by hand": (edited, "InProgress", "Progressing", "waits for the controller"),
    # kstatus takes what has no conditions for done; the controller is told to look first.
    "no status yet": (fresh, "Current", "Progressing", "waits for the controller"),
}  # fmt: skip


def test_each_state_is_read_as_it_is_meant() -> None:
    found = healths([make() for make, *_ in STATES.values()])
    for (state, (_, kstatus, argo, words)), (its, health, message) in zip(
        STATES.items(), found, strict=True
    ):
        assert (its, health) == (kstatus, argo), f"{state}: {message}"
        assert words in message, state


@pytest.mark.parametrize(
    "status",
    [{}, {"conditions": []}, {"conditions": [{"type": "Other", "status": "True"}]}],
)
def test_a_status_that_says_nothing_is_progress(status: Object) -> None:
    ((_, health, _),) = healths([{**fresh(), "status": status}])
    assert health == "Progressing"
