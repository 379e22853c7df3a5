"""Findings about single policies: removed or renamed ones, methods, repositories, selectors."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.inventory import Inventory
from reconciler.model.policy import BackupPolicy, Kind, Repository
from reconciler.plan.changecover import ClaimKey, Covered, copies
from reconciler.plan.changecoverage import Cover, render_size
from reconciler.plan.changedata import data_findings
from reconciler.plan.changerenames import (
    ChangeRenames,
    Heir,
    change_renames,
    removed_policies,
)
from reconciler.plan.changewhy import POLICY, Sides, method_place

REMOVED = "policy-removed"
RENAMED = "policy-renamed"
NOT_KNOWN = "rename-unknown"
METHOD = "method-changed"
IMPOSSIBLE = "copy-impossible"
REPOSITORY = "repository-changed"
KEYS = "repository-secret-changed"
SELECTOR = "selector-changed"
SKIP_IT = "its runs will be PartiallyFailed: skip the claim with a reason"
_STAYS = "its CronJob goes; recovery points, manifests and snapshots stay"
_ONCE_THERE = "once the folder is there again, "
_SAY = "add renamedFrom:"
_STRANGER = "policy {} says renamedFrom, but its folder has another grant: that is no rename"


def policy_findings(
    sides: Sides, before: Cover, after: Cover, *, cluster: str, inventory: Inventory | None
) -> Iterator[Finding]:
    """All of them; ``cluster`` may be empty, ``inventory`` None."""
    renames = change_renames(sides.base, sides.head)
    yield from _removed(sides, renames, inventory)
    yield from _unknown(sides, renames, inventory)
    former = renames.former
    for name, new in sorted(sides.after.policies.items()):
        old = sides.before.policies.get(former.get(name, name))
        if old is None:
            continue
        if inventory is None and old.selector.namespaces != new.selector.namespaces:
            yield _selector(sides, name)
        yield from data_findings(sides, old, new)
        told = chain(
            _methods(sides, before.covered[old.name], after, new),
            _repository(sides, after, old, new, cluster),
        )
        yield from (_once_resumed(one) for one in told) if new.suspend else told
    yield from _impossible(sides, former, before, after)


def _once_resumed(finding: Finding) -> Finding:
    return replace(finding, details=(*finding.details, "it is suspended: so when it is resumed"))


def _removed(
    sides: Sides, renames: ChangeRenames, inventory: Inventory | None
) -> Iterator[Finding]:
    once = "" if sides.head.path_found else _ONCE_THERE
    for document in removed_policies(sides.base, sides.head):
        heir = renames.heirs.get(document.name)
        points = inventory.points_of(document.name) if inventory else ()
        known = inventory is not None and inventory.points_known
        facts = {"points": str(len(points))} if known else {}
        newest = f"; the newest is of {points[-1].started:%Y-%m-%dT%H:%M:%SZ}" if points else ""
        kept = f"{len(points)} recovery points stay{newest}" if points else ""
        if heir:
            yield _renamed(sides, document.name, heir, kept, facts)
        else:
            stranger = renames.strangers.get(document.name)
            yield Finding(
                id=REMOVED,
                severity=Severity.WARNING,
                message=f"policy {document.name} is removed: {once}{_STAYS}",
                hint=_STRANGER.format(stranger)
                if stranger
                else "to stop it for a while, write suspend: true",
                policy=document.name,
                place=sides.base.place(POLICY, document.name),
                details=(kept,) if kept else (),
                facts={**facts, "side": "base"},
            )


def _renamed(sides: Sides, old: str, heir: Heir, kept: str, facts: dict[str, str]) -> Finding:
    where = "reachable under the new name" if heir.said else f"under the name {old}"
    hint = f"the controller keeps the old schedule and does not make the new one: {_SAY} {old}"
    if heir.written:
        hint = f"its renamedFrom names {heir.written}: write renamedFrom: {old}"
    return Finding(
        id=RENAMED,
        severity=Severity.NOTE if heir.said else Severity.WARNING,
        message=f"policy {old} becomes {heir.name}: what it backed up stays {where}",
        hint="" if heir.said else hint,
        policy=heir.name,
        place=sides.head.place(POLICY, heir.name, "renamedFrom" if heir.written else ""),
        details=(kept,) if kept else (),
        facts={**facts, "from": old, "to": heir.name},
    )


def _unknown(
    sides: Sides, renames: ChangeRenames, inventory: Inventory | None
) -> Iterator[Finding]:
    """Former names that nobody had, as far as the base and the recovery points tell."""
    for name, former in renames.unknown.items():
        if inventory is not None and inventory.points_of(former):
            continue
        yield Finding(
            id=NOT_KNOWN,
            severity=Severity.WARNING,
            message=f"policy {name} says renamedFrom: {former}, and the base has no policy of that"
            " name: nothing of an earlier policy is found under the new name",
            hint="write the name that it had, or leave the word out",
            policy=name,
            place=sides.head.place(POLICY, name, "renamedFrom"),
            facts={"from": former, "to": name},
        )


def _selector(sides: Sides, name: str) -> Finding:
    return Finding(
        id=SELECTOR,
        severity=Severity.WARNING,
        message=f"policy {name} selects other namespaces: which ones is not known without an"
        " inventory",
        hint="give --inventory",
        policy=name,
        place=sides.at(name, "selector.namespaces"),
    )


def _methods(sides: Sides, old: Covered, after: Cover, policy: BackupPolicy) -> Iterator[Finding]:
    new = after.covered[policy.name]
    groups: defaultdict[tuple[str, str, str], list[ClaimKey]] = defaultdict(list)
    for key, decision in sorted(new.claims.items()):
        was = old.claims.get(key)
        if was is None or not copies(was) or not copies(decision):
            continue
        if was.method is not decision.method:
            groups[str(was.method), str(decision.method), decision.why].append(key)
    for (was_method, method, why), keys in groups.items():
        yield Finding(
            id=METHOD,
            severity=Severity.WARNING,
            message=f"policy {policy.name} copies {_claims(keys)} with {method} instead of"
            f" {was_method}: {why}",
            policy=policy.name,
            place=method_place(sides, policy, why),
            details=tuple(f"{space}/{claim}" for space, claim in keys),
            facts={"from": was_method, "to": method, "claims": str(len(keys))},
        )


def _claims(keys: list[ClaimKey]) -> str:
    return f"{len(keys)} claim" if len(keys) == 1 else f"{len(keys)} claims"


def _impossible(
    sides: Sides, former: Mapping[str, str], before: Cover, after: Cover
) -> Iterator[Finding]:
    """Claims that a policy wants since this change, and that can't be copied."""
    for policy in sides.after.active:
        old = before.covered.get(former.get(policy.name, policy.name))
        for key, decision in sorted(after.covered[policy.name].claims.items()):
            was = old.claims.get(key) if old else None
            lost = key in before.claims and key not in after.claims
            if not decision.impossible or lost or (was is not None and was.impossible):
                continue
            yield Finding(
                id=IMPOSSIBLE,
                severity=Severity.WARNING,
                message=f"policy {policy.name} can't copy claim {key[0]}/{key[1]}: {decision.why}",
                hint=SKIP_IT,
                policy=policy.name,
                namespace=key[0],
                claim=key[1],
                place=method_place(sides, policy, decision.why),
            )


