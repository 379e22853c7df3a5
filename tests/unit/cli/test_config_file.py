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
