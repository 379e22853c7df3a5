"""Checked parts of the language → the frozen values of `reconciler.model`."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time

from reconciler.model import config, policy
from reconciler.model.durations import parse_duration, parse_percent
from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.hooks import Hook, HookCommand
from reconciler.model.redaction import KeepRule, Redact, RedactRule
from reconciler.model.restoreintent import (
    ExistingPolicy,
    Restore,
    RestoreSource,
    RestoreVolumes,
)
from reconciler.policy.configlanguage import (
    ConfigDocument,
    CredentialsPart,
    GrantPart,
    InventoryPart,
    JobsPart,
    LocalCredentials,
    ManifestStorePart,
    PolicySourcePart,
    WebhookPart,
    folder_of,
)
from reconciler.policy.cron import parse_cron
from reconciler.policy.exemptionlanguage import ExemptionDocument
from reconciler.policy.language import (
    BackupPolicyDocument,
    GuardsPart,
    HookCommandPart,
    HookPart,
    ObjectivesPart,
    ProfileSpec,
    RepositoryDocument,
    SelectorPart,
    VolumesPart,
)
from reconciler.policy.nodes import Node, child, plain_value
from reconciler.policy.parts import ClustersPart, NamespacesPart
from reconciler.policy.profiles import leaves
from reconciler.policy.redactlanguage import RedactPart
from reconciler.policy.restorelanguage import RestoreDocument


def make_policy(document: BackupPolicyDocument, repository: str) -> policy.BackupPolicy:
    """``repository`` is the name that `VolumesPart.repository` resolves to."""
    spec = document.spec
    return policy.BackupPolicy(
        name=document.metadata.name,
        suspend=spec.suspend,
        renamed_from=spec.renamed_from,
        schedule=policy.Schedule(parse_cron(spec.schedule.cron), spec.schedule.time_zone),
        objectives=_objectives(spec.objectives),
        selector=_selector(spec.selector),
        manifests=policy.Manifests(
            spec.manifests.secrets,
            recipients=tuple(sorted(set(spec.manifests.recipients.age))),
            redact=_redact(spec.manifests.redact),
        ),
        volumes=_volumes(spec.volumes, repository),
        retention=policy.Retention(**spec.retention.model_dump(exclude_unset=True)),
        hooks=tuple(_hook(hook) for hook in spec.hooks),
        guards=_guards(spec.guards),
    )


def _redact(part: RedactPart) -> Redact | None:
    if not part.rules and not part.keep:
        return None
    return Redact(
        rules=tuple(
            RedactRule(
                name=one.name,
                kinds=tuple(one.kinds),
                paths=tuple(one.paths),
                reason=one.reason or "",
            )
            for one in part.rules
        ),
        keep=tuple(
            KeepRule(
                name=one.name,
                kinds=tuple(one.kinds),
                paths=tuple(one.paths),
                names=tuple(one.names),
                reason=one.reason,
            )
            for one in part.keep
        ),
    )


def _guards(part: GuardsPart) -> policy.Guards | None:
    if part.max_shrink is None and part.min_objects is None:
        return None
    return policy.Guards(
        max_shrink=parse_percent(part.max_shrink) if part.max_shrink else None,
        min_objects=part.min_objects,
        accept=part.accept or "",
    )


def _hook(part: HookPart) -> Hook:
    return Hook(
        name=part.name,
        match_labels=dict(part.pods.match_labels),
        container=part.container,
        once=part.once,
        pre=_command(part.pre),
        post=_command(part.post),
    )


def _command(part: HookCommandPart | None) -> HookCommand | None:
    if part is None:
        return None
    return HookCommand(tuple(part.command), parse_duration(part.timeout), part.on_error)


def _objectives(part: ObjectivesPart) -> policy.Objectives:
    return policy.Objectives(
        rpo=parse_duration(part.rpo) if part.rpo else None,
        rto=parse_duration(part.rto) if part.rto else None,
    )


def _selector(part: SelectorPart) -> policy.Selector:
    objects = part.objects
    return policy.Selector(
        namespaces=_namespaces(part.namespaces),
        objects=policy.ObjectSelector(
            match_labels=dict(objects.match_labels),
            include=tuple(objects.include),
            exclude=tuple(objects.exclude),
            cluster_scoped=objects.cluster_scoped,
        ),
    )


def _namespaces(part: NamespacesPart) -> policy.NamespaceSelector:
    return policy.NamespaceSelector(
        names=tuple(part.names),
        match_labels=dict(part.match_labels),
        exclude=tuple(part.exclude),
    )


def make_clusters(part: ClustersPart | None) -> policy.ClusterSelector:
    """None means every cluster."""
    if part is None:
        return policy.ClusterSelector()
    return policy.ClusterSelector(
        names=tuple(part.names),
        match_labels=dict(part.match_labels),
        exclude=tuple(part.exclude),
    )


def _volumes(part: VolumesPart, repository: str) -> policy.Volumes:
    return policy.Volumes(
        repository=repository,
        rules=tuple(
            policy.VolumeRule(
                claims=tuple(rule.match.claims),
                storage_class=tuple(rule.match.storage_class),
                copy_method=rule.copy_method,
                reason=rule.reason or "",
            )
            for rule in part.rules
        ),
        copy_method=part.copy_method,
        concurrency=part.concurrency,
        exclude=tuple(part.exclude),
    )


def make_repository(document: RepositoryDocument) -> policy.Repository:
    """The value of a Repository."""
    spec = document.spec
    return policy.Repository(
        name=document.metadata.name,
        url=spec.url,
        secret_ref=spec.secret_ref.name,
        tenant_secret_ref=spec.tenant_secret_ref.name if spec.tenant_secret_ref else "",
        scope=spec.scope,
    )


def make_profile(name: str, root: Node) -> policy.Profile:
    """``root`` is the whole document, which may lack what policies add."""
    spec = child(root, "spec")
    found = leaves(spec, ProfileSpec) if spec is not None else ()
    gives = {".".join(path): json.dumps(plain_value(node), sort_keys=True) for path, node in found}
    return policy.Profile(name=name, gives=gives)


def make_exemption(document: ExemptionDocument) -> policy.Exemption:
    """The value of an Exemption."""
    spec = document.spec
    return policy.Exemption(
        name=document.metadata.name,
        namespaces=_namespaces(spec.match.namespaces),
        claims=tuple(spec.match.claims),
        reason=spec.reason,
        owner=spec.owner,
        expires=_end(spec.expires).strftime("%Y-%m-%dT%H:%M:%SZ"),
        clusters=make_clusters(spec.clusters),
    )


def make_restore(document: RestoreDocument) -> Restore:
    """The value of a Restore."""
    spec, source = document.spec, document.spec.from_
    return Restore(
        name=document.metadata.name,
        cluster=spec.cluster,
        source=RestoreSource(
            policy=source.policy or (source.run or "").rsplit("-", 3)[0],
            at=source.at or "",
            run=source.run or "",
            commit=source.commit or "",
            cluster=source.cluster or "",
        ),
        namespaces=tuple(spec.selector.namespaces),
        match_labels=dict(spec.selector.match_labels),
        claims=tuple(spec.selector.claims),
        paths=tuple(spec.selector.paths),
        map_namespaces=dict(spec.map_namespaces),
        volumes=RestoreVolumes(spec.volumes),
        existing=ExistingPolicy(spec.existing_resource_policy),
    )


def _end(moment: str) -> datetime:
    """A time in UTC; a date means its last second."""
    if "T" not in moment:
        return datetime.combine(date.fromisoformat(moment), time(23, 59, 59), UTC)
    return datetime.fromisoformat(moment).astimezone(UTC)


def make_config(document: ConfigDocument) -> config.Config:
    """The value of ``backstay.yaml``."""
    return config.Config(
        cluster=config.ClusterConfig(
            document.cluster.name,
            dict(document.cluster.labels),
            document.cluster.renamed_from or "",
        ),
        policy_source=_policy_source(document.policy_source),
        manifest_store=_manifest_store(document.manifest_store),
        inventory=_inventory(document.inventory) if document.inventory else None,
        image=document.image,
        image_pull_policy=document.image_pull_policy,
        secrets={name: _local(part) for name, part in document.secrets.items()},
        grants=_grants(document.grants),
        shared_key_in_tenants=document.shared_key_in_tenants,
        runs=_jobs(document.runs),
        movers=_jobs(document.movers),
        max_delete=parse_percent(document.max_delete),
    )


def _grants(parts: list[GrantPart] | None) -> tuple[Grant, ...]:
    if parts is None:
        return EVERYTHING
    return tuple(
        Grant(
            path=folder_of(part.path),
            admin=part.admin,
            namespaces=tuple(part.namespaces),
            repositories=tuple(part.repositories),
            hooks=tuple(part.hooks),
            restore_targets=tuple(part.restore_targets),
            shortest_interval=parse_duration(part.shortest_interval)
            if part.shortest_interval
            else 0,
            max_policies=part.max_policies,
            keep_in_clear=part.keep_in_clear,
        )
        for part in parts
    )


def _policy_source(part: PolicySourcePart) -> config.PolicySourceConfig:
    return config.PolicySourceConfig(
        url=part.url,
        ref=part.ref,
        path=folder_of(part.path),
        interval=parse_duration(part.interval),
        credentials=_credentials(part),
        webhook=_credentials(part.webhook) if part.webhook else None,
        signers=part.verify.secret_ref.name if part.verify else "",
    )


def _manifest_store(part: ManifestStorePart) -> config.ManifestStoreConfig:
    return config.ManifestStoreConfig(
        url=part.url,
        author=config.Author(part.author.name, part.author.email),
        credentials=_credentials(part),
        signing_key=part.signing_key.name if part.signing_key else "",
        pushes_per_minute=part.pushes_per_minute or 0,
    )


def _inventory(part: InventoryPart) -> config.InventoryConfig:
    return config.InventoryConfig(url=part.url, credentials=_credentials(part))


def _credentials(part: CredentialsPart | WebhookPart) -> config.Credentials | None:
    if part.secret_ref is None and part.file is None and part.env is None:
        return None
    name = part.secret_ref.name if part.secret_ref else ""
    return config.Credentials(secret_ref=name, file=part.file or "", env=part.env or "")


def _local(part: LocalCredentials) -> config.Credentials:
    return config.Credentials(file=part.file or "", env=part.env or "")


def _jobs(part: JobsPart) -> config.JobSettings:
    if part.resources is None:
        return config.JobSettings()
    requests, limits = part.resources.requests, part.resources.limits
    return config.JobSettings(
        config.Resources(
            requests={str(name): amount for name, amount in requests.items()},
            limits={str(name): amount for name, amount in limits.items()},
        )
    )
