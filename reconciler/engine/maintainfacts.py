"""Reads what maintenance decides by: every record of every policy, and every restic repository.

Nothing is written. What can't be read is told in the facts, and holds what it may be about; the
order is what makes that safe: first what is remembered of the branches, then the branches, then
restic. So a run that ends meanwhile has snapshots that no record speaks of yet, which stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from reconciler import policy, ports
from reconciler.capture import message, paths, record, retained
from reconciler.engine.clusterbranch import ClusterBranch
from reconciler.engine.context import policy_branch
from reconciler.engine.reading import HistoryReader
from reconciler.engine.restoresource import open_repository
from reconciler.engine.tips import recall_tip
from reconciler.model import jsonform, naming
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError, Interrupted, Refused, Stalled
from reconciler.model.policy import CLUSTER_NAMESPACE, Retention
from reconciler.model.run import RepositoryEntry, RepositoryRef, RunRecord
from reconciler.model.store import PolicyFiles
from reconciler.plan.approval import read_approvals
from reconciler.plan.keptpoints import Facts, History, Listing, Memory

_AT_ONCE = 100
_REWOUND = "branch {} was rewound or replaced"
"""How the warning begins that a run records (`reconciler.engine.tips`)."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What the policy repository says today. ``frozen``: policies of which nothing goes → why."""

    retentions: Mapping[str, Retention]
    frozen: Mapping[str, str]
    approvals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The facts, and the repositories that could not be listed (URL → the error)."""

    facts: Facts
    unlisted: Mapping[str, BackstayError]


def read_intent(files: PolicyFiles, config: Config) -> Intent:
    """The retention of each good policy of a revision; raises Refused without the folder.

    A policy that is gone or broken has none here, and so nothing of it goes.
    """
    if not files.path_found:
        raise Refused(
            f"the folder {config.policy_source.path} is not in {files.revision}",
            hint="correct policySource.path in Config, or bring the folder back",
        )
    parsed = policy.parse_files(files.files, config)
    suspended = {p.name: f"policy {p.name} is suspended" for p in parsed.policies if p.suspend}
    return Intent(
        retentions={one.name: one.retention for one in parsed.policies},
        frozen=suspended,
        approvals=read_approvals(files.message or ""),
    )


def recall(
    reader: ports.ClusterReader, namespace: str, cluster: str, policies: Iterable[str]
) -> dict[str, Memory]:
    """The tips that runs have written down in the cluster; one request for each policy."""
    found = {}
    for name in sorted(set(policies)):
        branch = policy_branch(cluster, name)
        memory = recall_tip(reader, namespace, naming.tip_lease_name(name), branch)
        if memory.tip:
            times = (memory.created, *(one.at for one in memory.rewinds))
            moments = [_moment(text) for text in times]
            known = [moment for moment in moments if moment is not None]
            since = max(known) if len(known) == len(moments) else None
            found[name] = Memory(tips=(memory.tip,), since=since)
    return found


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def remembered(
    store: HistoryReader, cluster: str, tip: str | None, told: Mapping[str, Memory]
) -> tuple[dict[str, Memory], tuple[str, ...]]:
    """``told`` and what earlier maintenance wrote down on the cluster's branch, at ``tip``.

    With it what of that can't be read: then nobody knows what was there.
    """
    found = dict(told)
    problems = []
    names = sorted(store.tree(tip, retained.FOLDER)) if tip else []
    files = store.read(str(tip), names) if names else {}
    for path, text in sorted(files.items()):
        try:
            one = retained.parse_retained(text, where=path)
            words = jsonform.from_json(Retention, dict(one.retention))
            if path != retained.path_of(one.policy):
                raise ValueError(f"it is of policy {one.policy}")
        except (Stalled, ValueError) as error:
            problems.append(f"{path} of cluster {cluster} can't be read: {error}")
            continue
        known = found.get(one.policy, Memory())
        found[one.policy] = replace(known, tips=(*known.tips, one.tip), retention=words)
    return found, tuple(problems)


def branch_policies(store: HistoryReader, cluster: str) -> tuple[str, ...]:
    """Every policy that has a branch, sorted."""
    prefix = policy_branch(cluster, "")
    names = (name.removeprefix(prefix) for name in store.branches(prefix))
    return tuple(sorted(name for name in names if name[:1] != "_" and "/" not in name))


def read_facts(
    store: HistoryReader,
    keyring: ports.Keyring,
    branch: ClusterBranch,
    repository: str,
    intent: Intent,
    memories: Mapping[str, Memory],
    *,
    cluster: str,
) -> Read:
    """Reads all branches and lists the repositories. Raises Refused for an unknown Repository.

    ``branch`` is the cluster's own; ``memories`` were read before.
    """
    if repository not in {entry.repository for entry in branch.entries}:
        known = sorted({entry.repository for entry in branch.entries})
        raise Refused(
            f"no run of cluster {cluster} ever stored anything in a Repository {repository}",
            hint=f"there are: {', '.join(known) or 'none'}",
        )
    policies = branch_policies(store, cluster)
    histories = {name: read_history(store, cluster, name) for name in policies}
    own = [entry for entry in branch.entries if entry.repository == repository]
    listings, unlisted = _list_all(keyring, repository, own, _named(histories.values()))
    recalled, problems = remembered(store, cluster, branch.tip, _adopted(memories, branch))
    facts = Facts(
        cluster=cluster,
        histories=histories,
        listings=listings,
        retentions=intent.retentions,
        frozen=intent.frozen,
        memories=recalled,
        problems=problems,
        approvals=intent.approvals,
    )
    return Read(facts=facts, unlisted=unlisted)


def _adopted(memories: Mapping[str, Memory], branch: ClusterBranch) -> dict[str, Memory]:
    """Not older than the last adoption: a cluster that was rebuilt remembers nothing before."""
    adopted = branch.marker.adopted if branch.marker else ()
    last = max((one.at for one in adopted), default=None)
    return {
        name: replace(one, since=max(one.since, last) if one.since and last else None)
        for name, one in memories.items()
    }


def read_history(store: HistoryReader, cluster: str, policy_name: str) -> History:
    """One branch, all of it; what can't be read is among its problems."""
    branch = policy_branch(cluster, policy_name)
    problems: list[str] = []
    commits: list[str] = []
    records: list[RunRecord] = []
    rewound: list[datetime] = []
    try:
        problems += _walk(store, branch, commits, rewound)
        for told in _records(store, branch):
            if isinstance(told, str):
                problems.append(told)
            else:
                records.append(told)
    except Interrupted:
        raise
    except BackstayError as error:
        problems.append(f"{branch} can't be read: {error.message}")
    if not records and not problems:
        problems.append(f"{branch} holds no record")
    alarm = _REWOUND.format(branch)
    rewound += [one.started for one in records if any(w.startswith(alarm) for w in one.warnings)]
    return History(
        policy=policy_name,
        commits=frozenset(commits),
        tip=commits[0] if commits else "",
        records=tuple(records),
        problems=tuple(problems),
        rewound=max(rewound, default=None),
    )


