"""What can't be a policy's former name."""

from __future__ import annotations

import pytest

from tests.unit.policy.yamltexts import MAIN, SHOP, messages, parse, parse_policy


def heir(name: str, former: str) -> str:
    return SHOP.replace("{name: shop}", f"{{name: {name}}}") + f"  renamedFrom: {former}\n"


def test_a_former_name_is_in_the_value() -> None:
    assert parse_policy(heir("web", "shop")).renamed_from == "shop"
    assert parse_policy(SHOP).renamed_from is None
    assert "renamedFrom" not in parse_policy(SHOP).to_json()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([heir("web", "web")], ["its own name"]),
        ([SHOP, heir("web", "shop")], ["policy shop is still there"]),
        ([heir("a", "b"), heir("b", "a")], ["policy b is still there", "policy a is still there"]),
        ([heir("a", "x"), heir("b", "x")], ["policy b is renamed from x", "policy a is renamed"]),
    ],
)
def test_what_is_none(texts: list[str], expected: list[str]) -> None:
    found = messages(parse(MAIN, *texts))
    assert len(found) == len(expected)
    for said, part in zip(found, expected, strict=True):
        assert part.replace("its own name", "the policy's own name") in said
        # Who gives the name to another policy later mends it by removing the line of the heir.
        assert said.endswith("once a run under the new name is recorded, the line can go as well")
