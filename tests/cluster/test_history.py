"""Drift and proof on a real cluster: what the real API server gives is what a run has written."""

from __future__ import annotations

import json
from typing import Any

from tests.rig.stage import Stage
from tests.rig.stage.runs import Run, run_again


def ask(stage: Stage, *arguments: str, code: int) -> dict[str, Any]:
    """What a command says as JSON."""
    done = stage.backstay(*arguments, "-o", "json", check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_drift_is_what_somebody_changed_and_the_history_is_proven(stage: Stage, first: Run) -> None:
    run_again(stage)
    found = ask(stage, "diff", "shop", "--against-cluster", code=0)
    assert (found["objects"], found["to"]["gaps"], found["to"]["notes"]) == ([], [], [])
    patch = '{"data":{"drift":"yes"}}'
    stage.kubectl("-n", "shop", "patch", "configmap", "web", "-p", patch)
    try:
        found = ask(stage, "diff", "shop", "--against-cluster", code=1)
        (change,) = found["objects"]
        assert change["path"] == "shop/configmap/web.yaml"
        assert [(one["field"], one["new"]) for one in change["fields"]] == [("data.drift", "yes")]
    finally:
        patch = '{"data":{"drift":null}}'
        stage.kubectl("-n", "shop", "patch", "configmap", "web", "-p", patch)
    said = stage.backstay("verify", "shop", "-o", "json", check=False)
    # Other modules push to this branch as outsiders do, so the whole need not be proven.
    assert said.returncode in (0, 1, 3), said.stderr
    proven = json.loads(said.stdout)
    stored = [check for check in proven["checks"] if check["name"].startswith("snapshots in ")]
    assert [check["verdict"] for check in stored] == ["proven", "proven"]
