"""The commit message of a run: a subject, what a person should know, and trailers for programs.

The trailers alone are enough for a list of runs, so nobody has to read a tree for one::

    Backstay-Policy: shop
    Backstay-Run: shop-20261121-041703-7c1e9
    Backstay-Revision: main@sha1:4be1c9…
    Backstay-Outcome: Completed
    Backstay-Started: 2026-11-21T04:17:03Z
    Backstay-Objects: 412 +3 ~1 -0
    Backstay-Volumes: 10/11 +1288490188
    Backstay-Renamed-From: webshop

Objects: in the tree, created, changed, deleted. Volumes: stored, of how many that were to be
stored, and by how many bytes the repositories grew. Renamed-From: only of a policy that says so.
A commit that came late, or that was put again on top of one, ends with ``Backstay-Delivered:`` and
the time.
A history that a person rewrote on purpose (`backstay purge`) ends with a commit of its own, which
no run made: ``Backstay-Policy:``, ``Backstay-Rewritten:`` and the tip that it took the place of,
and ``Backstay-Rewritten-After:`` and the last commit that stayed, if one did.
A run id is the policy's name, the time that
its Job was created at and the beginning of the Job's uid: it sorts, and is a legal name.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.capture.record import render_time
from reconciler.model import run
from reconciler.model.errors import Stalled

POLICY = "Backstay-Policy"
RUN = "Backstay-Run"
REVISION = "Backstay-Revision"
OUTCOME = "Backstay-Outcome"
STARTED = "Backstay-Started"
OBJECTS = "Backstay-Objects"
VOLUMES = "Backstay-Volumes"
RENAMED_FROM = "Backstay-Renamed-From"
DELIVERED = "Backstay-Delivered"
REWRITTEN = "Backstay-Rewritten"
REWRITTEN_AFTER = "Backstay-Rewritten-After"

_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*): (.*)")
_OBJECTS = re.compile(r"(\d+) \+(\d+) ~(\d+) -(\d+)")
_VOLUMES = re.compile(r"(\d+)/(\d+) \+(\d+)")
_RUN_ID = re.compile(r"(?P<policy>.+)-(?P<time>\d{8}-\d{6})-[0-9a-f]{5}")
_RUN_TIME = "%Y%m%d-%H%M%S"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a commit says that ends a rewritten history. ``after`` is empty where all is new."""

    policy: str
    old: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the trailers of a run's commit say."""

    policy: str
    run_id: str
    revision: str
    outcome: run.Outcome
    started: datetime
    objects: run.Counts
    volumes_stored: int
    volumes_wanted: int
    volumes_added: int
    renamed_from: str = ""


def make_run_id(policy: str, created: datetime, uid: str) -> str:
    """The id of the run whose Job was ``created`` then and has this uid (a UUID).

    Raises ValueError for a uid that does not begin with five hex digits.
    """
    short = uid.replace("-", "").lower()[:5]
    if not re.fullmatch("[0-9a-f]{5}", short):
        raise ValueError(f"not a uid: {uid!r}")
    return f"{policy}-{created.astimezone(UTC).strftime(_RUN_TIME)}-{short}"


def parse_run_id(run_id: str) -> tuple[str, datetime]:
    """The policy and the time in a run id; raises ValueError if it is none."""
    found = _RUN_ID.fullmatch(run_id)
    if found is None:
        raise ValueError(f"not a run id: {run_id!r}")
    created = datetime.strptime(found["time"], _RUN_TIME).replace(tzinfo=UTC)
    return found["policy"], created


def summarise(record: run.RunRecord) -> Summary:
    """What the trailers of this record's commit will say."""
    volumes = [volume for part in record.namespaces for volume in part.volumes]
    wanted = [volume for volume in volumes if volume.outcome is not run.Outcome.SKIPPED]
    # How many were left out stands in the record only.
    objects = dataclasses.replace(record.objects, left_out=0)
    return Summary(
        policy=record.policy.name,
        run_id=record.name,
        revision=record.policy.revision,
        outcome=record.outcome,
        started=record.started,
        objects=objects,
        volumes_stored=sum(volume.outcome is run.Outcome.COMPLETED for volume in wanted),
        volumes_wanted=len(wanted),
        volumes_added=sum(volume.added for volume in wanted),
        renamed_from=record.policy.renamed_from,
    )


