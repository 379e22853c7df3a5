"""docs/captured.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.capture import references
from reconciler.model.policy import ClusterScoped
from reconciler.policy.language import ObjectsPart

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/captured.md").read_text()


def test_the_table_has_each_kind_that_can_be_referred_to_once() -> None:
    folders = [folder for folder, _ in references.TABLE]
    assert sorted(folders) == sorted(references.CANDIDATES)


def test_every_field_and_value_is_explained() -> None:
    for name, info in ObjectsPart.model_fields.items():
        assert f"| `{info.alias or name}` |" in PAGE
    for mode in ClusterScoped:
        assert f"`{mode}`" in PAGE


def test_its_own_links_lead_somewhere() -> None:
    heads = {
        re.sub(r"[^a-z0-9-]", "", head.lower().replace(" ", "-"))
        for head in re.findall(r"^##+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([a-z0-9-]+)\)", PAGE)) <= heads
    for page, anchor in re.findall(r"\]\(([a-z/-]+\.md)(#[a-z-]+)?\)", PAGE):
        assert (ROOT / "docs" / page).exists()
        assert not anchor or f"## {anchor[1:].replace('-', ' ')}" in (
            (ROOT / "docs" / page).read_text().lower()
        )
