"""From policies and what the cluster has to a plan of schedules. Pure; nothing else decides.

What it promises (DESIGN §4, docs/controller.md):

- Same inputs, same plan; once a plan is applied, the next one is empty (I6).
- A document with a problem keeps its last good version, and so does what refers to it.
- Absence is read as deletion only from a whole, valid, descending revision, for a few policies at
  a time; and deleting a policy deletes its CronJob, never a run, a snapshot or a manifest (I1).
- What Backstay did not make is not touched, what somebody else took over is reported.
- Every line has its reason (I8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconciler.model import naming
from reconciler.model.config import Config
from reconciler.model.objects import ObjectRef
from reconciler.model.plan import Action, Change, Desired, History, Observed, Plan
from reconciler.plan import approval, brakes, clustername, collection, policylimits
from reconciler.plan.compare import Difference, all_differences, differences, foreign_owner
from reconciler.plan.cronjob import APPLIED, Place, make_config_map, make_cron_job
from reconciler.plan.entries import (
    Entry,
    annotations_of,
    find_entries,
    is_ours,
    last_good,
    load_plain,
    ours_by_name,
    policy_of,
)
from reconciler.plan.renames import Renames, find_renames
from reconciler.plan.restoreintents import restore_notes
from reconciler.plan.schedulenotes import schedule_notes

Raw = Mapping[str, Any]
_OWN_ANNOTATIONS = frozenset({APPLIED, naming.DIGEST, naming.REVISION})
_SHOWN = 8
RETENTION_NOTE = "retention is recorded and not enforced yet"


def plan_schedules(
    desired: Desired,
    observed: Observed,
    history: History,
    config: Config,
    *,
    place: Place,
    now: datetime,
) -> Plan:
    """The changes that make the cluster's schedules match one revision, in order of execution.

    Raises ClusterRenamed where Config gives the cluster another name than they were made for.
    """
    ours = ours_by_name(observed.cron_jobs)
    renamed = clustername.check_schedules(ours.values(), config.cluster)
    entries = find_entries(desired, observed, history)
    scene = _Scene(observed, config, place, history)
    changes: list[Change] = []
    for name in sorted(entries):
        changes += scene.changes_of(entries[name])
    expected = {naming.cronjob_name(name) for name in entries}
    gone = [raw for name, raw in sorted(ours.items()) if name not in expected]
    renames = find_renames(entries, gone, ours, observed.config_maps, config)
    deleted = len(gone) - len(renames.said)
    held = brakes.find(
        desired, history, config, policies=len(entries), have=len(ours), gone=deleted
    ).asking(renames.questions)
    uids = {policy_of(raw): str(raw["metadata"].get("uid", "")) for raw in gone}
    word = approval.listen(held, uids, history, config.cluster.name)
    stops = () if word.given else held.all
    left = {found.name: found.elsewhere for found in desired.parsed.documents if found.elsewhere}
    if stops:
        changes = [_wait(change, renames) for change in changes]
    changes = policylimits.withhold(
        changes, entries, ours, config.grants, going=() if stops else uids.keys()
    )
    stuck = {change.policy for change in changes if change.action is Action.SKIPPED}
    for raw in gone:
        why = _why_gone(policy_of(raw), left, renames)
        heir = renames.said.get(policy_of(raw), "")
        if heir in stuck and not stops:
            changes.append(_still_needed(raw, heir, why))
        else:
            changes.append(replace(_deletion(raw, history, stops, why, word.digest), heir=heir))
    changes += collection.collect(
        observed, changes, blocked=bool(stops) or bool(desired.problems), now=now
    )
    refused = bool(gone and stops)
    return Plan(
        cluster=config.cluster.name,
        namespace=place.namespace,
        revision=history.revision,
        changes=tuple(changes),
        problems=desired.problems,
        brakes=stops if refused else (),
        approval=word.digest if refused else "",
        approved=word.given,
        last=history.last,
        notes=(
            *([renamed] if renamed else ()),
            *restore_notes(desired.parsed.restores, config.cluster.name),
            *_notes(entries, changes, config, now),
            *_elsewhere(left),
            *word.notes,
            *renames.notes,
        ),
        # As long as a deletion is refused the old revision is the one to descend from: else a
        # rewritten history would count as an honest one in the very next cycle.
        remember="" if refused or history.revision == history.last else history.revision,
    )


def _notes(
    entries: Mapping[str, Entry], changes: Sequence[Change], config: Config, now: datetime
) -> Iterator[str]:
    """Warnings of every schedule in force; what is no warning only of those that change."""
    if entries:
        yield RETENTION_NOTE
    changing = {change.policy for change in changes if change.changes}
    for name in sorted(entries):
        wanted = entries[name].wanted
        if wanted is not None:
            for note in schedule_notes(wanted.policy, config.cluster.name, now):
                if note.warning or name in changing:
                    yield str(note)


def _elsewhere(left: Mapping[str, str]) -> tuple[str, ...]:
    """What to say of policies for other clusters, by name: why not for this one."""
    if not left:
        return ()
    names = sorted(left)
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN))
    if len(names) == 1:
        return (f"policy {shown} is not for this cluster: {left[names[0]]}",)
    return (f"{len(names)} policies are not for this cluster: {shown}",)


def ref_of(raw: Raw) -> ObjectRef:
    """The reference to a raw object."""
    group, _, _ = raw["apiVersion"].rpartition("/")
    metadata = raw["metadata"]
    return ObjectRef(
        group=group,
        kind=raw["kind"],
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a live object compares with its manifest."""

    action: Action
    reason: str
    hint: str = ""
    fields: tuple[str, ...] = ()


