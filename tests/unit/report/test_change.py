"""A plan of a change as text and JSON: golden, because docs and scripts rely on them."""

from __future__ import annotations

import json

from reconciler.model.change import ChangePlan
from reconciler.report.change import render_text, to_json
from tests.conftest import Golden
from tests.unit.plan.change_world import FILES, SHOP, edited, plan


def everything() -> ChangePlan:
    """A change with a bit of all."""
    head = edited(
        shop=('exclude: ["*-preview"]', 'exclude: ["*-preview", "*-blue"]'),
        profiles=("keepDaily: 7", "keepDaily: 3"),
        main=("/backups/", "/elsewhere/"),
    )
    more = SHOP.replace("{name: shop}", "{name: more}").replace("17 4", "37 3")
    head["more.yaml"] = more.replace('shop, "shop-*"', "crm, lab")
    head["broken.yaml"] = SHOP.replace("{name: shop}", "{name: broken}").replace(
        "keepDaily: 7", "keepDaly: 7"
    )
    return plan(head)


def nothing() -> ChangePlan:
    return plan(FILES)


def test_text(golden: Golden) -> None:
    golden("report/change.txt", render_text(everything()))
    assert render_text(nothing()) == (
        "Plan of a change for prod-eu: main to head\n\n"
        "protected after it: 3 namespaces, 3 claims\nnothing changes for the backups\n"
    )


def test_json(golden: Golden) -> None:
    golden("report/change.json", json.dumps(to_json(everything()), indent=1) + "\n")
    document = to_json(nothing())
    assert (document["formatVersion"], document["empty"], document["findings"]) == (1, True, [])
