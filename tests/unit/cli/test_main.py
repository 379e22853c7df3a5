"""The command's frame: verbs, errors, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from reconciler.cli import main, wiring
from reconciler.model import errors


def test_an_unknown_verb_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["bakcup"]) == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "meant"), [("validat", "validate"), ("restoer", "restore"), ("logs", "log")]
)
def test_a_verb_that_is_nearly_one_is_named(
    capsys: pytest.CaptureFixture[str], written: str, meant: str
) -> None:
    assert main.run([written]) == 2
    assert f"No such command '{written}'. Did you mean '{meant}'?" in capsys.readouterr().err
    assert main.run([written, "-o", "json"]) == 2
    assert f"Did you mean '{meant}'?" in json.loads(capsys.readouterr().err)["message"]
    assert main.run(["xyz"]) == 2
    assert "Did you mean" not in capsys.readouterr().err


def test_version_is_data_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("backstay ")


def test_error_shows_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    main.show_error(errors.WrongPassword("main does not open", hint="check it"), as_json=False)
    assert capsys.readouterr().err == "error: main does not open\nhint: check it\n"


def test_each_problem_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = [errors.Problem(file="a.yaml", line=n, column=5, message=f"no {n}") for n in (3, 4)]
    main.show_error(errors.InvalidInput(found), as_json=False)
    told = "a.yaml:3:5: error: no 3\na.yaml:4:5: error: no 4\nerror: 2 problems\n"
    assert capsys.readouterr().err == told


def test_show_tells_where_a_run_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["show", "shop-20261121-041703-7c1e9"]) == 2
    assert "backstay show run shop-20261121-041703-7c1e9" in capsys.readouterr().err


def test_a_kubeconfig_that_is_there_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for named, says in (("/dev/null", "is no file"), (f"{tmp_path}/none", "does not exist")):
        monkeypatch.setenv("KUBECONFIG", named)
        with pytest.raises(errors.Refused, match=f"{named} {says}"):
            wiring.cluster(None)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["restore", "-o", "json"], "Missing argument 'POLICY'.", "backstay restore --help"),
        (["restore", "shop", "--bogus", "-o", "json"], "No such option", "backstay restore --help"),
        (["restore", "shop", "-ojson", "--map-namespace", "x"], "not FROM=TO", "shop=shop2"),
        (["bakcup", "--output=json"], "No such command", "backstay --help"),
    ],
)
def test_wrong_usage_as_json(
    arguments: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    document = json.loads(capsys.readouterr().err)
    assert message in document["message"]
    assert hint in document["hint"]
    assert (document["reason"], document["exitCode"]) == ("Usage", 2)


def test_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    problem = errors.Problem(file="a.yaml", line=3, column=5, message="unknown field")
    main.show_error(errors.InvalidInput([problem]), as_json=True)
    document = json.loads(capsys.readouterr().err)
    assert document["exitCode"] == 4
    assert document["problems"] == [
        {"file": "a.yaml", "line": 3, "column": 5, "message": "unknown field"}
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["log", "-o", "json"], True), (["log", "--json"], True), (["log", "-o", "text"], False)],
)
def test_errors_follow_the_form_of_the_output(arguments: list[str], expected: bool) -> None:
    assert main.wants_json(arguments) is expected


def test_exit_codes_of_the_contract() -> None:
    expected: dict[type[errors.BackstayError], int] = {
        errors.UsageError: 2, errors.PartialFailure: 3, errors.InvalidInput: 4,
        errors.ForeignCluster: 4, errors.ClusterRenamed: 4,
        errors.RepositoryMissing: 10, errors.RepositoryLost: 10,
        errors.RepositoryLocked: 11, errors.WrongPassword: 12, errors.Interrupted: 130,
        errors.Transient: 1, errors.Refused: 1,
    }  # fmt: skip
    assert {kind: kind.exit_code for kind in expected} == expected


def test_with_detailed_exit_codes_no_error_passes_for_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = ["plan", "--config", "/nowhere/backstay.yaml"]
    assert main.run(missing) == 2
    assert main.run([*missing, "--detailed-exitcode"]) == 1
    assert main.run(["plan", "--detailed-exitcode", "--bogus"]) == 1
    assert main.error_code(130, ["--detailed-exitcode"]) == 130
    assert "/nowhere/backstay.yaml" in capsys.readouterr().err


def test_a_file_that_is_no_compiled_policy_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in (b"root:x:0:0", b"\xff\xfe", b"[]", b'{"formatVersion": 1}'):
        (tmp_path / "policy.json").write_bytes(data)
        assert main.run(["run", "shop", "--compiled", str(tmp_path / "policy.json")]) == 2
        assert "can't be read as a compiled policy" in capsys.readouterr().err


@click.command(name="boom")
def command() -> None:
    """Fails as nobody foresaw, and quotes what it works on."""
    raise KeyError("S3cret-Marker-4711")


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--detailed-exitcode"], 1)])
def test_i3_an_unexpected_error_is_told_without_its_text(
    options: list[str],
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(main.VERBS, "boom", (__name__, "Fails."))
    command.params = [click.Option(["--detailed-exitcode"], is_flag=True, expose_value=False)]
    assert main.run(["boom", *options]) == code
    said = capsys.readouterr()
    assert "an unexpected error ended the command: KeyError in " in said.err
    assert "hint: this is a fault of Backstay" in said.err
    assert "test_main.py:" in said.err
    assert "S3cret-Marker" not in said.out + said.err


def test_one_hint_for_all_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    hint = "look who wrote it"
    found = [errors.Problem(file="a", line=1, column=1, message="wrong", hint=hint)] * 2
    main.show_error(errors.InvalidInput(found, hint=hint), as_json=False)
    assert capsys.readouterr().err.count(hint) == 1


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        (["simulate"], "backstay simulate policies"),
        (["show", "policy", "shop"], "backstay show policy shop policies"),
        (["coverage"], "backstay coverage policies --inventory PATH|URL (or --manifests PATH)"),
        (
            ["coverage", "policies"],
            "backstay coverage policies --inventory PATH|URL (or --manifests PATH)",
        ),
        (["coverage", "--offline"], "backstay coverage policies --inventory PATH|URL"),
        (["coverage", "--manifests", "policies"], "backstay coverage policies --manifests PATH"),
        (["simulate", "policies", "--config", "none.yaml"], ""),
    ],
)
def test_without_config_the_other_way_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    way: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    assert main.run(arguments) == 2
    said = capsys.readouterr().err
    told = f"; or name the folder of policies: {way}" if way else ""
    assert said.endswith(f"hint: give its place with --config; deploy/README.md shows one{told}\n")


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        (["plan"], "or --base REV, to plan a change of the files"),
        (["coverage"], "or --inventory PATH|URL, for what its controller publishes"),
        (["show", "policy", "shop"], "or name the files, such as a clone's folder"),
        (
            ["log", "shop"],
            "or --clone PATH; or file or env for secrets.backstay-manifest-git in Config",
        ),
    ],
    ids=["plan", "coverage", "show", "log"],
)
def test_without_a_cluster_the_other_way_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    way: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = Path(__file__).parents[3] / "deploy/examples/small/backstay.yaml"
    assert main.run([*arguments, "--config", str(config)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: no cluster: {tmp_path}/.kube/config does not exist\n")
    assert said.endswith(f"hint: give --kubeconfig; {way}\n")