class _Scene:
    """What the changes of every policy are decided against."""

    def __init__(self, observed: Observed, config: Config, place: Place, history: History) -> None:
        self._cron_jobs = {raw["metadata"]["name"]: raw for raw in observed.cron_jobs}
        self._config_maps = {raw["metadata"]["name"]: raw for raw in observed.config_maps}
        self._config = config
        self._place = place
        self._history = history

    def changes_of(self, entry: Entry) -> Iterator[Change]:
        """First the ConfigMap, then the CronJob that names it."""
        if entry.wanted is None:
            yield self._nothing_to_render(entry)
            return
        pairs = (
            (make_config_map(entry.wanted, self._place), self._config_maps),
            (make_cron_job(entry.wanted, self._config, self._place), self._cron_jobs),
        )
        for body, have in pairs:
            found = have.get(body["metadata"]["name"])
            if found is not None and not is_ours(found):
                # One without the other is of no use, and reading a foreign one would be wrong.
                yield self._taken(body, entry)
                return
        for body, have in pairs:
            yield self._compare(body, have.get(body["metadata"]["name"]), entry)

    def _taken(self, body: Raw, entry: Entry) -> Change:
        return Change(
            action=Action.SKIPPED,
            object=ref_of(body),
            reason=f"a {body['kind']} of this name is there, and it is not Backstay's",
            policy=entry.name,
            source=entry.source,
            hint=f"remove it, or name policy {entry.name} otherwise",
        )

    def _nothing_to_render(self, entry: Entry) -> Change:
        name = naming.cronjob_name(entry.name)
        there = name in self._cron_jobs
        return Change(
            action=Action.SKIPPED,
            object=ObjectRef(
                group="batch", kind="CronJob", namespace=self._place.namespace, name=name
            ),
            reason=f"{entry.held}; "
            + ("its schedule stays as it is" if there else "no earlier version is in force"),
            policy=entry.name,
            source=entry.source,
        )

    def _compare(self, body: Raw, found: Raw | None, entry: Entry) -> Change:
        verdict = self._judge(body, found, entry)
        action, reason = verdict.action, verdict.reason
        if entry.held and entry.wanted is not None:
            version = entry.wanted.revision or "an earlier revision"
            if action is Action.UNCHANGED and body["kind"] == "ConfigMap":
                reason = f"the last good version, of {version}"
            else:
                reason = f"{entry.held}; its last good version, of {version}, stays: {reason}"
                action = Action.SKIPPED if action is Action.UNCHANGED else action
        return Change(
            action=action,
            object=ref_of(body),
            reason=reason,
            policy=entry.name,
            source=entry.source,
            fields=verdict.fields,
            hint=verdict.hint,
            body=body if action in (Action.CREATED, Action.CONFIGURED) else None,
        )

    def _judge(self, body: Raw, found: Raw | None, entry: Entry) -> _Verdict:
        if found is None:
            return _Verdict(Action.CREATED, self._why_missing(body, entry))
        different = differences(body, found)
        if not different:
            if collection.UNUSED_SINCE in annotations_of(found):
                return _Verdict(Action.CONFIGURED, "it is used again")
            return _Verdict(Action.UNCHANGED, "as Git and Config ask for")
        fields = self._fields(different, found, entry)
        if body["kind"] == "ConfigMap" and any(
            one.path[0] in ("data", "immutable") for one in different
        ):
            return _Verdict(
                Action.SKIPPED,
                "its data is not what its name says, and an immutable ConfigMap can't be changed",
                hint="delete it: the next cycle writes it again",
            )
        owners = [(one.field, foreign_owner(found, one.path)) for one in different]
        conflicts = ", ".join(f"{field} by {owner}" for field, owner in owners if owner)
        if conflicts:
            return _Verdict(
                Action.SKIPPED,
                f"conflict: set by others, and Backstay does not force it: {conflicts}",
                # Set back by hand the field would stay theirs, for the next change to meet.
                hint="let it be made again, runs that are at work go on: kubectl"
                f" -n {self._place.namespace} delete {body['kind'].lower()}"
                f" {body['metadata']['name']} --cascade=orphan",
                fields=fields,
            )
        return _Verdict(Action.CONFIGURED, self._why_differs(body, found, entry), fields=fields)

    def _why_missing(self, body: Raw, entry: Entry) -> str:
        if body["kind"] == "ConfigMap":
            cron_job = self._cron_jobs.get(naming.cronjob_name(entry.name))
            digest = annotations_of(body)[naming.DIGEST]
            if cron_job is not None and annotations_of(cron_job).get(naming.DIGEST) == digest:
                return "it is gone, and its schedule names it: without it runs only fail"
        return f"policy {entry.name} has no such {body['kind']} yet"

    def _fields(self, different: Sequence[Difference], found: Raw, entry: Entry) -> tuple[str, ...]:
        """What a person wants to know: fields of the policy, else those of the object."""
        before = last_good(found, self._config_maps) if found["kind"] == "CronJob" else None
        if before is not None and entry.wanted is not None and before.text != entry.wanted.text:
            new, old = (load_plain(one.text) for one in (entry.wanted, before))
            return tuple(str(one) for one in all_differences(new, old))
        # Where it came from is said by the reason, and stands in three places of a CronJob.
        return tuple(str(one) for one in different if one.path[-1] not in _OWN_ANNOTATIONS)

    def _why_differs(self, body: Raw, found: Raw, entry: Entry) -> str:
        wanted, has = annotations_of(body), annotations_of(found)
        if wanted[naming.DIGEST] != has.get(naming.DIGEST):
            return f"policy {entry.name} changed in {self._history.revision}"
        if wanted[naming.SOURCE] != has.get(naming.SOURCE):
            return f"policy {entry.name} moved in Git"
        if APPLIED in wanted and wanted[APPLIED] != has.get(APPLIED):
            return "Config or the version of Backstay changed"
        return "it was changed in the cluster"


