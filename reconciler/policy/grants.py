"""Holds every document against the grant of the folder that it lies in (`reconciler.model.grants`).

What a policy says in so many words and may not is refused where it says so, with the grant named.
What its globs and labels may come to select can't be known here: the grant travels in the policy as
a limit, and selection passes over what is beyond it. A document that this cluster does not take is
for the grants of another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.model import cronhash, durations
from reconciler.model.config import Config
from reconciler.model.grants import (
    ASSUMED,
    EVERYTHING,
    Grant,
    covers,
    find_grant,
    may_meet,
    why_none,
)
from reconciler.model.policy import BackupPolicy, ClusterScoped, Kind
from reconciler.policy import problems, values
from reconciler.policy.cron import parse_cron
from reconciler.policy.drafts import Draft
from reconciler.policy.exemptionlanguage import ExemptionDocument
from reconciler.policy.frequency import shortest_interval
from reconciler.policy.language import BackupPolicyDocument
from reconciler.policy.nodes import Path
from reconciler.policy.problems import Finding
from reconciler.policy.redactlanguage import CLUSTER_SCOPED, KeepRulePart, single_of
from reconciler.policy.restorelanguage import RestoreDocument

_ADMINISTRATORS = frozenset({Kind.REPOSITORY, Kind.PROFILE})
_OTHERS = frozenset(Kind) - _ADMINISTRATORS
_NAMESPACES: Path = ("spec", "selector", "namespaces")
_KEEP: Path = ("spec", "manifests", "redact", "keep")
_CLUSTER_SCOPED: Path = ("spec", "selector", "objects", "clusterScoped")


def place(drafts: Iterable[Draft], config: Config) -> None:
    """Gives each document the grant of its folder; the kinds of the admin folder elsewhere are
    refused, before anything can refer to them."""
    for draft in drafts:
        draft.grant = find_grant(config.grants, draft.file)
        draft.admin = draft.grant is not None and draft.grant.admin
        if is_misplaced(draft):
            admin = next((grant.folder for grant in config.grants if grant.admin), "")
            draft.problem(
                ("kind",),
                f"a {draft.kind} is not taken from this folder",
                f"Config takes them from folder {admin} only, where its grants say admin: true",
            )


def is_misplaced(draft: Draft) -> bool:
    """Whether a document is of a kind that is taken from the admin folder, and lies elsewhere."""
    return draft.kind in _ADMINISTRATORS and not draft.admin


def check(drafts: Iterable[Draft], config: Config) -> None:
    """Refuses what goes beyond its grant."""
    taken = [d for d in drafts if d.kind in _OTHERS and d.judged and not _of_another(d, config)]
    counts = Counter(d.grant for d in taken if d.grant and d.kind == Kind.BACKUP_POLICY)
    for draft in taken:
        before = draft.found
        draft.found = list(before)
        draft.tell(_beyond(draft, config, counts))
        draft.found = problems.merge(before, draft.found[len(before) :])


def _of_another(draft: Draft, config: Config) -> bool:
    """Whether a document is for other clusters, whose grants are not known here."""
    match draft.part:
        case ExemptionDocument():
            clusters = values.make_clusters(draft.part.spec.clusters)
            return bool(clusters.why_not(config.cluster.name, config.cluster.labels))
        case RestoreDocument():
            return draft.part.spec.cluster != config.cluster.name
    return bool(draft.elsewhere)


def limit(draft: Draft, policy: BackupPolicy) -> BackupPolicy:
    """The policy with the namespaces that its grant gives, to it and to its hooks; Config without
    grants limits no namespace, and gives no hook any."""
    if draft.grant is None or draft.grant in EVERYTHING or _is_assumed(draft.grant):
        return policy
    if policy.manifests.redact is not None and policy.manifests.redact.keep:
        redact = replace(policy.manifests.redact, keep_file=keeper(draft).file)
        policy = replace(policy, manifests=replace(policy.manifests, redact=redact))
    if policy.hooks:
        policy = replace(policy, hooks_within=draft.grant.hooks)
    namespaces = replace(
        policy.selector.namespaces, within=draft.grant.limit, grant=draft.grant.folder
    )
    return replace(policy, selector=replace(policy.selector, namespaces=namespaces))


def _is_assumed(grant: Grant) -> bool:
    """By identity: one that Config spells out is in force, and may give just as much."""
    return any(grant is assumed for assumed in ASSUMED)


def _beyond(draft: Draft, config: Config, counts: Counter[Grant]) -> Iterator[Finding]:
    if draft.grant is None:
        yield Finding(
            ("kind",),
            f"this file may use nothing: {why_none(config.grants, draft.file)}",
            "a grant in Config gives a folder its rights, by its path from the repository's root",
        )
        return
    match draft.part:
        case BackupPolicyDocument():
            yield from _policy(draft, draft.part, draft.grant, config)
        case ExemptionDocument():
            yield from _exemption(draft.part, draft.grant)
        case RestoreDocument():
            yield from _restore(draft.part, draft.grant)
    most = draft.grant.max_policies
    if draft.kind == Kind.BACKUP_POLICY and most is not None and counts[draft.grant] > most:
        yield Finding(
            ("metadata", "name"),
            f"folder {draft.grant.folder} has {counts[draft.grant]} policies, and its grant is for"
            f" {most}",
            "none of them is taken anew until some are gone",
        )


def _policy(
    draft: Draft, part: BackupPolicyDocument, grant: Grant, config: Config
) -> Iterator[Finding]:
    given = part.spec.selector.namespaces.names
    path = (*_NAMESPACES, "names") if given else _NAMESPACES
    for number, glob in enumerate(given):
        if not may_meet(grant.namespaces, glob):
            yield _namespace((*path, number), glob, grant)
    if not given and not grant.namespaces:
        yield _namespace(path, "any", grant)
    if part.spec.selector.objects.cluster_scoped is ClusterScoped.ALL and grant.limit is not None:
        yield Finding(
            _CLUSTER_SCOPED,
            "clusterScoped All is not granted: it takes what belongs to other namespaces, too",
            f"{grant} gives namespaces {_list(grant.namespaces)} only; use Referenced, or grant"
            ' namespaces ["*"]',
        )
    if part.spec.manifests.redact.keep:
        yield from _kept(draft, part.spec.manifests.redact.keep, grant)
    if part.spec.hooks:
        for number, glob in enumerate(given or ["*"]):
            yield from _hook((*path, number) if given else path, glob, grant, config.own_namespace)
    if draft.repository and not covers(grant.repositories, draft.repository):
        yield Finding(
            ("spec", "volumes", "repository"),
            f"Repository {draft.repository} is not granted",
            f"{grant} gives {_list(grant.repositories)}",
        )
    yield from _often(part, draft.name, grant, config)


def _namespace(path: Path, glob: str, grant: Grant) -> Finding:
    return Finding(
        path,
        f"namespace {glob} is not granted",
        f"{grant} gives {_list(grant.namespaces)}",
    )


def _hook(path: Path, glob: str, grant: Grant, own_namespace: str) -> Iterator[Finding]:
    """A hook that ran in some of a policy's namespaces only would leave copies that look alike."""
    if not grant.may_hook(glob, own_namespace=own_namespace):
        plain = not set("*?[") & set(glob)
        what = f"namespace {glob}" if plain else f"every namespace that {glob} selects"
        yield Finding(
            path,
            f"hooks may not run in {what}",
            f"{grant} gives hooks {_list(grant.hooks)}; Backstay's own namespace and, unless"
            " named, kube-* are nobody's",
        )


