"""Asks the API server: who it is, what time it has there, and what each role may do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.engine.doctorfacts import DoctorCluster, Facts, failed
from reconciler.model.cluster import ClusterIdentity
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError, Refused
from reconciler.model.rights import Right
from reconciler.plan import rights
from reconciler.plan.rights import Denied, Need, Role

OLDEST_KUBERNETES = (1, 30)
"""The first with ValidatingAdmissionPolicy in v1: without it runs are not narrowed."""
TESTED_KUBERNETES = (1, 36)
"""The version that the cluster tests run on."""
OLDEST_GIT = (2, 39)
"""The oldest that the tests run on (Debian 12)."""
OLDEST_RESTIC = (0, 17, 1)
_SKEW_WARNING, _SKEW_PROBLEM = 60.0, 300.0
_OURS = {Role.CONTROLLER, Role.RUN}


def ask_cluster(facts: Facts) -> Iterator[Finding]:
    """Is it there, who is it, and who are we?"""
    try:
        cluster = facts.ports.cluster()
        facts.server = cluster.host
        identity = _identity(facts, cluster)
        facts.uid = identity.uid
        facts.who = cluster.whoami()
    except BackstayError as error:
        yield failed("cluster/api", error)
        raise
    facts.found_cluster = facts.found_server = cluster
    yield Finding(
        id="cluster/api", level=Level.OK, message=f"{cluster.host} answers {facts.who}".strip()
    )
    yield _version(identity.version)


def _identity(facts: Facts, cluster: DoctorCluster) -> ClusterIdentity:
    """Which cluster it is. A server that refuses to say so tells what one may, all the same."""
    try:
        return cluster.identity()
    except Refused:
        facts.who = cluster.whoami()
        facts.found_server = cluster
        raise


def _version(text: str) -> Finding:
    tested = ".".join(map(str, TESTED_KUBERNETES))
    found = re.match(r"v?(\d+)\.(\d+)", text)
    version = (int(found[1]), int(found[2])) if found else None
    level, message, hint = Level.OK, f"{text} (tested with {tested})", ""
    if version is None:
        level, message = Level.UNKNOWN, f"the API server calls itself {text!r}"
        hint = f"Backstay is tested with {tested}"
    elif version < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        level, message = Level.PROBLEM, f"{text} is older than {oldest}"
        hint = "upgrade the cluster: nothing narrows what a run may write before that version"
    elif version > TESTED_KUBERNETES:
        level, message = Level.INFO, f"{text} is newer than {tested}, which is tested"
        hint = "look for a newer version of Backstay"
    return Finding(id="versions/kubernetes", level=level, message=message, hint=hint)


def ask_clock(facts: Facts) -> Iterator[Finding]:
    """Leases, run ids and the choice of a recovery point all depend on clocks that agree."""
    cluster, clock = facts.api, facts.ports.clock
    before = clock.now()
    server = cluster.server_time()
    after = clock.now()
    # The header has whole seconds: the server's moment lies in this one.
    ahead = (before - server).total_seconds() - 1.0
    behind = (server - after).total_seconds()
    skew = max(ahead, behind, 0.0)
    direction = "ahead of" if ahead > behind else "behind"
    level = Level.OK
    if skew > _SKEW_WARNING:
        level = Level.PROBLEM if skew > _SKEW_PROBLEM else Level.WARNING
    yield Finding(
        id="cluster/clock",
        level=level,
        message="agrees with the API server's"
        if level is Level.OK
        else f"this machine's clock is {skew:.0f} s {direction} the API server's",
        hint=""
        if level is Level.OK
        else "set it by NTP (timedatectl status): Leases and the times of runs go by clocks, and"
        " S3 refuses requests that are 15 minutes off",
    )


def ask_programs(facts: Facts) -> Iterator[Finding]:
    """git and restic, on this machine or in this image."""
    oldest: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("git", OLDEST_GIT),
        ("restic", OLDEST_RESTIC),
    )
    for program, least in oldest:
        identifier = f"versions/{program}"
        try:
            text = facts.ports.program(program)
        except BackstayError as error:
            yield failed(identifier, error)
            continue
        needed = ".".join(map(str, least))
        if _numbers(text) >= least:
            yield Finding(id=identifier, level=Level.OK, message=f"{text} ({needed} is needed)")
        else:
            yield Finding(
                id=identifier,
                level=Level.PROBLEM,
                message=f"{program} {text} is too old: {needed} is needed",
                hint=f"install a newer {program}; Backstay's image has one",
            )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def ask_rights(facts: Facts) -> Iterator[Finding]:
    """Each of our accounts in its own name; in a pod of one of them, that one."""
    accounts = {role.user(facts.namespace): role for role in Role}
    own = accounts.get(facts.who)
    for role in (Role.CONTROLLER, Role.RUN):
        user = role.user(facts.namespace)
        if own is not None and own is not role:
            yield Finding(
                id=f"rights/{role}",
                level=Level.INFO,
                where=user,
                message=f"not asked from a pod of {own.account}",
                hint="run backstay doctor from a terminal",
            )
            continue
        yield from _of_role(facts, role, "" if own is role else user, user, Level.PROBLEM)
    if own in _OURS:
        for name, message in (
            (rights.YOU, "nobody types commands in this pod"),
            (Role.RESTORE, "nobody restores from this pod"),
        ):
            yield Finding(id=f"rights/{name}", level=Level.INFO, where=facts.who, message=message)
    else:
        yield from _of_role(facts, rights.YOU, "", facts.who or "you", Level.WARNING)
        yield from _of_role(facts, Role.RESTORE, "", facts.who or "you", Level.WARNING)


def _of_role(facts: Facts, role: str, subject: str, shown: str, level: Level) -> Iterator[Finding]:
    try:
        denied = [
            one
            for need in rights.needs_of(role)
            if (one := _denied(facts, need, subject)) is not None
        ]
    except Refused as error:
        yield Finding(
            id=f"rights/{role}",
            level=Level.UNKNOWN,
            where=shown,
            message=error.message,
            hint=error.hint,
        )
        return
    yield from rights.judge(role, denied, namespace=facts.namespace, who=shown, level=level)


def _denied(facts: Facts, need: Need, subject: str) -> Denied | None:
    right = need.at(facts.namespace)
    verdict = facts.api.may(right, subject=subject)
    if verdict.allowed:
        return None
    if right.resource != "*":
        return Denied(need, reason=verdict.reason)
    # An administrator may have listed every kind by hand: only what is missing counts.
    missing = [
        asked.kind
        for resource in facts.api.discover().resources
        if not facts.api.may(
            asked := Right(verb=right.verb, group=resource.group, resource=resource.plural),
            subject=subject,
        ).allowed
    ]
    return Denied(need, missing, verdict.reason) if missing else None


def ask_restore_account(facts: Facts) -> Iterator[Finding]:
    """It is as strong as cluster-admin while it is bound."""
    role = Role.RESTORE
    if facts.who in {one.user(facts.namespace) for one in _OURS}:
        yield Finding(
            id="rights/restore-account",
            level=Level.INFO,
            where=role.user(facts.namespace),
            message=f"not asked from a pod of {facts.who.rpartition(':')[2]}",
        )
        return
    right = Right(verb="create", group="*", resource="*")
    where = role.user(facts.namespace)
    if facts.api.may(right, subject=where).allowed:
        yield Finding(
            id="rights/restore-account",
            level=Level.WARNING,
            where=where,
            message="is bound, and as strong as cluster-admin",
            hint=f"once no restore needs it: kubectl delete clusterrolebinding {role.account}",
        )
    else:
        yield Finding(
            id="rights/restore-account",
            level=Level.OK,
            where=where,
            message="may not write everything: it is not bound, or to less",
        )
