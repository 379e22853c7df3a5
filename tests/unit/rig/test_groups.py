"""Modules of the cluster tier stay together."""

from __future__ import annotations

import pytest

from tests.rig.groups import CLUSTER, GATED, group_of


def test_a_module_is_a_group_and_those_that_break_things_are_two() -> None:
    assert group_of("tests/cluster/test_path.py::test_a[x::y]") == "tests/cluster/test_path.py"
    found = {group_of(f"{CLUSTER}{module}.py::test_a") for module in GATED}
    assert found == {"gated: runs", "gated: all else"}
    assert group_of("tests/system/restic/test_s3.py::test_a") == (
        "tests/system/restic/test_s3.py::test_a"
    )


def test_the_groups_are_what_the_cluster_tier_runs_with(request: pytest.FixtureRequest) -> None:
    """xdist takes the first scheduler that a plugin offers; without ours each test ran anywhere."""
    hook = request.config.hook
    if not hasattr(hook, "pytest_xdist_make_scheduler"):
        return
    offered = [
        found.plugin_name
        for found in hook.pytest_xdist_make_scheduler.get_hookimpls()
        if found.plugin_name.endswith("tests/conftest.py")
    ]
    assert len(offered) == 1
