"""What is known of a history that a person rewrote on purpose. Pure.

The commit that ends it says so (`backstay purge` makes it). That what lies below is what the runs
wrote nobody can prove any more, so it is not proven until somebody who knows of that rewrite says
so; what was put on top of it since is judged like everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.plan.verify import Check, Verdict

Rewritten = tuple[str, str, str]
"""The commit that says so, the tip that it took the place of, the last commit that stayed."""


def rewritten_commits(rewrites: Sequence[Rewritten], commits: Sequence[str]) -> Iterator[str]:
    """Those that were made anew; ``commits`` are the branch's, oldest first."""
    places = {sha: place for place, sha in enumerate(commits)}
    for mark, _, after in rewrites:
        first = places.get(after, -1) + 1
        yield from commits[first : places[mark]]


def check_rewrites(
    rewrites: Sequence[Rewritten], commits: Sequence[str], known: Sequence[str]
) -> Iterator[Check]:
    """One answer for each; ``known``: the ids, whole, of those that somebody knows of."""
    places = {sha: place for place, sha in enumerate(commits)}
    for one in rewrites:
        mark, old, _ = one
        count = len(tuple(rewritten_commits([one], commits)))
        since = len(commits) - places[mark] - 1
        told = (
            f"commit {mark} says that {count} commits below it were rewritten on purpose (the tip"
            f" was {old}); {since} came since"
        )
        if mark in known:
            yield Check(name="rewritten", verdict=Verdict.PROVEN, message=f"as you know: {told}")
        else:
            hint = f"if you know of it: --rewritten {mark}"
            yield Check(name="rewritten", verdict=Verdict.UNPROVEN, message=f"{told}; {hint}")
