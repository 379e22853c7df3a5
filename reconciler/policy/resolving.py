"""What documents need of each other and of Config: profiles, Repositories, clusters, permissions.

A document that refers to a broken one is held, not wrong: its last good version stays in force,
and the problem is told once, where it is. One that refers to nothing is wrong itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from reconciler.model.config import Config
from reconciler.model.policy import CopyMethod, Kind, SecretsMode, Value
from reconciler.policy import advice, grants, nodes, problems, renames, values
from reconciler.policy.drafts import PROFILE, Draft
from reconciler.policy.exemptionlanguage import ExemptionDocument
from reconciler.policy.language import BackupPolicyDocument, RepositoryDocument
from reconciler.policy.nodes import Path
from reconciler.policy.parts import ClustersPart
from reconciler.policy.profiles import merge
from reconciler.policy.restorelanguage import RestoreDocument

MAX_INHERITED = 500_000
"""Values that profiles give policies, over all: a large one would cost as often as it is named."""
_VOLUMES: Path = ("spec", "volumes")
_SECRETS: Path = ("spec", "manifests", "secrets")
_RECIPIENTS: Path = ("spec", "manifests", "recipients", "age")
_CLUSTERS: Path = ("spec", "clusters")
_GUARDS: Path = ("spec", "guards")
_FEW = 100
"""Among so many names the nearest is looked for: each policy may name one that does not exist."""


@dataclass(frozen=True, slots=True)
class Referred:
    """Documents of one kind that others may name."""

    kind: str
    by_name: Mapping[str, Draft]
    names: list[str]
    """Sorted."""
    unknown: Draft | None
    """A document too broken to tell what it is: it may be the one that is missing."""
    misplaced: Mapping[str, str]
    """Those that are not taken from where they stand: name → place."""

    @classmethod
    def among(cls, kind: str, drafts: list[Draft]) -> Referred:
        """All of a kind from where it may stand; of two with one name the first."""
        misplaced = {d.name: d.where for d in drafts if d.kind == kind and not d.admin}
        drafts = [draft for draft in drafts if draft.admin]
        named = {draft.name: draft for draft in reversed(drafts) if draft.kind == kind}
        named.pop("", None)
        nameless = (draft for draft in drafts if draft.found and not (draft.kind and draft.name))
        return cls(kind, named, sorted(named), next(nameless, None), misplaced)

    def find(self, name: str, draft: Draft, path: Path) -> Draft | None:
        """What ``draft`` names at a path; None, with ``draft`` held or wrong, if there is none."""
        found = self.by_name.get(name)
        if found is not None:
            if found.found:
                draft.held = f"its {self.kind} {found.name} has a problem, {_first(found)}"
                return None
            return found
        if self.unknown is not None:
            where = self.unknown.where
            draft.held = f"its {self.kind} may be in {where}, which has a problem"
            return None
        what = f"{self.kind} `{name}` does not exist" if name else f"there is no {self.kind}"
        known = self.names if name and len(self.names) <= _FEW else []
        near = advice.did_you_mean(name, known) if known else ""
        if name in self.misplaced:
            near = f"the one at {self.misplaced[name]} is not taken from there"
        draft.problem(
            path, what, near or f"add a document of kind {self.kind}, or check the whole folder"
        )
        return None


@dataclass(slots=True)
class Profiles:
    """Hands out profiles, as long as all together stay within `MAX_INHERITED`."""

    known: Referred
    limit: int = MAX_INHERITED
    given: int = 0
    """How many values policies got so far."""

    def inherit(self, draft: Draft, name: str) -> None:
        """Completes a policy with its profile; without, the policy is held or wrong."""
        profile = self.known.find(name, draft, PROFILE)
        if profile is None:
            return
        self.given += profile.yaml.count
        if self.given > self.limit:
            message = f"profiles give policies more than {self.limit} values in all"
            draft.problem(PROFILE, message, f"make Profile {name} smaller")
        elif isinstance(draft.root, nodes.Mapping) and isinstance(profile.root, nodes.Mapping):
            draft.profile = profile
            draft.merged = merge(draft.root, profile.root)
            draft.judge_merged(BackupPolicyDocument)


def _first(draft: Draft) -> str:
    problem = draft.found[0]
    return f"{problem.file}:{problem.line}"


def resolve(drafts: Iterable[Draft], config: Config | None) -> None:
    """Gives every document its value, or says what keeps it from one."""
    drafts = list(drafts)
    profiles = Profiles(Referred.among("Profile", drafts))
    repositories = Referred.among("Repository", drafts)
    for draft in drafts:
        before = draft.found
        if draft.kind == Kind.BACKUP_POLICY and draft.judged:
            draft.found = list(before)
            _resolve_policy(draft, profiles, repositories, config)
            draft.found = problems.merge(before, draft.found[len(before) :])
    renames.check(drafts, config=config is not None)
    if config is not None:
        grants.check(drafts, config)
    for draft in drafts:
        if not draft.found and not draft.held:
            draft.value = _make_value(draft)


def _make_value(draft: Draft) -> Value | None:
    match draft.part:
        case BackupPolicyDocument():
            return grants.limit(draft, values.make_policy(draft.part, draft.repository))
        case RepositoryDocument():
            return values.make_repository(draft.part)
        case ExemptionDocument():
            return values.make_exemption(draft.part)
        case RestoreDocument():
            return values.make_restore(draft.part)
    return values.make_profile(draft.name, draft.root) if draft.kind == Kind.PROFILE else None


def _resolve_policy(
    draft: Draft, profiles: Profiles, repositories: Referred, config: Config | None
) -> None:
    name = draft.text_at(PROFILE)
    if name:
        profiles.inherit(draft, name)
    draft.elsewhere = _elsewhere(draft, config)
    if name and draft.profile is None:
        return  # what it would give is unknown
    draft.repository = _repository(draft, repositories)
    _check_recipients(draft)
    _check_guards(draft)
    if config is not None and not config.shared_key_in_tenants and not draft.elsewhere:
        _refuse_shared_key(draft)


def _elsewhere(draft: Draft, config: Config | None) -> str:
    """Why this cluster does not take the policy; empty where it does, or where nobody can tell."""
    node = nodes.find(draft.tree, _CLUSTERS)
    if config is None or node is None:
        return ""
    try:
        part = ClustersPart.model_validate(nodes.plain_value(node))
    except ValidationError:
        return ""
    return values.make_clusters(part).why_not(config.cluster.name, config.cluster.labels)


def _repository(draft: Draft, repositories: Referred) -> str:
    """The Repository's name; empty, with a problem or held, where there is none to use."""
    path: Path = (*_VOLUMES, "repository")
    wanted = draft.text_at(path)
    if not wanted and len(repositories.names) > 1:
        shown = ", ".join(repositories.names[:8])
        draft.problem(path, "`volumes.repository` must be given", f"there are {shown}")
        return ""
    found = repositories.find(wanted or "".join(repositories.names), draft, path)
    return found.name if found else ""


