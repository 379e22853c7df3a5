"""Which cluster a change is planned for, where Config and an inventory both say something of it."""

from __future__ import annotations

import pytest

from reconciler.cli import main
from reconciler.cli.planchange import for_cluster
from reconciler.model.inventory import Inventory
from tests.unit.plan.change_world import config

HERE = config(env="test")


@pytest.mark.parametrize(
    ("cluster", "name", "labels"),
    [
        ("prod-eu", "prod-eu", {"env": "test"}),
        ("", "prod-eu", {"env": "test"}),
        ("prod-us", "prod-us", {"env": "prod"}),
    ],
)
def test_an_inventory_says_where_backstay_runs_and_which_cluster_it_is(
    cluster: str, name: str, labels: dict[str, str]
) -> None:
    known = Inventory(
        cluster=cluster, uid="1", taken=None, labels={"env": "prod"}, own_namespace="backups"
    )
    found = for_cluster(HERE, known)
    assert found is not None
    assert (found.cluster.name, dict(found.cluster.labels)) == (name, labels)
    assert found.own_namespace == "backups"
    assert found.grants == HERE.grants


def test_without_an_inventory_config_is_as_it_is() -> None:
    assert for_cluster(HERE, None) is HERE
    assert for_cluster(None, Inventory(cluster="prod-us", uid="1", taken=None)) is None


@pytest.mark.parametrize("mode", [[], ["--base", "HEAD"]])
@pytest.mark.parametrize("given", ["", " , "])
def test_a_gate_that_names_nothing_is_wrong_usage(
    mode: list[str], given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["plan", *mode, "--fail-on", given]) == 2
    assert "--fail-on names nothing" in capsys.readouterr().err