def _kept(draft: Draft, rules: Iterable[KeepRulePart], grant: Grant) -> Iterator[Finding]:
    """What a profile keeps in clear is for the grant of the profile's folder."""
    owner = keeper(draft).grant or grant
    if not owner.keep_in_clear:
        yield Finding(
            _KEEP,
            "keep leaves in clear what a default rule redacts, and that is not granted",
            f"{owner} needs keepInClear: true in Config; better move the value into a Secret",
        )
    elif owner.limit is not None:
        yield from _kept_of_others(rules, owner)


def _kept_of_others(rules: Iterable[KeepRulePart], owner: Grant) -> Iterator[Finding]:
    """What has no namespace is kept by nobody whose namespaces are limited: a run asks again, for
    what is meant by a glob."""
    for number, rule in enumerate(rules):
        for place, kind in enumerate(rule.kinds):
            if single_of(kind) in CLUSTER_SCOPED:
                yield Finding(
                    (*_KEEP, number, "kinds", place),
                    f"keep may leave nothing in clear of {kind}, which has no namespace",
                    f"{owner} gives namespaces {_list(owner.namespaces)} only; it needs namespaces"
                    ' ["*"]',
                )


def keeper(draft: Draft) -> Draft:
    """Whose right it is to keep something in clear: the document that says so."""
    inherited = draft.merged is not None and draft.merged.inherited(_KEEP)
    return draft.profile if inherited and draft.profile else draft


