"""What a policy comes to: its own fields, its profile's, and the language's defaults."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.model import capabilities, cronhash
from reconciler.model.capabilities import Support
from reconciler.model.config import Config
from reconciler.model.effective import EffectiveField, EffectivePolicy, Origin
from reconciler.model.errors import InvalidInput, UsageError
from reconciler.model.grants import EVERYTHING
from reconciler.model.policy import BackupPolicy, Kind
from reconciler.policy import advice, nodes
from reconciler.policy.drafts import Draft
from reconciler.policy.language import BackupPolicyDocument, BackupPolicySpec
from reconciler.policy.parsing import draft_files
from reconciler.policy.parts import Part
from reconciler.policy.profiles import leaves

_REPOSITORY = "volumes.repository"
Names = tuple[str, ...]


def effective_policy(
    files: Mapping[str, bytes], name: str, config: Config | None = None, *, cluster: str = ""
) -> EffectivePolicy:
    """The whole policy. ``cluster`` is only needed for ``H`` in a schedule; default Config's.

    Raises UsageError when there is no such policy, InvalidInput when it, or what it refers to,
    has problems: then its last good version is in force, which only a cluster knows.
    """
    drafts = draft_files(files, config)
    draft = _find(drafts, name)
    if draft.found:
        raise InvalidInput(draft.found)
    if draft.held:
        raise InvalidInput(
            [problem for other in drafts for problem in other.found],
            hint=f"policy {name} is held: {draft.held}",
        )
    cluster = cluster or (config.cluster.name if config else "")
    repositories = {found.name: found for found in drafts if found.kind == Kind.REPOSITORY}
    return EffectivePolicy(
        name=name,
        source=draft.where,
        fields=tuple(_fields(draft, repositories)),
        profile=draft.profile.name if draft.profile else "",
        profile_source=draft.profile.where if draft.profile else "",
        cluster=cluster,
        elsewhere=draft.elsewhere,
        grant=draft.grant if draft.grant not in EVERYTHING else None,
        cron=_cron(draft, cluster),
    )


def _find(drafts: list[Draft], name: str) -> Draft:
    found = [draft for draft in drafts if draft.kind == Kind.BACKUP_POLICY and draft.name == name]
    if found:
        return found[0]
    known = sorted({draft.name for draft in drafts if draft.kind == Kind.BACKUP_POLICY})
    broken = [problem for draft in drafts for problem in draft.found if not draft.name]
    if broken:
        raise InvalidInput(broken, hint=f"policy {name} may be in what can't be read")
    hint = advice.did_you_mean(name, known) if known else "there is no policy at all"
    raise UsageError(f"there is no policy {name}", hint=hint or "see backstay validate")


def _cron(draft: Draft, cluster: str) -> str:
    policy = draft.value
    if not isinstance(policy, BackupPolicy):
        return ""
    if not cluster and cronhash.uses_hash(policy.schedule.cron):
        return ""
    return cronhash.compile_schedule(policy, cluster).cron


def _fields(draft: Draft, repositories: Mapping[str, Draft]) -> Iterator[EffectiveField]:
    spec = nodes.child(draft.tree, "spec")
    part = draft.part
    if spec is None or not isinstance(part, BackupPolicyDocument):
        return
    given = {path for path, _ in leaves(spec, BackupPolicySpec)}
    for path, value in _values(part.spec):
        name = ".".join(path)
        if path in given:
            yield _given(draft, path, value)
        elif name == _REPOSITORY and value is None and draft.repository in repositories:
            where = repositories[draft.repository].where
            note = f"the only Repository, {where}"
            yield EffectiveField(
                path=name, value=draft.repository, origin=Origin.DEFAULT, note=note
            )
        elif value not in (None, [], {}) and _support(name) is not Support.PARSED:
            yield EffectiveField(path=name, value=value, origin=Origin.DEFAULT)


def _given(draft: Draft, path: Names, value: object) -> EffectiveField:
    source, line, _ = draft.place(("spec", *path))
    name = ".".join(path)
    found = EffectiveField(
        path=name,
        value=value,
        origin=Origin.POLICY if source is draft else Origin.PROFILE,
        file=source.file,
        line=line,
    )
    if _support(name) is Support.PLANNED:
        found = replace(found, note=capabilities.PLANNED_NOTE)
    return found


def _support(name: str) -> Support:
    return capabilities.support_of("BackupPolicy", f"spec.{name}")


def _values(part: Part, path: Names = ()) -> Iterator[tuple[Names, object]]:
    """Every value below a part, in the order of the language; None where there is none."""
    for attribute, info in type(part).model_fields.items():
        value = getattr(part, attribute)
        here = (*path, str(info.alias))
        if isinstance(value, Part):
            yield from _values(value, here)
        else:
            yield here, _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Part):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
