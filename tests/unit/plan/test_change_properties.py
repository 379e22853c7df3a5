"""What holds for every change: no surprise from order, from repeating, or from other policies."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.finding import Finding
from tests.unit.plan.change_world import FILES, MAIN, PROFILES, plan
from tests.unit.policy.yamltexts import HEAD

NAMES = ("shop", "shop-blue", "crm", "lab", "shop-*", "*", "nowhere")
SELECTORS = st.one_of(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(
        lambda names: "names: [" + ", ".join(f'"{name}"' for name in names) + "]"
    ),
    st.just("matchLabels: {backup: gold}"),
)


@st.composite
def policy(draw: st.DrawFn, name: str) -> str:
    selector = draw(SELECTORS)
    exclude = draw(st.sampled_from(["", ', exclude: ["*-blue"]', ", exclude: [crm]"]))
    profile = draw(st.booleans())
    volumes = draw(st.sampled_from(["Direct", "Skip"]))
    own = "  profile: gold\n" if profile else (
        f'  schedule: "17 4 * * *"\n  volumes: {{copyMethod: {volumes}}}\n'
        "  retention: {keepDaily: 7}\n"
    )  # fmt: skip
    suspend = "  suspend: true\n" if draw(st.booleans()) else ""
    return (
        f"{HEAD}kind: BackupPolicy\nmetadata: {{name: {name}}}\nspec:\n{suspend}{own}"
        f"  selector: {{namespaces: {{{selector}{exclude}}}}}\n"
    )


@st.composite
def files(draw: st.DrawFn) -> dict[str, str]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True))
    return {
        "main.yaml": MAIN,
        "profiles.yaml": PROFILES,
        **{f"{name}.yaml": draw(policy(name)) for name in names},
    }


@settings(max_examples=12)
@given(base=files(), head=files())
def test_the_same_input_makes_the_same_plan(base: dict[str, str], head: dict[str, str]) -> None:
    assert plan(head, base) == plan(head, base)


@settings(max_examples=12)
@given(files())
def test_no_change_makes_an_empty_plan(both: dict[str, str]) -> None:
    found = plan(both, both)
    assert found.empty
    assert found.before == found.after


@settings(max_examples=12)
@given(base=files(), head=files(), data=st.data())
def test_the_order_of_files_never_matters(
    base: dict[str, str], head: dict[str, str], data: st.DataObject
) -> None:
    def shuffled(found: dict[str, str]) -> dict[str, str]:
        return dict(data.draw(st.permutations(sorted(found.items()))))

    assert plan(shuffled(head), shuffled(base)) == plan(head, base)


@settings(max_examples=12)
@given(base=files(), head=files())
def test_names_of_files_never_matter(base: dict[str, str], head: dict[str, str]) -> None:
    """One file with all documents says the same as one each, but for the places."""

    def together(found: dict[str, str]) -> dict[str, str]:
        return {"all.yaml": "---\n".join(found.values())}

    def placeless(findings: tuple[Finding, ...]) -> list[Finding]:
        return [replace(finding, place=None) for finding in findings]

    one = plan(together(head), together(base))
    assert placeless(one.findings) == placeless(plan(head, base).findings)


@settings(max_examples=12)
@given(base=files(), head=files(), added=policy("zebra"))
def test_adding_a_policy_never_changes_what_is_done_to_another(
    base: dict[str, str], head: dict[str, str], added: str
) -> None:
    """Protection may be gained twice or be saved; no other document differs."""
    alone = plan(head, base)
    beside = plan({**head, "zebra.yaml": added}, base)
    assert [one for one in beside.changes if one.name != "zebra"] == list(alone.changes)
    known = {(one.id, one.policy, one.message) for one in alone.findings}
    new = [one for one in beside.findings if (one.id, one.policy, one.message) not in known]
    quiet = {"coverage-gained", "claim-twice", "copy-impossible", "policy-renamed", "pile-up"}
    quiet.add("selects-nothing")
    assert {one.id for one in new if one.policy == "zebra"} <= quiet
    assert {one.id for one in new if one.policy != "zebra"} <= {
        "coverage-lost", "coverage-gained", "claim-twice", "pile-up", "protector-changed",
    }  # fmt: skip
    assert beside.before == alone.before


@settings(max_examples=12)
@given(base=files(), head=files())
def test_back_and_forth(base: dict[str, str], head: dict[str, str]) -> None:
    """What one way loses, the other way gains."""
    there, back = plan(head, base), plan(base, head)
    assert (there.before, there.after) == (back.after, back.before)
    lost = {one.id for one in there.findings} & {"coverage-lost"}
    gained = {one.id for one in back.findings} & {"coverage-gained"}
    assert bool(lost) == bool(gained)


def test_the_world_is_covered() -> None:
    assert set(FILES) > {"main.yaml", "profiles.yaml"}