def _check_recipients(draft: Draft) -> None:
    """Whoever may only propose a policy must not be able to name who reads its Secrets."""
    recipients = nodes.find(draft.tree, _RECIPIENTS)
    given = isinstance(recipients, nodes.Sequence) and bool(recipients.items)
    if draft.text_at(_SECRETS) == SecretsMode.SOPS and not given:
        draft.problem(
            _SECRETS,
            "Sops needs somebody to encrypt for: `manifests.recipients.age` has no public key",
            "an administrator gives it in a Profile, as age-keygen prints it: age1…",
        )
    inherited = draft.merged is not None and draft.merged.inherited(_RECIPIENTS)
    if given and not inherited and not draft.admin:
        draft.problem(
            _RECIPIENTS,
            "recipients of Secrets are not taken from this folder",
            "an administrator gives them in a Profile; name it with `profile`",
        )


def _check_guards(draft: Draft) -> None:
    """What is accepted is what a guard holds: without one it would be ignored."""
    if not draft.text_at((*_GUARDS, "accept")):
        return
    if not any(nodes.find(draft.tree, (*_GUARDS, name)) for name in ("maxShrink", "minObjects")):
        draft.problem(
            (*_GUARDS, "accept"),
            "`guards.accept` is given, and no guard that could hold anything",
            "add maxShrink or minObjects, or take it out",
        )


def _refuse_shared_key(draft: Draft) -> None:
    """Direct is refused where only the Repository's own key could be used, and may not."""
    paths: list[Path] = [(*_VOLUMES, "copyMethod")]
    rules = nodes.find(draft.tree, (*_VOLUMES, "rules"))
    if isinstance(rules, nodes.Sequence):
        paths += [(*_VOLUMES, "rules", n, "copyMethod") for n in range(len(rules.items))]
    for path in paths:
        if draft.text_at(path) == CopyMethod.DIRECT:
            draft.problem(
                path,
                "Direct would bring the Repository's own storage key into the tenant's namespace",
                "Config allows it with sharedKeyInTenants: true",
            )