def _walk(
    store: HistoryReader, branch: str, commits: list[str], rewritten: list[datetime]
) -> Iterator[str]:
    """Fills in the commits' ids, and when the history was rewritten by the word of a commit.

    Yields what shows that some are missing or not seen.
    """
    wanted = ""
    for commit in store.log(branch):
        if message.parse_rewrite(commit.trailers) is not None:
            rewritten.append(commit.time)
        if wanted and commit.sha != wanted:
            yield f"{branch} is no chain: commit {wanted[:10]} is missing below {commits[-1][:10]}"
        if len(commit.parents) > 1:
            yield f"{branch} is no chain: commit {commit.sha[:10]} is a merge"
        wanted = commit.parents[0] if commit.parents else ""
        commits.append(commit.sha)
    if wanted:
        yield f"{branch} is cut off: commit {wanted[:10]} is missing"


def _records(store: HistoryReader, branch: str) -> Iterator[RunRecord | str]:
    """Every record that the branch ever had, each once; text for one that can't be read."""
    ids: dict[str, str] = {}
    for touched in store.changes(branch, (paths.RECORD_PATH,)):
        for file in touched.files:
            if file.path == paths.RECORD_PATH and file.new is not None:
                ids.setdefault(file.new, touched.commit.sha)
    blobs = store.blobs(list(ids))
    while batch := list(islice(blobs, _AT_ONCE)):
        for sha, text in batch:
            del ids[sha]
            try:
                yield record.parse_record(text)
            except Stalled as error:
                yield f"a record can't be read: {error.message}"
    for commit in ids.values():
        yield f"the record of commit {commit[:10]} is missing"


_Place = tuple[RepositoryRef, str]


def _named(histories: Iterable[History]) -> Iterator[_Place]:
    """Every restic repository that a record names."""
    for history in histories:
        for found in history.records:
            secrets = found.secrets
            if secrets is not None and secrets.repository is not None and secrets.snapshot:
                yield secrets.repository, CLUSTER_NAMESPACE
            for part in found.namespaces:
                for volume in part.volumes:
                    if volume.repository is not None and volume.snapshot:
                        yield volume.repository, part.name


def _ref(entry: RepositoryEntry) -> RepositoryRef:
    return RepositoryRef(name=entry.repository, url=entry.url, id=entry.id, secret=entry.secret)


def _list_all(
    keyring: ports.Keyring,
    repository: str,
    own: Sequence[RepositoryEntry],
    named: Iterable[_Place],
) -> tuple[tuple[Listing, ...], dict[str, BackstayError]]:
    """One listing for each restic repository; one that fails is in no other's way.

    ``own`` are to be maintained, by the cluster's own branch. What only records name is listed to
    know what is there, and is nobody's to maintain.
    """
    places: dict[str, _Place] = {entry.id: (_ref(entry), entry.namespace) for entry in own}
    for ref, namespace in named:
        places.setdefault(ref.id, (ref, namespace))
    found: list[Listing] = []
    unlisted: dict[str, BackstayError] = {}
    for identifier, (ref, namespace) in places.items():
        namespaces = frozenset(entry.namespace for entry in own if entry.id == identifier)
        try:
            snapshots = keyring.backend(open_repository(keyring, ref, namespace)).snapshots()
        except Interrupted:
            raise
        except BackstayError as error:
            unlisted[ref.url] = error
            continue
        found.append(
            Listing(
                id=identifier,
                repository=repository if namespaces else "",
                namespaces=namespaces,
                url=ref.url,
                snapshots=snapshots,
            )
        )
    return tuple(found), unlisted