def render_message(record: run.RunRecord) -> str:
    """The whole message, ending in LF. Nothing in it can pass for a trailer that is none."""
    summary = summarise(record)
    counts = summary.objects
    subject = (
        f"{summary.policy}: {summary.outcome}, {counts.captured} objects "
        f"(+{counts.created} ~{counts.changed} -{counts.deleted}), "
        f"{_volumes_text(summary)}"
    )
    body = [_line(text) for text in _notes(record)]
    trailers = [f"{key}: {_line(value)}" for key, value in render_trailers(summary).items()]
    blocks = [[subject], body, trailers]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def render_trailers(summary: Summary) -> dict[str, str]:
    """The trailers in their order."""
    counts = summary.objects
    renamed = {RENAMED_FROM: summary.renamed_from} if summary.renamed_from else {}
    stored, wanted = summary.volumes_stored, summary.volumes_wanted
    return {
        POLICY: summary.policy,
        RUN: summary.run_id,
        REVISION: summary.revision,
        OUTCOME: summary.outcome.value,
        STARTED: render_time(summary.started),
        OBJECTS: f"{counts.captured} +{counts.created} ~{counts.changed} -{counts.deleted}",
        VOLUMES: f"{stored}/{wanted} +{summary.volumes_added}",
        **renamed,
    }


def parse_trailers(message: str) -> dict[str, str]:
    """The trailers in the last paragraph of a commit message; empty if that is no such block."""
    block = message.strip().split("\n\n")[-1]
    found = [_TRAILER.fullmatch(line.rstrip()) for line in block.splitlines()]
    if not all(found):
        return {}
    return {line[1]: line[2] for line in found if line is not None}


def parse_summary(trailers: Mapping[str, str]) -> Summary | None:
    """What a run's trailers say; None if the commit is not a run's.

    Raises Stalled when they name a run and then make no sense.
    """
    if RUN not in trailers:
        return None
    objects = _OBJECTS.fullmatch(trailers.get(OBJECTS, ""))
    volumes = _VOLUMES.fullmatch(trailers.get(VOLUMES, ""))
    try:
        if objects is None or volumes is None:
            raise ValueError("counts")
        captured, created, changed, deleted = map(int, objects.groups())
        stored, wanted, added = map(int, volumes.groups())
        if not _TIME.fullmatch(trailers[STARTED]):
            raise ValueError("time")
        # Ten times as fast as `strptime`; a year has 8,760 of them.
        started = datetime.fromisoformat(trailers[STARTED])
        return Summary(
            policy=trailers[POLICY],
            run_id=trailers[RUN],
            revision=trailers[REVISION],
            outcome=run.Outcome(trailers[OUTCOME]),
            started=started,
            objects=run.Counts(
                captured=captured, created=created, changed=changed, deleted=deleted
            ),
            volumes_stored=stored,
            volumes_wanted=wanted,
            volumes_added=added,
            renamed_from=trailers.get(RENAMED_FROM, ""),
        )
    except (KeyError, ValueError):
        raise Stalled(
            f"the trailers of run {trailers[RUN]} can't be read",
            hint="commits here are written by runs only; look for one by somebody else",
        ) from None


def parse_rewrite(trailers: Mapping[str, str]) -> Rewrite | None:
    """What a commit that ends a rewritten history says; None for every other one."""
    if RUN in trailers or REWRITTEN not in trailers:
        return None
    return Rewrite(trailers.get(POLICY, ""), trailers[REWRITTEN], trailers.get(REWRITTEN_AFTER, ""))


def _volumes_text(summary: Summary) -> str:
    stored, wanted = summary.volumes_stored, summary.volumes_wanted
    if stored != wanted:
        return f"{stored} of {wanted} volumes"
    return f"{wanted} volume{'' if wanted == 1 else 's'}"


def _notes(record: run.RunRecord) -> Iterator[str]:
    """What is not as it should be, each with its place."""
    for part in record.namespaces:
        for reason in part.reasons:
            yield f"{part.name}: {reason}"
    for gap in record.gaps:
        yield f"not listed: {gap}"
    for warning in record.warnings:
        yield f"warning: {warning}"


def _line(text: str) -> str:
    """One line: a line break in a reason must not begin a paragraph."""
    return " ".join(text.split())
