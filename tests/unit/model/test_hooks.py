"""Hooks travel in the compiled policy and in the record, and cost a policy without them nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.model.hooks import (
    Hook,
    HookCommand,
    HookOutcome,
    HookRecord,
    OnError,
    Phase,
)
from reconciler.model.policy import BackupPolicy, compiled_text, load_compiled
from tests.unit.policy.test_model import MAIN, POLICY

QUIESCE = Hook(
    name="quiesce",
    match_labels={"app": "mongo"},
    container="mongo",
    pre=HookCommand(("mongosh", "--eval", "db.fsyncLock()"), 30, OnError.CONTINUE),
    post=HookCommand(("mongosh", "--eval", "db.fsyncUnlock()")),
)
HOOKED = replace(POLICY, hooks=(QUIESCE, Hook(name="sync", once=True)), hooks_within=("shop-*",))


def test_hooks_and_their_limit_reach_the_run() -> None:
    compiled = load_compiled(compiled_text(HOOKED, [MAIN]))
    assert compiled.policy == HOOKED
    assert Hook.from_json(json.loads(json.dumps(QUIESCE.to_json()))) == QUIESCE


def test_a_policy_without_hooks_says_nothing_of_them() -> None:
    assert not [key for key in POLICY.to_json() if key.startswith("hooks")]
    assert not BackupPolicy.from_json(POLICY.to_json()).hooks


def test_a_limit_of_nowhere_is_the_default() -> None:
    assert load_compiled(compiled_text(replace(HOOKED, hooks_within=()), [MAIN])).policy.hooks
    assert BackupPolicy.from_json(POLICY.to_json()).hooks_within == ()


def test_each_side_of_the_copy_has_its_command() -> None:
    assert QUIESCE.command(Phase.PRE) == QUIESCE.pre
    assert replace(QUIESCE, post=None).command(Phase.POST) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hold": {}}, "Hook: unknown field 'hold'"),
        ({"pre": {"command": "sync"}}, "Hook.pre.command: expected list, found str"),
        ({"pre": {"command": ["x"], "timeout": "1s"}}, "Hook.pre.timeout: expected int"),
        ({"post": {"command": ["x"], "onError": "Ignore"}}, "unknown value 'Ignore'"),
        ({"once": 1}, "Hook.once: expected bool"),
    ],
)
def test_foreign_hooks_are_refused_with_their_path(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hook.from_json(QUIESCE.to_json() | change)


def test_a_record_of_a_command_survives_json_with_and_without_an_exit_code() -> None:
    done = HookRecord(
        name="quiesce",
        namespace="shop",
        pod="mongo-0",
        container="mongo",
        phase=Phase.PRE,
        outcome=HookOutcome.COMPLETED,
        exit_code=0,
        duration=2,
        output_bytes=17,
    )
    for record in (done, replace(done, outcome=HookOutcome.TIMED_OUT, exit_code=None, why="60s")):
        assert HookRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert "exitCode" not in replace(done, exit_code=None).to_json()
