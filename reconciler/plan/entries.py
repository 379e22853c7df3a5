"""Which policies are in force: those of the revision, and the last good version of broken ones.

A document with a problem must not change anything. What was applied before is in the cluster:
the CronJob says which policy and document it came from, its ConfigMap holds the policy itself. So
a schedule stays whole, and can even be repaired, while its document is broken. A schedule also
stays with the folder that it came from as long as anything is wrong with the revision: the document
that it belongs to may be there and not be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model import jsonform, naming
from reconciler.model.errors import BackstayError, Problem
from reconciler.model.grants import find_grant
from reconciler.model.plan import Desired, History, Observed
from reconciler.model.policy import (
    BackupPolicy,
    Document,
    Kind,
    compiled_digest,
    compiled_text,
    load_compiled,
)
from reconciler.plan.cronjob import COMPONENT_POLICY, POLICY_KEY, WantedPolicy

Raw = Mapping[str, Any]
# A kind that is not known may be a policy with a typo.
_OTHER_KINDS = frozenset(Kind) - {Kind.BACKUP_POLICY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A policy in force. ``held`` is why its last good version stays; None: nothing to render."""

    name: str
    source: str
    wanted: WantedPolicy | None
    held: str = ""


def labels_of(raw: Raw) -> Mapping[str, str]:
    """Labels of a raw object."""
    return raw["metadata"].get("labels") or {}


def annotations_of(raw: Raw) -> Mapping[str, str]:
    """Annotations of a raw object."""
    return raw["metadata"].get("annotations") or {}


def policy_of(raw: Raw) -> str:
    """The policy that an object of ours belongs to, by its full name."""
    return annotations_of(raw).get(naming.POLICY) or labels_of(raw).get(naming.POLICY, "")


def is_ours(raw: Raw) -> bool:
    """Whether the controller made it for a policy."""
    return labels_of(raw).get(naming.COMPONENT) == COMPONENT_POLICY


def ours_by_name(objects: Sequence[Raw]) -> dict[str, Raw]:
    """Those that the controller made, by name."""
    return {raw["metadata"]["name"]: raw for raw in objects if is_ours(raw)}


def find_entries(desired: Desired, observed: Observed, history: History) -> dict[str, Entry]:
    """Every policy in force, by name. Its time grows with the documents, not with their square."""
    parsed = desired.parsed
    cron_jobs = ours_by_name(observed.cron_jobs)
    config_maps = ours_by_name(observed.config_maps)
    repositories = {repository.name: repository for repository in parsed.repositories}
    entries: dict[str, Entry] = {}
    for document in parsed.documents:
        if isinstance(document.value, BackupPolicy) and not document.elsewhere:
            policy = document.value
            cron_job = cron_jobs.get(naming.cronjob_name(policy.name))
            if cron_job is not None and (why := _why_not_taken_over(document, cron_job, desired)):
                entries[policy.name] = Entry(
                    name=policy.name,
                    source=document.source,
                    wanted=last_good(cron_job, config_maps),
                    held=why,
                )
                continue
            text = compiled_text(policy, [repositories[policy.volumes.repository]])
            digest = compiled_digest(text)
            wanted = WantedPolicy(
                policy=policy,
                text=text,
                digest=digest,
                revision=_origin(cron_job, digest) or history.revision,
                source=document.source,
            )
            entries[policy.name] = Entry(name=policy.name, source=document.source, wanted=wanted)
    # What a good document speaks of is not the last good version of a broken one.
    free = [raw for _, raw in sorted(cron_jobs.items()) if policy_of(raw) not in entries]
    keeper = _Keeper(free, observed, desired.problems)
    for document in parsed.broken:
        kept = keeper.keep(document)
        if kept is not None:
            entries.setdefault(kept.name, kept)
    return entries


def _why_not_taken_over(document: Document, cron_job: Raw, desired: Desired) -> str:
    """Why a schedule is not given to a document; empty where it may have it.

    Of two documents with one name both are refused, where both are read. Who can hide the other one
    (many small documents before it, one that can't be read) must not get its schedule.
    """
    source = annotations_of(cron_job).get(naming.SOURCE, "")
    file = source.rpartition("#")[0]
    if not desired.problems or file == document.file:
        return ""
    if find_grant(desired.grants, file) == find_grant(desired.grants, document.file):
        return ""
    return (
        f"the schedule of policy {document.name} is of {source or 'no known file'}, which has"
        f" another grant than {document.file}, and the revision has a problem"
    )


def _origin(cron_job: Raw | None, digest: str) -> str:
    """The revision that brought this very policy: a later commit that left it alone is none."""
    if cron_job is None or annotations_of(cron_job).get(naming.DIGEST) != digest:
        return ""
    return annotations_of(cron_job).get(naming.REVISION, "")


class _Keeper:
    """Finds what stays in force for documents with a problem."""

    def __init__(
        self, cron_jobs: Sequence[Raw], observed: Observed, problems: Sequence[Problem]
    ) -> None:
        self._by_name = {policy_of(raw): raw for raw in cron_jobs}
        self._by_source = {annotations_of(raw).get(naming.SOURCE): raw for raw in cron_jobs}
        self._config_maps = ours_by_name(observed.config_maps)
        self._problems: dict[tuple[str, int], Problem] = {}
        for problem in problems:
            self._problems.setdefault((problem.file, problem.document), problem)

    def keep(self, document: Document) -> Entry | None:
        """By name, else by its place in Git: the name may be what is broken, or was changed.

        None if it is no policy, or if nothing tells which one.
        """
        if document.kind in _OTHER_KINDS:
            return None
        cron_job = self._by_name.get(document.name) if document.name else None
        cron_job = cron_job or self._by_source.get(document.source)
        held = self._why_held(document)
        if cron_job is not None:
            wanted = last_good(cron_job, self._config_maps)
            return Entry(name=policy_of(cron_job), source=document.source, wanted=wanted, held=held)
        if not document.name or document.kind != Kind.BACKUP_POLICY or document.elsewhere:
            return None
        return Entry(name=document.name, source=document.source, wanted=None, held=held)

    def _why_held(self, document: Document) -> str:
        if document.held:
            return document.held
        problem = self._problems.get((document.file, document.index))
        if problem is None:
            return f"{document.source} has a problem"
        return f"{problem.file}:{problem.line}:{problem.column}: {problem.message}"


def last_good(cron_job: Raw, config_maps: Mapping[str, Raw]) -> WantedPolicy | None:
    """The policy that a CronJob's runs read, from its ConfigMap; None if that can't be had."""
    annotations = annotations_of(cron_job)
    digest = annotations.get(naming.DIGEST, "")
    name = policy_of(cron_job)
    config_map = config_maps.get(naming.configmap_name(name, digest))
    if config_map is None:
        return None
    text = (config_map.get("data") or {}).get(POLICY_KEY, "")
    if compiled_digest(text) != digest:
        return None
    try:
        policy = load_compiled(text).policy
    except (ValueError, BackstayError):
        return None
    return WantedPolicy(
        policy=policy,
        text=text,
        digest=digest,
        revision=annotations.get(naming.REVISION, ""),
        source=annotations.get(naming.SOURCE, ""),
    )


def load_plain(text: str) -> Mapping[str, Any]:
    """A compiled text as plain values, for showing what changed: the policy at the top."""
    data = jsonform.loads_object(text)
    policy = data.pop("policy")
    return {**policy, **data} if isinstance(policy, dict) else data
