"""A Config that is none, or has no end."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import wiring
from reconciler.model.errors import InvalidInput, UsageError
from tests.unit.policy.yamltexts import CONFIG


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc", "/nowhere/backstay.yaml"])
def test_what_is_no_file_is_wrong_usage(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        wiring.load_config(Path(path))
    assert "--config" in caught.value.hint


def test_a_file_that_is_too_large_is_read_no_further(tmp_path: Path) -> None:
    large = tmp_path / "backstay.yaml"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidInput):
        wiring.load_config(large)


def test_it_knows_where_the_installation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backstay.yaml"
    file.write_text(CONFIG)
    assert wiring.load_config(file).own_namespace == "backstay-system"
    monkeypatch.setenv("BACKSTAY_NAMESPACE", "backups")
    assert wiring.load_config(file).own_namespace == "backups"


def test_it_is_read_under_the_former_name_of_the_cluster(tmp_path: Path) -> None:
    file = tmp_path / "backstay.yaml"
    file.write_text(CONFIG.replace("name: prod-eu", "name: eu-1, renamedFrom: prod-eu"))
    config = wiring.load_config(file)
    assert wiring.under_former_name(config, None) == config
    assert wiring.under_former_name(config, "eu-1") == config
    former = wiring.under_former_name(config, "prod-eu")
    assert (former.cluster.name, former.cluster.renamed_from) == ("prod-eu", "")
    assert former.manifest_store == config.manifest_store
    with pytest.raises(UsageError, match="is neither cluster"):
        wiring.under_former_name(config, "prod-us")


def test_a_cluster_is_not_renamed_from_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "backstay.yaml"
    file.write_text(CONFIG.replace("name: prod-eu", "name: prod-eu, renamedFrom: prod-eu"))
    with pytest.raises(InvalidInput, match="is renamed from its own name"):
        wiring.load_config(file)
