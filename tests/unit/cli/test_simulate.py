"""``backstay simulate`` over files: outputs, wrong usage, problems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import main
from tests.unit.policy.yamltexts import CONFIG, MAIN, SHOP

FROM = ["--from", "2026-11-21T18:00:00Z"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a Repository and the policy shop, at 04:17 UTC or Berlin's."""
    (tmp_path / "main.yaml").write_text(MAIN)
    (tmp_path / "shop.yaml").write_text(SHOP)
    return tmp_path


def test_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulate", str(folder), *FROM]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Simulation of 1 policy, 30 days from 2026-11-21T18:00:00Z\n")
    assert said.out.endswith("\n1 policy, 30 runs\n")
    assert said.err == ""


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["simulate", str(folder), *FROM, "--days", "2", "--within", "1h", "-o", "json"]
    assert main.run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["formatVersion"], document["kind"]) == (1, "Simulation")
    assert (document["since"], document["until"], document["withinSeconds"]) == (
        "2026-11-21T18:00:00Z",
        "2026-11-23T18:00:00Z",
        3600,
    )
    assert len(document["policies"][0]["runs"]) == 2


def test_markdown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulate", str(folder), *FROM, "-o", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("### Simulation of 1 policy")


def test_github_has_the_line_of_the_policy(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.parent))
    promise = "spec:\n  objectives: {rpo: 1h}\n"
    (folder / "shop.yaml").write_text(SHOP.replace("spec:\n", promise, 1))
    assert main.run(["simulate", str(folder), *FROM, "-o", "github"]) == 0
    warning, *_, last = capsys.readouterr().out.splitlines()
    assert warning.startswith(f"::warning file={folder.name}/shop.yaml,line=")
    assert "objectives.rpo promises 1h" in warning
    assert last == "1 policy, 30 runs; 1 can't keep its RPO"


def test_without_a_time_it_begins_now(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulate", str(folder), "--days", "1"]) == 0
    assert "1 policy, 1 run\n" in capsys.readouterr().out


def test_a_hash_needs_the_name_of_the_cluster(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "shop.yaml").write_text(SHOP.replace("17 4 * * *", "H 4 * * *"))
    assert main.run(["simulate", str(folder), *FROM]) == 2
    said = capsys.readouterr().err
    assert "the schedule of shop has `H`, which depends on the cluster" in said
    assert "give --cluster NAME" in said
    assert main.run(["simulate", str(folder), *FROM, "--cluster", "prod-eu"]) == 0
    named = capsys.readouterr().out
    config = folder / "backstay.yaml"
    config.write_text(CONFIG.rstrip() + "\nsharedKeyInTenants: true\n")
    assert main.run(["simulate", str(folder), *FROM, "--config", str(config)]) == 0
    assert capsys.readouterr().out == named


def test_problems_are_told_and_the_good_policies_are_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mail.yaml").write_text(
        SHOP.replace("name: shop", "name: mail").replace("17 4 * * *", "0 4 * * 7")
    )
    assert main.run(["simulate", str(folder), *FROM]) == 4
    said = capsys.readouterr()
    assert "1 policy, 30 runs" in said.out
    assert "has 7 for the day of week, which CronJob refuses" in said.err
    assert "hint: write 0 or SUN for Sunday" in said.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--from", "tomorrow"], "--from tomorrow is no time"),
        (["--from", "0001-01-01"], "not between 1970 and 2100"),
        (["--within", "soon"], "--within soon is not a duration"),
        (["--cluster", "BAD_"], "--cluster BAD_ is not a DNS-1123 label"),
        (["--days", "0"], "'--days'"),
        (["--days", "100000"], "'--days'"),
    ],
)
def test_wrong_usage(
    arguments: list[str], reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["simulate", str(folder), *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_folder_without_policies_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["simulate", str(tmp_path)]) == 2
    assert "there is no *.yaml or *.yml file" in capsys.readouterr().err


def test_a_date_means_its_begin_in_utc(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulate", str(folder), "--from", "2026-11-21", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["since"] == "2026-11-21T00:00:00Z"
