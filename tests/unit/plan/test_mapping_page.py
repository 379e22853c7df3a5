"""docs/mapping.md names what the code follows, drops and warns of."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.plan import mappingrefs, mappingtaken, mappingtracking, mappingwarnings

PAGE = (Path(__file__).parents[3] / "docs/mapping.md").read_text()


@pytest.mark.parametrize(
    "name",
    [
        *sorted(mappingrefs.NAME_LABELS),
        *sorted(mappingrefs.PLACED),
        *mappingtaken.ADDRESS_ANNOTATIONS,
        mappingtaken.DNS_ANNOTATION,
        mappingtracking.INSTANCE,
        *(f"{mark}*" if mark.endswith("/") else mark for mark, _ in mappingtracking.TRACKING),
        *mappingwarnings.IDENTITIES,
        mappingwarnings.EXTERNAL,
    ],
)
def test_every_label_and_annotation_is_named(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_every_tool_and_its_actors_are_named() -> None:
    for tool in {owner for _, owner in mappingtracking.TRACKING} - {
        "kapp",
        "Fleet",
        "kubectl",
        "kpt",
    }:
        assert f"| {tool} |" in PAGE
    for folder, tool in mappingtracking.ACTORS.items():
        assert tool in PAGE
        assert folder.partition(".")[0] in PAGE.lower()


def test_every_kind_of_route_is_named() -> None:
    for folder in mappingtaken.ROUTES:
        assert folder.partition(".")[0] in PAGE.lower()
