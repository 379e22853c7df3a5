"""``backstay coverage`` from Git alone: policies in one repository, the inventory in another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main
from reconciler.model.cluster import Namespace
from reconciler.model.inventory import ClaimTemplate, Inventory, StorageClass
from tests.rig.policyrepo import PolicyRepository
from tests.unit.plan.protection_world import NOW, claim, inventory, point, space
from tests.unit.plan.test_inventory_files import files_of
from tests.unit.policy.yamltexts import EXEMPT, HEAD, MAIN, SHOP

OFFLINE = ("--inventory", "inventory.git")
LASTING = EXEMPT.replace("2027-03-31", "2099-03-31")


def cluster() -> Inventory:
    """What the controller of prod-eu has published."""
    template = ClaimTemplate(workload="db", name="data", replicas=1, storage_class="fast")
    shop = space("shop", claim("shop", "data-db-0"), templates=(template,))
    return replace(
        inventory(
            shop,
            space("scratch-1", claim("scratch-1", "tmp")),
            space("crm", claim("crm", "mail")),
            points=(point("shop", 5, "data-db-0"),),
            classes=(StorageClass(name="slow", provisioner="x", default=True),),
        ),
        revision="main@sha1:" + "0" * 40,
    )


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PolicyRepository:
    """Return the policies' repository; Config and the inventory's repository lie beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    published = PolicyRepository(tmp_path / "inventory.git", branch="inventory/prod-eu")
    published.push(files_of(cluster()))
    found = PolicyRepository(tmp_path / "policies.git")
    (tmp_path / "backstay.yaml").write_text(
        f"{HEAD}kind: Config\ncluster: {{name: prod-eu}}\n"
        f'policySource: {{url: "{found.url}", path: policies}}\n'
        f'manifestStore: {{url: "file://{tmp_path}/none.git"}}\n'
        "image: registry.example.org/backstay:1\nsharedKeyInTenants: true\n"
    )
    return found


def push(policies: PolicyRepository, *documents: str) -> str:
    """A revision with these documents; its name."""
    return policies.push({"policies/all.yaml": "---\n".join(documents).encode()})


def coverage(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """The JSON document of `backstay coverage`."""
    capsys.readouterr()
    assert main.run(["coverage", "--json", *arguments]) == code
    return json.loads(capsys.readouterr().out)


def states(document: Any) -> dict[str, str]:
    return {
        f"{one['subject']} {one['namespace']}/{one['name']}": one["state"]
        for one in document["lines"]
    }


def test_a_repository_and_an_inventory_are_enough(
    policies: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    revision = push(policies, MAIN, SHOP, LASTING)
    found = coverage(capsys, *OFFLINE)
    assert (found["cluster"], found["revision"]) == ("prod-eu", revision)
    assert found["taken"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert states(found) == {
        "namespace crm/": "unprotected",
        "claim crm/mail": "unprotected",
        "namespace scratch-1/": "exempt",
        "claim scratch-1/tmp": "exempt",
        "namespace shop/": "protected",
        "claim shop/data-db-0": "protected",
        "template shop/data": "protected",
    }
    line = next(one for one in found["lines"] if one["name"] == "data-db-0")
    assert line["policies"][0]["lastRecoveryPoint"]["started"] == "2026-11-21T15:00:00Z"
    gate = (*OFFLINE, "--fail-on", "unprotected,never")
    assert coverage(capsys, *gate, code=1)["failed"] == ["unprotected: 1 namespace, 1 claim"]
    assert coverage(capsys, *gate, "-n", "s*")["failed"] == []


def test_what_a_merge_would_do_to_coverage(
    policies: PolicyRepository, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    push(policies, MAIN, SHOP)
    change = tmp_path / "change"
    change.mkdir()
    (change / "all.yaml").write_text("---\n".join([MAIN, SHOP + "  suspend: true\n"]))
    found = coverage(capsys, "change", *OFFLINE)
    assert states(found)["claim shop/data-db-0"] == "unprotected"
    line = next(one for one in found["lines"] if one["name"] == "data-db-0")
    assert line["reasons"][0]["cause"] == "suspended"
    assert line["lastRecoveryPoint"]["policy"] == "shop"
    assert states(coverage(capsys, *OFFLINE))["claim shop/data-db-0"] == "protected"


def test_a_broken_policy_is_told_and_protects_nothing_here(
    policies: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    push(policies, MAIN, SHOP.replace("schedule", "scheduel"))
    assert main.run(["coverage", *OFFLINE]) == 4
    said = capsys.readouterr()
    assert "claim shop/data-db-0" in said.out.partition("Unprotected")[2]
    assert "unknown field `scheduel`" in said.err


def test_manifests_with_what_is_known_of_their_cluster(
    policies: PolicyRepository, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    known = cluster()
    labelled = tuple(
        replace(one, namespace=Namespace(name="crm", labels={"backup": "gold"}))
        if one.namespace.name == "crm"
        else one
        for one in known.namespaces
    )
    PolicyRepository(tmp_path / "inventory.git", branch="inventory/prod-eu").push(
        files_of(replace(known, namespaces=labelled))
    )
    gold = SHOP.replace("[shop]", "{matchLabels: {backup: gold}}").replace(
        "{copyMethod: Direct}",
        "{copyMethod: Direct, rules: [{match: {storageClass: slow}, copyMethod: Skip}]}",
    )
    push(policies, MAIN, gold)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "mail.yaml").write_text(
        "apiVersion: v1\nkind: PersistentVolumeClaim\n"
        "metadata: {name: mail, namespace: crm}\nspec: {}\n"
    )
    alone = coverage(capsys, "--manifests", "manifests")
    assert states(alone) == {"namespace crm/": "unprotected", "claim crm/mail": "unprotected"}
    assert any("labels are not known" in note for note in alone["notes"])
    both = coverage(capsys, "--manifests", "manifests", *OFFLINE)
    assert states(both) == {"namespace crm/": "protected", "claim crm/mail": "unprotected"}
    assert both["lines"][1]["reasons"][0]["why"] == "policy shop skips it: rule 1"
    assert (both["notes"], both["taken"]) == ([], None)


def test_without_an_inventory_it_says_what_to_do(
    policies: PolicyRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    push(policies, MAIN, SHOP)
    assert main.run(["coverage", *OFFLINE, "--cluster", "prod-us"]) == 1
    assert "there is no branch inventory/prod-us" in capsys.readouterr().err
