"""What both plans show of a policy's hooks follows what this version does with them.

While hooks are refused, a command that can't execute is no finding: the policy is a problem with
its line, and what is in force stays. Once they are executed, both plans show the exact command.
"""

from __future__ import annotations

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.model.finding import Finding
from reconciler.model.grants import Grant
from reconciler.plan.change import plan_change
from tests.unit.plan.change_world import MAIN, NOW, SHOP, ids, inventory, line_of
from tests.unit.plan.live_world import LiveWorld

EXECUTED = capabilities.support_of("BackupPolicy", "spec.hooks") is Support.EXECUTED
GRANTS = (Grant(admin=True), Grant(path="team", namespaces=("shop",), hooks=("shop",)))
NAMED = SHOP.replace('names: [shop, "shop-*"]', "names: [shop]")
BASE = {"main.yaml": MAIN, "team/shop.yaml": NAMED}
HOOKS = """\
spec:
  hooks:
    - name: quiesce
      pods: {matchLabels: {app: mongo}}
      pre: {command: [mongosh, --eval, "db.fsyncLock()"]}
"""
HEAD = {**BASE, "team/shop.yaml": NAMED.replace("spec:\n", HOOKS, 1)}
COMMAND = '["mongosh", "--eval", "db.fsyncLock()"]'


def shown(findings: tuple[Finding, ...]) -> list[str]:
    """Commands that a plan says would execute."""
    return [one.message for one in findings if one.id == "hook-executes"]


def test_between_two_revisions() -> None:
    world = LiveWorld(grants=GRANTS)
    made = plan_change(world.read(BASE), world.read(HEAD), inventory(), cluster="prod-eu", now=NOW)
    if EXECUTED:
        assert made.problems == ()
        (message,) = shown(made.findings)
        assert f"executes {COMMAND} before the copy" in message
        return
    (problem,) = made.problems
    assert (problem.file, problem.line) == (
        "team/shop.yaml", line_of(HEAD, "team/shop.yaml", "hooks:"),
    )  # fmt: skip
    assert "not supported yet" in problem.message
    assert made.findings == (), "its last good version stays, and nothing executes"


def test_against_a_cluster() -> None:
    world = LiveWorld(grants=GRANTS).apply(BASE)
    found = world.findings(HEAD)
    if EXECUTED:
        (message,) = shown(found)
        assert f"executes {COMMAND} before the copy" in message
        return
    assert ids(found) == ["change-skipped"]
    assert found[0].policy == "shop"
    assert "not supported yet" in found[0].message