def _why_gone(name: str, left: Mapping[str, str], renames: Renames) -> str:
    """Why a policy is not in force; empty where the revision has none of the name."""
    if name in renames.said:
        return f"policy {name} is {renames.said[name]} now"
    if name in left:
        return f"policy {name} does not choose this cluster any more: {left[name]}"
    return ""


def _wait(change: Change, renames: Renames) -> Change:
    """What looks like a policy under a new name: until it is answered the old schedule is it."""
    old = next((old for old, new in renames.likely.items() if new == change.policy), "")
    if not old or change.action is not Action.CREATED:
        return change
    return replace(
        change,
        action=Action.SKIPPED,
        reason=f"policy {change.policy} looks like {old} under a new name, whose schedule goes on",
        hint=f"add `renamedFrom: {old}` to it, or approve that {old} goes",
        body=None,
    )


def _still_needed(raw: Raw, heir: str, why: str) -> Change:
    """The old schedule of a renamed policy, while the new one can't be made."""
    return Change(
        action=Action.SKIPPED,
        object=ref_of(raw),
        policy=policy_of(raw),
        source=annotations_of(raw).get(naming.SOURCE, ""),
        reason=f"{why}, whose schedule is not as it should be: until it is, this one goes on",
        hint=f"see what keeps policy {heir} from being taken",
    )


def _deletion(raw: Raw, history: History, stops: Sequence[str], why: str, digest: str) -> Change:
    name = policy_of(raw)
    gone = why or f"policy {name} is not in {history.revision}"
    common: dict[str, Any] = {
        "object": ref_of(raw),
        "policy": name,
        "source": annotations_of(raw).get(naming.SOURCE, ""),
    }
    if stops:
        return Change(
            action=Action.SKIPPED,
            reason=f"{gone}, and its schedule is kept: {'; '.join(stops)}",
            hint=brakes.hint(raw["metadata"].get("namespace", ""), raw["metadata"]["name"], digest),
            **common,
        )
    return Change(
        action=Action.DELETED,
        reason=f"{gone}; runs, recovery points and manifests stay",
        uid=raw["metadata"].get("uid", ""),
        **common,
    )
