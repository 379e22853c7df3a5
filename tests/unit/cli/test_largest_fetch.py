"""The bound of a fetch is the variable's, where one is set."""

from __future__ import annotations

import pytest

from reconciler.adapters.gitprocess import FETCH_VARIABLE, LARGEST_FETCH
from reconciler.cli import wiring
from reconciler.model.errors import UsageError


@pytest.mark.parametrize(
    ("given", "wanted"), [("", LARGEST_FETCH), ("1", 1 << 20), ("8192", 8 << 30)]
)
def test_a_number_of_mebibytes(monkeypatch: pytest.MonkeyPatch, given: str, wanted: int) -> None:
    monkeypatch.setenv(FETCH_VARIABLE, given)
    assert wiring.largest_fetch() == wanted
    monkeypatch.delenv(FETCH_VARIABLE)
    assert wiring.largest_fetch() == LARGEST_FETCH


@pytest.mark.parametrize("given", ["0", "-1", "8GiB", "1.5", "٣", "1" * 10, " 1", "1\n"])
def test_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(FETCH_VARIABLE, given)
    with pytest.raises(UsageError, match=f"^{FETCH_VARIABLE} is not a number of MiB"):
        wiring.largest_fetch()
