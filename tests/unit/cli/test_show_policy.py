"""``backstay show policy``: from a folder, without Config and without a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import main
from tests.unit.policy.test_effective import SMALL
from tests.unit.policy.yamltexts import CONFIG, GOLD, MAIN


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/main.yaml").write_text(MAIN)
    (tmp_path / "policies/profiles.yaml").write_text(GOLD)
    (tmp_path / "policies/shop.yaml").write_text(SMALL)
    (tmp_path / "policies/backstay.yaml").write_text(f"{CONFIG}sharedKeyInTenants: true\n")
    return tmp_path


def test_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["show", "policy", "shop", "policies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "BackupPolicy shop, policies/shop.yaml:3, with Profile gold, policies/profiles.yaml:3"
    )
    zone = next(line for line in lines if line.startswith("schedule.timeZone"))
    assert zone.split() == [
        "schedule.timeZone",
        "Europe/Berlin",
        "policies/profiles.yaml:5",
        "(profile)",
    ]


def test_json_with_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["show", "policy", "shop", "policies", "--config", "policies/backstay.yaml"]
    assert main.run([*arguments, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["formatVersion"], document["type"]) == (1, "policy")
    assert document["cluster"] == "prod-eu"
    assert document["elsewhere"].startswith("it is for clusters with env=prod")


def test_yaml(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["show", "policy", "shop", "policies/", "-o", "yaml"]) == 0
    out = capsys.readouterr().out
    Path("whole.yaml").write_text(out)
    assert main.run(["validate", "whole.yaml", "policies/main.yaml"]) == 0


def test_problems(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("policies/profiles.yaml").write_text(GOLD.replace("30", "0"))
    assert main.run(["show", "policy", "shop", "policies"]) == 4
    err = capsys.readouterr().err
    assert "policies/profiles.yaml:7:26: error: `keepDaily` must be at least 1" in err
    assert "hint: policy shop is held: its Profile gold has a problem" in err


def test_unknown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["show", "policy", "shp", "policies"]) == 2
    assert capsys.readouterr().err == "error: there is no policy shp\nhint: did you mean `shop`?\n"


def test_a_cluster_that_no_config_could_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["show", "policy", "shop", "policies", "--cluster", "BAD_"]) == 2
    assert "--cluster BAD_ is not a DNS-1123 label" in capsys.readouterr().err


def test_without_paths_config_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["show", "policy", "shop"]) == 2
    assert "Config backstay.yaml can't be read" in capsys.readouterr().err
