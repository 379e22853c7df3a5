"""``backstay validate``: what it reads, what it prints, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import validate
from reconciler.model.errors import UsageError
from tests.unit.policy.yamltexts import CONFIG, MAIN, SHOP


def run(*arguments: str | Path) -> tuple[int, str]:
    result: Result = CliRunner().invoke(
        validate.command, [str(argument) for argument in arguments], standalone_mode=False
    )
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.yaml").write_text(MAIN)
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "shop.yml").write_text(SHOP)
    return tmp_path


def test_valid(folder: Path) -> None:
    assert run(folder) == (0, "1 policy, 1 repository: valid\n")
    assert run(folder / "main.yaml", folder / "team") == (0, "1 policy, 1 repository: valid\n")


def test_problems(folder: Path) -> None:
    shop = folder / "team" / "shop.yml"
    shop.write_text(SHOP.replace("keepDaily", "keepDaly"))
    expected = (
        f"{shop}:8:15: error: unknown field `keepDaly` in retention\n"
        "    8 |   retention: {keepDaly: 7}\n"
        "      |               ^^^^^^^^ did you mean `keepDaily`?\n"
        "1 problem in 1 file\n"
    )
    assert run(folder) == (4, expected)


def test_json(folder: Path) -> None:
    (folder / "x.yaml").write_text("a: no\n")
    code, output = run(folder, "-o", "json")
    document = json.loads(output)
    assert (code, document["valid"], document["counts"]) == (
        4,
        False,
        {"policy": 1, "repository": 1},
    )
    assert {problem["file"] for problem in document["problems"]} == {str(folder / "x.yaml")}


def test_config_decides_what_policies_may_do(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "backstay.yaml"
    config.write_text(CONFIG)
    assert run(folder) == (0, "1 policy, 1 repository, 1 config: valid\n")
    code, output = run(folder, "--config", config)
    assert code == 4
    assert "Config allows it with sharedKeyInTenants: true" in output
    config.write_text(f"{CONFIG}sharedKeyInTenants: true\n")
    assert run(folder, "--config", config)[0] == 0
    config.write_text(f"{CONFIG}sharedKeyInTenant: true\n")
    assert "did you mean `sharedKeyInTenants`?" in run(folder)[1]


def test_grants_are_judged_at_the_root_of_the_repository(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "backstay.yaml"
    config.write_text(f"{CONFIG}sharedKeyInTenants: true\ngrants: [{{path: team, admin: true}}]\n")

    def told(*paths: str) -> str:
        words = [*paths, "--config", str(config)]
        return CliRunner().invoke(validate.command, words, standalone_mode=False).stderr

    monkeypatch.chdir(folder / "team")
    assert "run this command there" in told("shop.yml")
    monkeypatch.chdir(folder)
    (folder / ".git").mkdir()
    assert told("main.yaml", "team") == ""


def test_a_policy_in_a_file_with_the_name_of_config_counts_as_for_the_controller(
    folder: Path,
) -> None:
    (folder / "team" / "shop.yml").rename(folder / "backstay.yaml")
    assert run(folder) == (0, "1 policy, 1 repository: valid\n")
    with (folder / "backstay.yaml").open("a") as file:
        file.write(f"---\n{CONFIG}")
    code, output = run(folder)
    assert code == 4
    assert "Config does not belong among the policies" in output
    assert "give it with --config" in output


def test_what_is_given_as_config_and_is_none(folder: Path, tmp_path: Path) -> None:
    code, output = run(folder, "--config", folder / "team" / "shop.yml")
    assert code == 4
    assert "a BackupPolicy belongs among the policies; --config names the Config" in output
    both = tmp_path / "both.yaml"
    both.write_text(f"{CONFIG}---\n{SHOP}")
    assert "policies stand in files of their own" in run(folder, "--config", both)[1]
    both.write_text(CONFIG.replace("kind: Config", "kind: Settings"))
    wanted = "write apiVersion: backstay.dev/v1alpha1 and kind: Config"
    assert wanted in run(folder, "--config", both)[1]


def test_links_and_submodules_are_not_followed(folder: Path) -> None:
    (folder / "link.yaml").symlink_to("/etc/passwd")
    (folder / "up").symlink_to(folder)
    (folder / "module").mkdir()
    (folder / "module" / ".git").write_text("gitdir: x\n")
    (folder / "module" / "x.yaml").write_text("[")
    (folder / ".github").mkdir()
    (folder / ".github" / "ci.yaml").write_text("on: [")
    code, output = run(folder)
    assert code == 4
    assert output == (
        f"{folder}/link.yaml:1:1: error: a symbolic link is not followed\n"
        "     hint: put the file itself there\n"
        f"{folder}/module:1:1: error: a submodule is not followed\n"
        "     hint: it is a repository of its own: put the files themselves there\n"
        f"{folder}/up:1:1: error: a symbolic link is not followed\n"
        "     hint: put the file itself there\n"
        "3 problems in 3 files\n"
    )


def test_a_file_that_is_no_policy_file(folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match=r"notes\.txt is no policy file"):
        run(folder / "notes.txt")


def test_the_worked_examples_are_valid() -> None:
    examples = Path(__file__).parents[3] / "policies"
    assert run(examples)[0] == 0
