"""Does a branch hold what its runs say? Judged commit by commit, from the oldest on. Pure.

What can be seen from the repository alone: that each commit was put on the one before it by a run
of this policy, and that record, trailers and tree say the same. Whoever holds the key to the
repository could write all three: against that stand signatures and tips that somebody remembers.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.run import Counts, Outcome, RunRecord
from reconciler.model.store import Commit


class Verdict(enum.StrEnum):
    """What is known after a check."""

    PROVEN = "proven"
    PROBLEM = "problem"
    UNPROVEN = "not proven"
    """It was asked for, and could not be answered: that is no proof."""
    SKIPPED = "not asked"
    """Nobody asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question of the report, with all that was found wrong."""

    name: str
    verdict: Verdict
    message: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A policy's branch: from where to where it was looked at, and what was found."""

    policy: str
    commits: int
    runs: int
    root: str = ""
    tip: str = ""
    first: datetime | None = None
    last: datetime | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The whole report. ``checks`` are of the repository as a whole."""

    cluster: str
    at: datetime
    where: str
    writer: str
    branches: tuple[Branch, ...]
    checks: tuple[Check, ...] = ()

    @property
    def all_checks(self) -> tuple[Check, ...]:
        """Those of the branches and those of the whole."""
        return (*(check for branch in self.branches for check in branch.checks), *self.checks)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many checks came to each verdict."""
        return Counter(check.verdict for check in self.all_checks)

    @property
    def verdict(self) -> Verdict:
        """``proven`` only if all that was asked for is; a report of no policy proves nothing."""
        found = self.counts
        if found[Verdict.PROBLEM]:
            return Verdict.PROBLEM
        if found[Verdict.UNPROVEN] or not found[Verdict.PROVEN] or not self.branches:
            return Verdict.UNPROVEN
        return Verdict.PROVEN


@dataclass(slots=True)
class Chain:
    """Follows a branch from its oldest commit: each has one parent, the one before it."""

    shallow: bool
    problems: list[str] = field(default_factory=list)
    commits: int = 0
    root: Commit | None = None
    tip: Commit | None = None

    def add(self, commit: Commit) -> None:
        """The next commit."""
        before = self.tip
        if before is None:
            self.root = commit
            if commit.parents and not self.shallow:
                self.problems.append(f"{commit.sha}: the commit before it is missing")
        elif commit.parents != (before.sha,):
            what = "is a merge" if len(commit.parents) > 1 else "does not follow the one before it"
            self.problems.append(f"{commit.sha}: {what}")
        self.commits += 1
        self.tip = commit

    def check(self) -> Check:
        """What is known of the history."""
        if self.problems:
            verdict, told = Verdict.PROBLEM, "the history is no chain of runs"
        elif self.shallow:
            verdict, told = Verdict.UNPROVEN, "the clone is shallow: what was before is not known"
        else:
            verdict, told = Verdict.PROVEN, f"{self.commits} commits, each on top of the one before"
        return Check(name="history", verdict=verdict, message=told, problems=tuple(self.problems))


def compare_record(
    record: RunRecord, tree: Mapping[str, int], *, cluster: str, policy: str
) -> Iterable[str]:
    """How a record contradicts the tree that it lies in, or the branch.

    ``tree``: namespace → objects in it, ``""`` for what is cluster-scoped. Where the run had gaps,
    files stay that it did not see: then there may be more than it counted.
    """
    if record.cluster.name != cluster:
        yield f"its record is of cluster {record.cluster.name}"
    if record.policy.name != policy:
        yield f"its record is of policy {record.policy.name}"
    if record.outcome is Outcome.FAILED:
        # It stored nothing: the tree is the one of the run before.
        return
    parts: dict[str, Counts] = {part.name: part.objects for part in record.namespaces}
    scoped = record.cluster_scoped
    parts[""] = scoped.objects if scoped else Counts()
    for name in sorted({*parts, *tree}):
        held, known = tree.get(name, 0), parts.get(name)
        where = f"namespace {name}" if name else "what is cluster-scoped"
        if known is None:
            yield f"its tree has {held} objects of {where}, of which its record does not know"
        elif held < known.captured or (held > known.captured and not record.gaps):
            yield f"its tree has {held} objects of {where}, and its record {known.captured}"


def check_of(name: str, problems: Sequence[str], *, good: str, bad: str, count: int) -> Check:
    """Proven where nothing is wrong; nothing to look at is no proof."""
    if problems:
        return Check(name=name, verdict=Verdict.PROBLEM, message=bad, problems=tuple(problems))
    verdict = Verdict.PROVEN if count else Verdict.UNPROVEN
    return Check(name=name, verdict=verdict, message=good if count else "there is none")