def _repository(
    sides: Sides, after: Cover, old: BackupPolicy, new: BackupPolicy, cluster: str
) -> Iterator[Finding]:
    was = sides.before.repositories.get(old.volumes.repository)
    now = sides.after.repositories.get(new.volumes.repository)
    if was is None or now is None:
        return
    if was.url != now.url or was.scope is not now.scope:
        yield _other_repository(sides, after, new, (was, now), cluster)
    elif was.secret_ref != now.secret_ref:
        yield Finding(
            id=KEYS,
            severity=Severity.WARNING,
            message=f"policy {new.name} opens its repositories with Secret {now.secret_ref}"
            f" instead of {was.secret_ref}",
            hint="its RESTIC_PASSWORD must be the same, or no repository opens any more",
            policy=new.name,
            place=_repository_place(sides, new, was, "secretRef.name"),
            facts={"from": was.secret_ref, "to": now.secret_ref},
        )


def _repository_place(
    sides: Sides, policy: BackupPolicy, was: Repository, path: str
) -> Place | None:
    """The Repository's own line where that changed, else the policy's."""
    if policy.volumes.repository != was.name:
        return sides.at(policy.name, "volumes.repository")
    found = sides.head.place(str(Kind.REPOSITORY), was.name, path)
    return found or sides.base.place(str(Kind.REPOSITORY), was.name, path)


def _other_repository(
    sides: Sides,
    after: Cover,
    policy: BackupPolicy,
    pair: tuple[Repository, Repository],
    cluster: str,
) -> Finding:
    was, now = pair
    covered = after.covered[policy.name]
    keys = [key for key in sorted(covered.claims) if covered.copies(key)]
    size = sum(sides.ground.size(key) for key in keys)
    amount = f", up to {render_size(size)}," if size else ""
    from_url, to_url = _shown(was, cluster), _shown(now, cluster)
    return Finding(
        id=REPOSITORY,
        severity=Severity.WARNING,
        message=f"policy {policy.name} writes to another restic repository, which starts from"
        f" zero: its next run copies all of {_claims(keys)}{amount} again",
        hint="the old repository keeps what it has, and restores go on reading it from there",
        policy=policy.name,
        place=_repository_place(sides, policy, was, "url"),
        details=(f"from {was.name}: {from_url}", f"to {now.name}: {to_url}"),
        facts={"from": from_url, "to": to_url, "claims": str(len(keys)), "bytes": str(size)},
    )


def _shown(repository: Repository, cluster: str) -> str:
    url = repository.url.replace("{cluster}", cluster) if cluster else repository.url
    return masked(url)


_SCHEME = re.compile(r"[a-z0-9+.-]+:(?:https?:(?=//))?(?://)?")


def masked(url: str) -> str:
    """A URL without the user and password before its host, and without what a ``?`` begins.

    Also in forms that are refused now (``sftp:ann:pw@host:``): what is in force may be older.
    """
    plain = url.partition("?")[0]
    scheme = _SCHEME.match(plain)
    head = scheme.group() if scheme else ""
    return head + plain.removeprefix(head).rpartition("@")[2]
