"""How a namespace and a run are judged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.model.objects import Gap
from reconciler.model.run import Counts, NamespaceRecord, Outcome, VolumeRecord
from reconciler.plan.outcomes import Verdict, judge_left, judge_namespace, judge_run

COMPLETED = Verdict(Outcome.COMPLETED)


def volume(outcome: Outcome, reason: str = "") -> VolumeRecord:
    return VolumeRecord(claim="c", copy_method="Direct", why="", outcome=outcome, reason=reason)


def part(outcome: Outcome) -> NamespaceRecord:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return NamespaceRecord(name="n", outcome=outcome, captured=at, objects=Counts())


def test_copied_and_skipped_by_rule_is_complete() -> None:
    volumes = [volume(Outcome.COMPLETED), volume(Outcome.SKIPPED)]
    assert judge_namespace("shop", volumes, [], privileged=False) == COMPLETED
    assert judge_namespace("shop", [], [], privileged=False) == COMPLETED


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.PARTIALLY_FAILED])
def test_a_volume_that_is_missing_is_named_with_its_reason(outcome: Outcome) -> None:
    verdict = judge_namespace("shop", [volume(outcome, "no space")], [], privileged=False)
    assert verdict == Verdict(Outcome.PARTIALLY_FAILED, ("volume c: no space",))
    verdict = judge_namespace("shop", [volume(outcome)], [], privileged=False)
    assert verdict.reasons == (f"volume c: {outcome}",)


DENIED = (
    "1 file or attribute failed: 1 error: /data/c/a/f3: open /data/c/a/f3: permission denied",
    "cannot read the folder /data/c: Permission denied; is the volume mounted?",
)
WAY_ON = "kubectl annotate namespace shop backstay.dev/privileged-movers=true"


@pytest.mark.parametrize("reason", DENIED)
def test_a_file_that_denies_itself_to_a_mover_leads_to_root_once(reason: str) -> None:
    volumes = [
        volume(Outcome.FAILED, "no space"),
        volume(Outcome.PARTIALLY_FAILED, reason),
        volume(Outcome.PARTIALLY_FAILED, reason),
    ]
    reasons = judge_namespace("shop", volumes, [], privileged=False).reasons
    assert [WAY_ON in text for text in reasons] == [False, False, True, False]
    reasons = judge_namespace("shop", volumes, [], privileged=True).reasons
    assert not any(WAY_ON in text for text in reasons)


@pytest.mark.parametrize(
    "reason",
    [
        "git@storage: Permission denied (publickey)",
        "Fatal: unable to open repository at /srv/data/c2/x: permission denied",
        "1 error: /data/c/a/f3: open /data/c/a/f3: no such file or directory",
    ],
)
def test_root_is_not_the_way_on_where_something_else_denies(reason: str) -> None:
    reasons = judge_namespace("shop", [volume(Outcome.FAILED, reason)], [], privileged=False)
    assert reasons.reasons == (f"volume c: {reason}",)


def test_a_gap_spoils_its_namespace_and_one_without_namespace_spoils_all() -> None:
    mine = Gap(group="", plural="secrets", namespace="shop", folder="secret", reason="403")
    theirs = Gap(group="", plural="secrets", namespace="blog", folder="secret", reason="403")
    everywhere = Gap(group="apps", reason="503")
    assert judge_namespace("shop", [], [theirs], privileged=False) == COMPLETED
    verdict = judge_namespace("shop", [], [mine, theirs, everywhere], privileged=False)
    assert verdict.outcome is Outcome.PARTIALLY_FAILED
    assert verdict.reasons == (
        "not captured: secrets in namespace shop: 403",
        "not captured: *.apps: 503",
    )


def test_a_namespace_that_left_says_so() -> None:
    assert judge_left("why", intended=False) == Verdict(Outcome.PARTIALLY_FAILED, ("why",))
    assert judge_left("why", intended=True) == Verdict(Outcome.SKIPPED, ("why",))


def test_a_run_is_as_good_as_its_worst_namespace() -> None:
    good, bad, failed = map(part, (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED, Outcome.FAILED))
    assert judge_run([good, good]) is Outcome.COMPLETED
    assert judge_run([good, bad]) is Outcome.PARTIALLY_FAILED
    assert judge_run([failed, bad]) is Outcome.FAILED