def _often(
    part: BackupPolicyDocument, name: str, grant: Grant, config: Config
) -> Iterator[Finding]:
    if not grant.shortest_interval:
        return
    cron = cronhash.compile_cron(
        parse_cron(part.spec.schedule.cron), cluster=config.cluster.name, policy=name
    )
    found = shortest_interval(cron)
    if found is not None and found < grant.shortest_interval:
        yield Finding(
            ("spec", "schedule", "cron"),
            f"runs as often as every {durations.render_duration(found)}",
            f"{grant} has shortestInterval {durations.render_duration(grant.shortest_interval)}",
        )


def _exemption(part: ExemptionDocument, grant: Grant) -> Iterator[Finding]:
    """Who exempts another's namespace makes it look protected on purpose."""
    path: Path = ("spec", "match", "namespaces")
    given = part.spec.match.namespaces.names
    for number, glob in enumerate(given):
        if not covers(grant.namespaces, glob):
            yield _namespace((*path, "names", number), glob, grant)
    if not given and not covers(grant.namespaces, "*"):
        yield _namespace(path, "*", grant)


def _restore(part: RestoreDocument, grant: Grant) -> Iterator[Finding]:
    """Both ends: who may write to his own namespaces only must not read another's into them."""
    spec = part.spec
    path: Path = ("spec", "selector", "namespaces")
    for number, name in enumerate(spec.selector.namespaces):
        if not covers(grant.namespaces, name):
            yield _namespace((*path, number), name, grant)
        target = spec.map_namespaces.get(name, name)
        if target == name and not covers(grant.restore_targets, name):
            yield _target((*path, number), name, grant)
    if not spec.selector.namespaces and not covers(grant.namespaces, "*"):
        yield _namespace(path, "*", grant)
    if not spec.selector.namespaces and not covers(grant.restore_targets, "*"):
        yield _target(path, "*", grant)
    for name, target in spec.map_namespaces.items():
        if not covers(grant.namespaces, name):
            yield _namespace(("spec", "mapNamespaces", name), name, grant)
        if not covers(grant.restore_targets, target):
            yield _target(("spec", "mapNamespaces", name), target, grant)


def _target(path: Path, name: str, grant: Grant) -> Finding:
    return Finding(
        path,
        f"a restore into namespace {name} is not granted",
        f"{grant} gives restoreTargets {_list(grant.restore_targets)}",
    )


def _list(globs: tuple[str, ...]) -> str:
    shown = ", ".join(globs[:8]) + (f" and {len(globs) - 8} more" * (len(globs) > 8))
    return shown or "none"
