"""What is accepted is what a guard holds: `accept` without any is refused."""

from __future__ import annotations

import pytest

from tests.unit.policy.yamltexts import GOLD, HEAD, MAIN, messages, parse

DIGEST = "7f3c0c3a5d1e4b6f8a9b0c1d2e3f4a5b"
REFUSED = "`guards.accept` is given, and no guard that could hold anything"


def policy(guards: str, profile: str = "") -> str:
    return (
        f"{HEAD}kind: BackupPolicy\nmetadata: {{name: shop}}\nspec:\n{profile}"
        "  selector: {namespaces: [shop]}\n  schedule: 17 4 * * *\n"
        f"  volumes: {{copyMethod: Direct}}\n  retention: {{keepDaily: 3}}\n  guards: {guards}\n"
    )


def test_alone_it_is_refused_with_its_line() -> None:
    parsed = parse(MAIN, policy(f"{{accept: {DIGEST}}}"))
    assert [REFUSED in told for told in messages(parsed)] == [True]
    assert parsed.policies == ()
    (problem,) = parsed.problems
    assert problem.path == "spec.guards.accept"


@pytest.mark.parametrize("guard", ["maxShrink: 50%", "minObjects: 3"])
def test_with_a_guard_it_is_taken_also_where_a_profile_has_it(guard: str) -> None:
    (alone,) = parse(MAIN, policy(f"{{accept: {DIGEST}, {guard}}}")).policies
    profile = f"{GOLD}  guards: {{{guard}}}\n"
    parsed = parse(MAIN, profile, policy(f"{{accept: {DIGEST}}}", "  profile: gold\n"))
    assert messages(parsed) == []
    assert parsed.policies[0].guards == alone.guards
    assert alone.guards is not None
    assert alone.guards.accept == DIGEST
