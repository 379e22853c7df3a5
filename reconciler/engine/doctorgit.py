"""Asks both Git repositories: can they be read and pushed to, and whose branches are there?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler import policy
from reconciler.engine.applying import STATE
from reconciler.engine.clusterbranch import load_cluster_branch, names_of
from reconciler.engine.doctor import Task
from reconciler.engine.doctorfacts import Facts, failed, failed_with
from reconciler.engine.history import doubt_newest, read_points
from reconciler.engine.observe import read_all
from reconciler.model import kinds
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError
from reconciler.model.plan import Desired
from reconciler.model.store import parse_revision

_SHOWN = 5


def ask_policies(facts: Facts) -> Iterator[Finding]:
    """The newest revision, read and parsed as the controller does it."""
    config = facts.config.policy_source
    where = f"{config.url} {config.ref}"
    try:
        files = facts.ports.source().fetch(_remembered(facts) or None)
    except BackstayError as error:
        yield failed_with(facts, "git/policies", error, where, config.credentials)
        raise
    if not files.path_found:
        yield Finding(
            id="git/policies",
            level=Level.PROBLEM,
            where=where,
            message=f"the folder {config.path} is not in {files.revision}",
            hint="correct policySource.path in Config, or bring the folder back",
        )
    else:
        yield Finding(
            id="git/policies", level=Level.OK, where=where, message=f"readable, {files.revision}"
        )
    parsed = policy.parse_files(files.files, facts.config)
    facts.found_files = files
    facts.found_desired = Desired(parsed, (*files.problems, *parsed.problems))
    yield from _valid(facts)


def _remembered(facts: Facts) -> str:
    """The revision that the controller applied last; empty where nobody knows."""
    if facts.found_cluster is None:
        return ""
    try:
        found = read_all(
            facts.cluster,
            kinds.CONFIG_MAPS,
            dict,
            namespace=facts.namespace,
            field_selector=f"metadata.name={STATE}",
        )
        revision = str((found[0].get("data") or {}).get("revision", "")) if found else ""
        parse_revision(revision)
    except (BackstayError, ValueError):
        return ""
    return revision


def _valid(facts: Facts) -> Iterator[Finding]:
    problems = facts.desired.problems
    for problem in problems[:_SHOWN]:
        yield Finding(
            id="policies/valid",
            level=Level.PROBLEM,
            where=f"{problem.file}:{problem.line}:{problem.column}",
            message=problem.message,
            hint=problem.hint or "backstay validate shows it with its file",
        )
    if len(problems) > _SHOWN:
        yield Finding(
            id="policies/valid",
            level=Level.PROBLEM,
            message=f"and {len(problems) - _SHOWN} more problems",
            hint="backstay plan lists them all",
        )
    names = [found.name for found in facts.desired.parsed.policies]
    elsewhere = {one.name: one.elsewhere for one in facts.desired.parsed.documents if one.elsewhere}
    if facts.policy in elsewhere:
        yield Finding(
            id="policies/valid",
            level=Level.INFO,
            where=f"policy {facts.policy}",
            message=f"is not for this cluster: {elsewhere[facts.policy]}",
        )
    elif facts.policy and facts.policy not in names:
        yield Finding(
            id="policies/valid",
            level=Level.PROBLEM,
            where=f"policy {facts.policy}",
            message=f"is not in {facts.files.revision}",
            hint=f"there are: {', '.join(names)}" if names else "there is no policy at all",
        )
    if not names:
        yield Finding(
            id="policies/valid",
            level=Level.WARNING,
            message=f"{facts.files.revision} holds no good policy for this cluster: nothing is"
            " backed up",
            hint="docs/policies.md shows the smallest one",
        )
    elif not problems:
        yield Finding(
            id="policies/valid",
            level=Level.OK,
            message=f"{len(names)} policies" if len(names) > 1 else "1 policy",
        )


def ask_manifests(facts: Facts) -> Iterator[Finding]:
    """Reads what is there; a push goes as far as it can go without sending anything."""
    name = facts.config.cluster.name
    where = facts.config.manifest_store.url
    try:
        store = facts.ports.store()
        found = store.branches(f"clusters/{name}/")
    except BackstayError as error:
        keys = facts.config.manifest_store.credentials
        yield failed_with(facts, "git/manifests", error, where, keys)
        raise
    facts.found_store = store
    facts.found_branches = {
        branch: tip
        for branch, tip in found.items()
        if not branch.rpartition("/")[2].startswith("_")
    }
    count = len(facts.found_branches)
    told = "1 branch" if count == 1 else f"{count} branches"
    yield Finding(
        id="git/manifests", level=Level.OK, where=where, message=f"readable, {told} of {name}"
    )
    try:
        store.check_push(f"clusters/{name}/_doctor")
    except BackstayError as error:
        yield failed("git/push", error, where)
    else:
        yield Finding(
            id="git/push",
            level=Level.OK,
            where=where,
            message="takes pushes; rules for branches and hooks are asked by a real push only",
        )


def ask_branch(facts: Facts) -> Iterator[Finding]:
    """The marker says which cluster writes here."""
    name = facts.config.cluster.name
    where = f"branch clusters/{name}/_cluster"
    store = facts.store
    try:
        branch = load_cluster_branch(store, name)
    except BackstayError as error:
        yield failed("git/cluster", error, where)
        return
    facts.found_branch = branch
    own = branch.marker is not None and branch.marker.uid == facts.uid
    try:
        others = names_of(store, facts.uid, besides=name) if facts.uid and not own else ()
    except BackstayError as error:
        yield failed("git/cluster", error, where)
        return
    if others and facts.config.cluster.renamed_from not in others:
        other = others[0]
        yield Finding(
            id="git/cluster",
            level=Level.PROBLEM,
            where=f"branch clusters/{other}/_cluster",
            message=f"was written by this very cluster ({facts.uid}), which Config calls {name}:"
            f" its recovery points are those of {other}",
            hint=f"put cluster.name: {other} into Config; or, if it is called {name} from now on,"
            f" cluster.renamedFrom: {other} (docs/rename-cluster.md)",
        )
        return
    if branch.marker is None:
        yield _unmarked(facts, where)
    elif not facts.uid:
        yield Finding(
            id="git/cluster",
            level=Level.UNKNOWN,
            where=where,
            message=f"was written by cluster {branch.marker.uid}; this one's uid is not known",
            hint="see cluster/api",
        )
    elif branch.marker.uid != facts.uid:
        yield Finding(
            id="git/cluster",
            level=Level.PROBLEM,
            where=where,
            message=f"was written by another cluster: its uid is {branch.marker.uid}, this one's is"
            f" {facts.uid}; runs refuse to write (exit code 4)",
            hint="if this cluster replaces it: restore first, then backstay adopt; if not, give"
            " this cluster another name in Config",
        )
    else:
        yield Finding(
            id="git/cluster", level=Level.OK, where=where, message=f"is this cluster's, {facts.uid}"
        )


def _unmarked(facts: Facts, where: str) -> Finding:
    if not facts.branches:
        return Finding(
            id="git/cluster", level=Level.OK, where=where, message="the first run writes it"
        )
    return Finding(
        id="git/cluster",
        level=Level.PROBLEM,
        where=where,
        message=f"has no marker, and {len(facts.branches)} branches are there: runs refuse to"
        " write (exit code 4)",
        hint="find out who removed it; if the branches are this cluster's: backstay adopt",
    )


def split_branches(facts: Facts) -> Sequence[tuple[str, Task]]:
    """One task for each branch of a policy, also of one that is no longer in Git."""
    if not facts.branches:
        return [("", _no_branch)]
    return [(f"branch {name}", _branch_task(name)) for name in sorted(facts.branches)]


def _no_branch(_: Facts) -> Iterator[Finding]:
    yield Finding(id="git/branches", level=Level.OK, message="no run was recorded yet")


def _branch_task(name: str) -> Task:
    def ask(facts: Facts) -> Iterator[Finding]:
        where = f"branch {name}"
        try:
            facts.points[name] = read_points(facts.store, name)
        except BackstayError:
            facts.failed_branches.append(name)
            raise
        if facts.policy not in ("", name.rpartition("/")[2]):
            return
        doubt = doubt_newest(facts.store, name)
        if doubt:
            yield Finding(
                id="git/branches",
                level=Level.WARNING,
                where=where,
                message=doubt,
                hint=f"only runs should write here: git log -3 {name}; the next run goes on top",
            )
        else:
            count = len(facts.points[name])
            told = "1 run" if count == 1 else f"{count} runs"
            yield Finding(id="git/branches", level=Level.OK, where=where, message=told)

    return ask
