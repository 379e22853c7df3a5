"""``backstay coverage`` over files: outputs, the gate, wrong usage, problems."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from reconciler.cli import coverage as verb
from reconciler.cli import main
from reconciler.model.cluster import Namespace
from reconciler.model.inventory import NamespaceInventory, PointDigest
from reconciler.model.run import Outcome
from tests.unit.plan.inventories import small
from tests.unit.plan.test_inventory_files import files_of
from tests.unit.policy.yamltexts import CONFIG, EXEMPT, MAIN, SHOP

CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: {namespace}}}
---
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n---\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with policies/ (shop, an exemption of scratch-*) and manifests/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    text = "---\n".join([MAIN, SHOP, EXEMPT.replace("2027-03-31", "2099-03-31")])
    (tmp_path / "policies" / "all.yaml").write_text(text)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "all.yaml").write_text(
        CLAIM.format(name="data", namespace="shop")
        + CLAIM.format(name="tmp", namespace="scratch-1")
        + NAMESPACE.format(name="shop")
        + NAMESPACE.format(name="scratch-1")
    )
    return tmp_path


def coverage(*arguments: str) -> int:
    # Imported with this file: the first test would have to wait for it.
    assert verb.command.name == "coverage"
    return main.run([verb.command.name, "policies", "--manifests", "manifests", *arguments])


def add(folder: Path, text: str) -> None:
    (folder / "manifests" / "more.yaml").write_text(text)


def test_all_is_covered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage("--fail-on", "unprotected", "--cluster", "prod-eu") == 0
    said = capsys.readouterr()
    assert said.out.startswith("Coverage of prod-eu, as its manifests will make it\n")
    assert "\nunprotected  0           0       0\n" in said.out
    assert said.err == ""


def test_the_gate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, CLAIM.format(name="mail", namespace="crm"))
    assert coverage() == 0
    assert "failed" not in capsys.readouterr().out
    assert coverage("--fail-on", " unprotected ,exemption-expired,") == 1
    assert "failed: unprotected: 1 namespace, 1 claim\n" in capsys.readouterr().out
    assert coverage("--fail-on", "exemption-expired,exemption-unused") == 0


def test_an_exemption_that_ended(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "policies" / "all.yaml").read_text().replace("2099-03-31", "2001-03-31")
    (folder / "policies" / "all.yaml").write_text(text)
    assert coverage("--fail-on", "exemption-expired") == 1
    said = capsys.readouterr().out
    assert "exemption scratch of team-ci expired on 2001-03-31T23:59:59Z" in said
    line = 1 + text[: text.index("kind: Exemption")].count("\n")
    assert f"[policies/all.yaml:{line - 2}]" in said


def test_json_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, CLAIM.format(name="mail", namespace="crm"))
    assert coverage("--json", "--fail-on", "unprotected") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["formatVersion"], document["kind"]) == (1, "Coverage")
    assert document["failed"] == ["unprotected: 1 namespace, 1 claim"]
    assert coverage("-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["lines"] == document["lines"]


def test_markdown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage("-o", "markdown") == 0
    assert capsys.readouterr().out.startswith("### Coverage of a cluster without a name")


def test_one_namespace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, CLAIM.format(name="mail", namespace="crm"))
    assert coverage("-n", "sh*", "-n", "scratch-1", "--fail-on", "unprotected") == 0
    assert "crm" not in capsys.readouterr().out.partition("note:")[0]
    assert coverage("-n", "shpo") == 2
    assert "no namespace matches shpo" in capsys.readouterr().err


def test_manifests_from_stdin(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CLAIM.format(name="mail", namespace="crm").encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert main.run(["coverage", "policies", "--manifests", "-"]) == 0
    assert "claim crm/mail" in capsys.readouterr().out


def test_a_policy_for_another_cluster_protects_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "policies" / "all.yaml"
    path.write_text(path.read_text().replace('  schedule: "', '  clusters: [dev]\n  schedule: "'))
    assert coverage("--fail-on", "unprotected", "--cluster", "dev") == 0
    assert coverage("--fail-on", "unprotected", "--cluster", "prod") == 1
    capsys.readouterr()
    assert coverage() == 0
    assert "note: no cluster was named" in capsys.readouterr().out


def test_config_says_which_cluster_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "backstay.yaml").write_text(CONFIG)
    assert coverage("--config", "backstay.yaml") == 4
    said = capsys.readouterr()
    assert said.out.startswith("Coverage of prod-eu,")
    assert "sharedKeyInTenants" in said.err
    (folder / "backstay.yaml").write_text(CONFIG + "sharedKeyInTenants: true\n")
    assert coverage("--config", "backstay.yaml", "--fail-on", "unprotected") == 0


def test_what_can_not_be_read_is_said_and_the_rest_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "a: b: c\n---\n" + CLAIM.format(name="mail", namespace="crm"))
    assert coverage("--fail-on", "unprotected") == 4
    said = capsys.readouterr()
    assert "claim crm/mail" in said.out
    assert "manifests/more.yaml:1:5: error: not YAML" in said.err
    (folder / "manifests" / "more.yaml").unlink()
    (folder / "policies" / "bad.yaml").write_text(SHOP.replace("shop", "bad").replace("17", "x"))
    assert coverage() == 4
    assert "policies/bad.yaml" in capsys.readouterr().err


def test_without_config_grants_are_not_held(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = (
        "  hooks:\n    - {name: q, pods: {matchLabels: {app: db}}, pre: {command: [sync]},"
        " post: {command: [sync]}}\n"
    )
    (folder / "policies" / "all.yaml").write_text("---\n".join([MAIN, SHOP + hook, EXEMPT]))
    assert coverage("--cluster", "prod-eu") == 0, capsys.readouterr().err
    publish(folder)
    asked = ["coverage", "policies", "--inventory", "inventory"]
    assert main.run(asked) == 0, capsys.readouterr().err
    (folder / "backstay.yaml").write_text(CONFIG + "sharedKeyInTenants: true\n")
    capsys.readouterr()
    assert main.run([*asked, "--config", "backstay.yaml"]) == 4
    said = capsys.readouterr()
    assert "the grant of folder . gives hooks none" in said.err
    assert "note: policy shop has problems and counts for nothing here: what only it" in said.out


def test_a_link_is_not_followed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "manifests" / "link.yaml").symlink_to("/etc/passwd")
    assert coverage() == 4
    assert "a symbolic link is not followed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-on", "sometimes"], "--fail-on sometimes: there is no such condition"),
        (["--cluster", "BAD_"], "--cluster BAD_ is not a DNS-1123 label"),
        (["--fail-on", ""], "--fail-on names nothing"),
        (["--fail-on", " , "], "--fail-on names nothing"),
        (["--fail-on", "unprotected", "--fail-on", ""], "--fail-on names nothing"),
        (["--fail-on", "stale"], "--fail-on stale needs recovery points"),
        (["--fail-on", "never"], "hint: what is not deployed yet has none"),
        (["--inventory", "nowhere"], "--inventory nowhere: there is no such folder"),
        (["--offline"], "no inventory is named"),
    ],
)
def test_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert coverage(*arguments) == 2
    assert message in capsys.readouterr().err


def test_nothing_to_judge_is_no_success(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "manifests" / "all.yaml").write_text("replicaCount: 3\n")
    assert coverage() == 2
    assert "there is no Kubernetes manifest in manifests" in capsys.readouterr().err
    (folder / "none").mkdir()
    assert main.run(["coverage", "none", "--manifests", "policies"]) == 2
    assert "there is no policy file in none" in capsys.readouterr().err


def test_a_cluster_is_not_chosen_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["coverage", "policies", "--cluster", "prod-eu"]) == 2
    assert "that is --context" in capsys.readouterr().err


def publish(folder: Path, **changed: object) -> None:
    """Write an inventory of prod-eu into ``inventory``, in place of what is there."""
    shutil.rmtree(folder / "inventory", ignore_errors=True)
    for name, data in files_of(replace(small(), **changed)).items():  # type: ignore[arg-type]
        path = folder / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_another_clusters_inventory_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(folder)
    config = CONFIG.replace("prod-eu", "eu-1") + "sharedKeyInTenants: true\n"
    (folder / "backstay.yaml").write_text(config)
    asked = ["coverage", "policies", "--config", "backstay.yaml", "--inventory", "inventory"]
    assert main.run(asked) == 2
    said = capsys.readouterr()
    assert "that inventory is of cluster prod-eu, not of eu-1" in said.err
    assert "hint: give --cluster prod-eu, or another inventory" in said.err
    assert main.run([*asked, "--cluster", "prod-eu"]) == 0


def test_an_old_inventory_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["coverage", "policies", "--inventory", "inventory"]
    publish(folder, taken=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    told = "note: the inventory is of 2026-01-02T03:04:05Z: what the cluster got or lost since"
    for more in ([], ["--manifests", "manifests"]):
        assert main.run([*asked, *more]) == 0
        assert told in capsys.readouterr().out
    publish(folder, taken=datetime.now(UTC))
    assert main.run(asked) == 0
    assert "the inventory is of" not in capsys.readouterr().out


def test_a_policy_and_a_cluster_that_had_other_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = NamespaceInventory(namespace=Namespace(name="shop"))
    held = PointDigest(
        policy="shop",
        run="shop-20261121-041703-00000",
        started=datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC),
        outcome=Outcome.COMPLETED,
        namespaces={"shop": Outcome.COMPLETED},
        claims={},
    )
    publish(folder, namespaces=(space,), points=(held,), taken=datetime.now(UTC))
    asked = ["coverage", "policies", "--inventory", "inventory", "--fail-on", "never"]
    file = folder / "policies" / "all.yaml"
    renamed = file.read_text().replace("metadata: {name: shop}", "metadata: {name: store}")
    file.write_text(renamed)
    assert main.run(asked) == 1
    assert "failed: never: 1 that no recovery point holds" in capsys.readouterr().out
    file.write_text(renamed.replace("  schedule:", "  renamedFrom: shop\n  schedule:"))
    assert main.run(asked) == 0
    assert "namespace shop: policy store (named), last 2026-11-21T04:17:03Z" in (
        capsys.readouterr().out
    )
    # A cluster's former name brings nothing back: its repositories get no new recovery points.
    publish(folder, namespaces=(space,), points=(), taken=datetime.now(UTC))
    config = CONFIG.replace("{name: prod-eu}", "{name: prod-eu, renamedFrom: eu-1}")
    (folder / "backstay.yaml").write_text(config + "sharedKeyInTenants: true\n")
    assert main.run([*asked, "--config", "backstay.yaml"]) == 1
    assert "this cluster was called eu-1" in capsys.readouterr().out
    publish(folder, namespaces=(space,), points=(held,), taken=datetime.now(UTC))
    assert main.run([*asked, "--config", "backstay.yaml"]) == 0
    assert "was called" not in capsys.readouterr().out
