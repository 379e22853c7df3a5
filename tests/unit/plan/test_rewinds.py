"""What is written of a branch that was rewound: read back as it was, bounded, accepted in parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model import naming
from reconciler.plan.rewinds import (
    Rewind,
    Rewound,
    add_rewind,
    find_rewound,
    hint_of,
    message_of,
    messages_by_policy,
    read_rewinds,
    render_rewinds,
    unaccepted,
)

BRANCH = "clusters/prod-eu/shop"
AT = "2026-11-21T04:17:03Z"


def rewind(number: int, found: str = "") -> Rewind:
    return Rewind(expected=f"{number:040d}", found=found, at=AT, run=f"shop-{number}")


def lease(policy: str, text: str) -> dict[str, Any]:
    metadata = {"name": naming.tip_lease_name(policy), "annotations": {naming.REWOUND: text}}
    return {"kind": "Lease", "metadata": metadata}


def test_it_is_read_back_as_it_was() -> None:
    assert read_rewinds(told()) == Rewound("b", (Rewind(expected="a"),))
    rewinds = (rewind(1), rewind(2, "f" * 40))
    assert read_rewinds(render_rewinds(BRANCH, rewinds)) == Rewound(BRANCH, rewinds)
    assert render_rewinds(BRANCH, ()) == ""


def told(branch: object = "b", **changed: object) -> str:
    rewind = {"expected": "a", "found": "", "at": "", "run": "", **changed}
    return json.dumps({"branch": branch, "rewinds": [rewind]})


GARBAGE = (
    *("", "nonsense", "[]", "{}", "null", '"a"', "[" * 5000),
    *(f'{{"branch":"b","rewinds":{it}}}' for it in ("[]", "[{}]", '"abc"', "{}", "[1]", "null")),
    *(told(1), told("b" * 300), told(expected="a\n"), told(found=None), told(run="r" * 300)),
)


@pytest.mark.parametrize("text", GARBAGE)
def test_what_no_run_has_written_says_nothing(text: str) -> None:
    assert read_rewinds(text) is None
    assert find_rewound([lease("shop", text)]) == {}


def test_it_stays_short_however_often_a_branch_is_rewound() -> None:
    rewinds: tuple[Rewind, ...] = ()
    for number in range(50):
        rewinds = add_rewind(rewinds, rewind(number, "f" * 64))
    assert [one.run for one in rewinds] == ["shop-0", "shop-1", "shop-2", "shop-3", "shop-49"]
    assert len(render_rewinds(BRANCH, rewinds)) < 2000
    assert add_rewind(rewinds, rewind(1, "another")) == rewinds, "the first word stays"


def test_who_accepts_a_commit_says_nothing_of_what_was_found_above_it() -> None:
    places = {"newest": 0, "above": 1, "accepted": 2, "below": 3}
    found = {name: rewind(n, name) for n, name in enumerate((*places, "elsewhere", ""))}
    left = unaccepted(tuple(found.values()), places, "accepted")
    assert left == (found["newest"], found["above"])


def test_it_names_the_lost_commit_and_what_to_do() -> None:
    text = render_rewinds(BRANCH, (rewind(1, "f" * 40), rewind(2)))
    tell = messages_by_policy([lease("shop", text), lease("mail", ""), {"metadata": {"name": "x"}}])
    said = tell("shop")
    assert said.startswith(f"branch {BRANCH} was rewound or replaced: its tip was commit 0000")
    assert f"at {AT} it was at {'f' * 40}, and 1 times more since; runs go on" in said
    assert f"backstay verify shop --contains {1:040d}" in said
    assert said.endswith("backstay adopt --rewritten shop --tip COMMIT")
    assert tell("mail") == tell("docs") == ""
    gone = Rewound(BRANCH, (rewind(1),))
    assert "it was gone; runs go on" in message_of(gone)
    assert "verify mail" in hint_of("mail", gone)


def test_a_long_name_is_found_by_its_cut_one() -> None:
    name = "s" * 63
    assert messages_by_policy([lease(name, render_rewinds("b", (rewind(1),)))])(name)
