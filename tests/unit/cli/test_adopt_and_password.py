"""Who adopts, and when a password can be printed without the cluster."""

from __future__ import annotations

import getpass
from dataclasses import replace

import pytest

from reconciler.cli.adopt import who
from reconciler.cli.password import needs_cluster
from reconciler.model.config import Credentials
from tests.unit.engine.run_world import CONFIG


def test_a_user_without_a_name_adopts_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "jane")
    assert who() == "jane"

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert who() == ""


def test_the_day_after_a_cluster_died_config_is_enough() -> None:
    folders = {"restic-main": Credentials(file="/keys/restic")}
    store = CONFIG.manifest_store
    assert needs_cluster(CONFIG)
    assert not needs_cluster(replace(CONFIG, secrets=folders))
    by_file = replace(store, credentials=Credentials(file="/keys/git"))
    assert not needs_cluster(replace(CONFIG, secrets=folders, manifest_store=by_file))
    by_secret = replace(store, credentials=Credentials(secret_ref="git"))
    assert needs_cluster(replace(CONFIG, secrets=folders, manifest_store=by_secret))
