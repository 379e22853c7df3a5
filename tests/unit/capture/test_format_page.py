"""docs/format.md says what the code does: it will be read when nobody remembers the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.capture import fingerprints, kept, message
from tests.cluster.unequal import UNEQUAL
from tests.unit.capture.test_fingerprints import FINGERPRINT, KEY, VECTORS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/format.md").read_text()
GOLDEN = ROOT / "tests/golden/capture"


@pytest.mark.parametrize(
    "name",
    [
        *("configmap.yaml", "secret.yaml", "_run.yaml", "_cluster.yaml", "_repositories.yaml"),
        "commit-message.txt",
    ],
)
def test_the_examples_are_the_golden_files(name: str) -> None:
    assert f"\n{(GOLDEN / name).read_text()}```\n" in PAGE


def test_what_does_not_come_back_the_same_is_what_a_test_shows() -> None:
    shown = (ROOT / "tests/cluster/test_capture_round_trip.py").read_text()
    assert [key for key in UNEQUAL if f'UNEQUAL["{key}"]' not in shown] == []


def test_the_vectors_are_those_of_the_tests() -> None:
    for value in (*VECTORS.values(), FINGERPRINT, KEY.hex()):
        assert f"`{value}`" in PAGE
    assert str(fingerprints.SHORTEST_MASTER) in PAGE


def test_every_trailer_and_annotation_is_named() -> None:
    trailers = (message.POLICY, message.RUN, message.REVISION, message.OUTCOME, message.STARTED)
    for key in (*trailers, message.OBJECTS, message.VOLUMES, message.RENAMED_FROM):
        assert f"`{key}`" in PAGE
    for key in (kept.OWNERS, kept.COMPLETED, kept.PHASE, kept.DATA_SOURCE):
        assert f"| `{key}` |" in PAGE


def test_every_label_and_annotation_in_the_code_is_named() -> None:
    """Also those that are put together from the group's name."""
    found: set[str] = set()
    for path in (ROOT / "reconciler").rglob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r"backstay\.dev/(?!v\d)([a-z][a-zA-Z-]*[a-zA-Z])", text))
        found |= set(re.findall(r"\{(?:naming\.)?GROUP\}/([a-z][a-zA-Z-]*[a-zA-Z])", text))
    assert {"component", "policy", "run", "captured-owners"} <= found
    assert [key for key in sorted(found - {"captured"}) if f"backstay.dev/{key}`" not in PAGE] == []
