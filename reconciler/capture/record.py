"""The record of a run as text and back: ``_run.yaml``, and its neighbours on the cluster's branch.

Promises: equal records give equal bytes, and reading them back gives an equal record. The keys'
order is fixed by the functions here; what is empty is left out, but for the lists that a reader
looks for (``namespaces``, ``gaps``, ``warnings``). Unknown fields are ignored when reading, since
a later version may add some; what is missing or of a wrong type is an error with its place.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from reconciler.capture import emitter, loading
from reconciler.capture.reading import Node
from reconciler.model import run
from reconciler.model.hooks import HookOutcome, HookRecord, Phase
from reconciler.model.objects import Gap, ObjectRef

API_VERSION = "backstay.dev/v1alpha1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"

T = TypeVar("T")


def render_time(time: datetime) -> str:
    """``2026-11-21T04:17:03Z``; ``time`` must be aware."""
    return time.astimezone(UTC).strftime(_TIME)


def render_record(record: run.RunRecord) -> bytes:
    """The text of ``_run.yaml``."""
    cluster = record.cluster
    return _render(
        "Run",
        record.name,
        policy=_filled(
            name=record.policy.name,
            revision=record.policy.revision,
            digest=record.policy.digest,
            source=record.policy.source,
            renamedFrom=record.policy.renamed_from,
        ),
        cluster={"name": cluster.name, "uid": cluster.uid, "version": cluster.version},
        trigger=record.trigger.value,
        started=render_time(record.started),
        finished=render_time(record.finished),
        outcome=record.outcome.value,
        failure=_failure(record.failure),
        namespaces=[_namespace(item) for item in record.namespaces],
        clusterScoped=_cluster_scoped(record.cluster_scoped),
        secrets=_secrets(record.secrets),
        gaps=[_gap(gap) for gap in record.gaps],
        leftOutKinds=[{"kind": i.kind, "reason": i.reason} for i in record.left_out_kinds] or None,
        redacted=[_redacted(found) for found in record.redacted] or None,
        guards=_guards(record.guards),
        selection=record.selection,
        warnings=list(record.warnings),
        retention=dict(sorted(record.retention.items())),
        writer=record.writer,
    )


def parse_record(text: bytes, *, where: str = "_run.yaml") -> run.RunRecord:
    """The record in a text; raises Stalled with the field's path when it is none."""
    root = _parse("Run", text, where)
    policy, cluster = root.child("policy"), root.child("cluster")
    return run.RunRecord(
        name=root.child("metadata").text("name"),
        policy=run.PolicyRef(
            name=policy.text("name"),
            revision=policy.text("revision"),
            digest=policy.text("digest"),
            source=policy.text("source", ""),
            renamed_from=policy.text("renamedFrom", ""),
        ),
        cluster=run.ClusterRef(
            name=cluster.text("name"), uid=cluster.text("uid"), version=cluster.text("version")
        ),
        trigger=root.choice("trigger", run.Trigger),
        started=root.time("started"),
        finished=root.time("finished"),
        outcome=root.choice("outcome", run.Outcome),
        failure=root.maybe("failure", _read_failure),
        namespaces=root.each("namespaces", _read_namespace),
        cluster_scoped=root.maybe("clusterScoped", _read_cluster_scoped),
        secrets=root.maybe("secrets", _read_secrets),
        gaps=root.each("gaps", _read_gap),
        left_out_kinds=root.each("leftOutKinds", _read_left_out_kind),
        redacted=root.each("redacted", _read_redacted),
        guards=root.maybe("guards", _read_guards),
        selection=root.text("selection", ""),
        warnings=root.texts("warnings"),
        retention=root.scalars("retention"),
        writer=root.text("writer", ""),
    )


def render_repositories(entries: tuple[run.RepositoryEntry, ...]) -> bytes:
    """The text of ``_repositories.yaml``, sorted by repository and namespace."""
    listed = [
        _filled(
            repository=entry.repository,
            namespace=entry.namespace,
            url=entry.url,
            id=entry.id,
            secret=entry.secret,
            firstRun=entry.first_run,
        )
        for entry in sorted(entries, key=lambda entry: (entry.repository, entry.namespace))
    ]
    return _render("Repositories", "", repositories=listed)


def parse_repositories(
    text: bytes, *, where: str = "_repositories.yaml"
) -> tuple[run.RepositoryEntry, ...]:
    """Every restic repository that a run of this cluster ever initialised."""
    return _parse("Repositories", text, where).each("repositories", _read_entry)


def render_cluster(marker: run.ClusterMarker) -> bytes:
    """The text of ``_cluster.yaml``."""
    adopted = [
        _filled(uid=entry.uid, at=render_time(entry.at), by=entry.by) for entry in marker.adopted
    ]
    return _render("Cluster", marker.name, uid=marker.uid, adopted=adopted)


def parse_cluster(text: bytes, *, where: str = "_cluster.yaml") -> run.ClusterMarker:
    """Which cluster writes here."""
    root = _parse("Cluster", text, where)
    return run.ClusterMarker(
        name=root.child("metadata").text("name"),
        uid=root.text("uid"),
        adopted=root.each("adopted", _read_adoption),
    )


def _render(kind: str, name: str, **fields: Any) -> bytes:
    head: dict[str, Any] = {"apiVersion": API_VERSION, "kind": kind}
    if name:
        head["metadata"] = {"name": name}
    kept = {key: value for key, value in fields.items() if value or isinstance(value, list)}
    return emitter.emit_in_order({**head, **kept})


def _parse(kind: str, text: bytes, where: str) -> Node:
    root = Node(loading.read_manifest(text, where=where), where)
    root.expect("apiVersion", API_VERSION)
    root.expect("kind", kind)
    return root


def _filled(**fields: Any) -> dict[str, Any]:
    """Without what is empty; 0 and False stay."""
    return {key: value for key, value in fields.items() if value not in ("", None, [], {})}


def _failure(failure: run.FailureRecord | None) -> dict[str, Any]:
    return _filled(reason=failure.reason, exitCode=failure.exit_code) if failure else {}


def _read_failure(node: Node) -> run.FailureRecord:
    return run.FailureRecord(reason=node.text("reason"), exit_code=node.number("exitCode", 1))


def _namespace(part: run.NamespaceRecord) -> dict[str, Any]:
    return _filled(
        name=part.name,
        outcome=part.outcome.value,
        reasons=list(part.reasons),
        captured=render_time(part.captured),
        objects=_counts(part.objects),
        leftOut=_left_out(part.left_out),
        unselected=_left_out(part.unselected),
        volumes=[_volume(volume) for volume in part.volumes],
        hooks=[_hook(hook) for hook in part.hooks],
    )


def _read_namespace(node: Node) -> run.NamespaceRecord:
    return run.NamespaceRecord(
        name=node.text("name"),
        outcome=node.choice("outcome", run.Outcome),
        reasons=node.texts("reasons"),
        captured=node.time("captured"),
        objects=_read_counts(node.child("objects")),
        left_out=node.each("leftOut", _read_left_out),
        unselected=node.each("unselected", _read_left_out),
        volumes=node.each("volumes", _read_volume),
        hooks=node.each("hooks", lambda one: _read_hook(one, node.text("name"))),
    )


def _counts(counts: run.Counts) -> dict[str, int]:
    return {
        "captured": counts.captured,
        "created": counts.created,
        "changed": counts.changed,
        "deleted": counts.deleted,
        "leftOut": counts.left_out,
    }


def _read_counts(node: Node) -> run.Counts:
    return run.Counts(
        captured=node.number("captured"),
        created=node.number("created"),
        changed=node.number("changed"),
        deleted=node.number("deleted"),
        left_out=node.number("leftOut"),
    )


def _left_out(found: tuple[run.LeftOutCount, ...]) -> list[dict[str, Any]]:
    return [{"kind": i.kind, "reason": i.reason, "count": i.count} for i in found]


def _redacted(found: run.RedactedValue) -> dict[str, Any]:
    return {"object": found.object, "field": found.field, "rule": found.rule}


def _read_redacted(node: Node) -> run.RedactedValue:
    return run.RedactedValue(
        object=node.text("object"), field=node.text("field"), rule=node.text("rule")
    )


def _read_left_out_kind(node: Node) -> run.LeftOutKind:
    return run.LeftOutKind(kind=node.text("kind"), reason=node.text("reason"))


def _read_left_out(node: Node) -> run.LeftOutCount:
    return run.LeftOutCount(
        kind=node.text("kind"), reason=node.text("reason"), count=node.number("count")
    )


def _hook(hook: HookRecord) -> dict[str, Any]:
    return _filled(
        name=hook.name,
        pod=hook.pod,
        container=hook.container,
        phase=hook.phase.value,
        outcome=hook.outcome.value,
        why=hook.why,
        exitCode=hook.exit_code,
        duration=hook.duration or None,
        outputBytes=hook.output_bytes or None,
    )


def _read_hook(node: Node, namespace: str) -> HookRecord:
    return HookRecord(
        name=node.text("name"),
        namespace=namespace,
        pod=node.text("pod", ""),
        container=node.text("container", ""),
        phase=node.choice("phase", Phase),
        outcome=node.choice("outcome", HookOutcome),
        why=node.text("why", ""),
        exit_code=node.number("exitCode") if node.has("exitCode") else None,
        duration=node.number("duration", 0),
        output_bytes=node.number("outputBytes", 0),
    )


def _volume(volume: run.VolumeRecord) -> dict[str, Any]:
    stored: dict[str, Any] = {}
    if volume.snapshot is not None:
        stored = {
            "snapshot": volume.snapshot,
            "files": volume.files,
            "size": volume.size,
            "added": volume.added,
            "took": volume.took,
        }
    return _filled(
        claim=volume.claim,
        copyMethod=volume.copy_method,
        why=volume.why,
        outcome=volume.outcome.value,
        reason=volume.reason,
        storageClass=volume.storage_class,
        capacity=volume.capacity or None,
        taken=_maybe(volume.taken, render_time),
        repository=_maybe(volume.repository, _repository),
        **stored,
    )


def _read_volume(node: Node) -> run.VolumeRecord:
    return run.VolumeRecord(
        claim=node.text("claim"),
        copy_method=node.text("copyMethod"),
        why=node.text("why", ""),
        outcome=node.choice("outcome", run.Outcome),
        reason=node.text("reason", ""),
        storage_class=node.text("storageClass", ""),
        capacity=node.number("capacity", 0),
        taken=node.time("taken") if node.has("taken") else None,
        repository=node.maybe("repository", _read_repository),
        snapshot=node.text("snapshot") if node.has("snapshot") else None,
        files=node.number("files", 0),
        size=node.number("size", 0),
        added=node.number("added", 0),
        took=node.number("took", 0),
    )


def _repository(repository: run.RepositoryRef) -> dict[str, Any]:
    return _filled(
        name=repository.name, url=repository.url, id=repository.id, secret=repository.secret
    )


def _read_repository(node: Node) -> run.RepositoryRef:
    return run.RepositoryRef(
        name=node.text("name"),
        url=node.text("url"),
        id=node.text("id"),
        secret=node.text("secret", ""),
    )


def _cluster_scoped(part: run.ClusterScopedRecord | None) -> dict[str, Any]:
    if part is None:
        return {}
    references = [
        _filled(
            group=reference.object.group,
            kind=reference.object.kind,
            name=reference.object.name,
            why=reference.why,
        )
        for reference in part.references
    ]
    return _filled(
        selection=part.selection,
        objects=_counts(part.objects),
        references=references,
        leftOut=_left_out(part.left_out),
        unselected=_left_out(part.unselected),
    )


def _read_cluster_scoped(node: Node) -> run.ClusterScopedRecord:
    return run.ClusterScopedRecord(
        objects=_read_counts(node.child("objects")),
        references=node.each("references", _read_reference),
        selection=node.text("selection", ""),
        left_out=node.each("leftOut", _read_left_out),
        unselected=node.each("unselected", _read_left_out),
    )


def _read_reference(node: Node) -> run.Reference:
    found = ObjectRef(group=node.text("group", ""), kind=node.text("kind"), name=node.text("name"))
    return run.Reference(object=found, why=node.text("why", ""))


def _secrets(part: run.SecretsRecord | None) -> dict[str, Any]:
    if part is None:
        return {}
    return _filled(
        mode=part.mode,
        repository=_maybe(part.repository, _repository),
        snapshot=part.snapshot,
        count=part.count,
        omitted=list(part.omitted),
        sealed=part.sealed or None,
        recipients=list(part.recipients),
    )


def _read_secrets(node: Node) -> run.SecretsRecord:
    return run.SecretsRecord(
        mode=node.text("mode"),
        repository=node.maybe("repository", _read_repository),
        snapshot=node.text("snapshot") if node.has("snapshot") else None,
        count=node.number("count", 0),
        omitted=node.texts("omitted"),
        sealed=node.number("sealed", 0),
        recipients=node.texts("recipients"),
    )


def _guards(part: run.GuardsRecord | None) -> dict[str, Any]:
    if part is None:
        return {}
    withheld = [
        _filled(namespace=one.namespace, kind=one.kind, count=one.count, since=one.since)
        for one in part.withheld
    ]
    accepted = part.accept if part.accepted else ""
    return _filled(withheld=withheld, accept=part.accept, accepted=accepted)


def _read_guards(node: Node) -> run.GuardsRecord:
    return run.GuardsRecord(
        withheld=node.each("withheld", _read_withheld),
        accept=node.text("accept"),
        accepted=bool(node.text("accepted", "")),
    )


def _read_withheld(node: Node) -> run.WithheldCount:
    return run.WithheldCount(
        namespace=node.text("namespace", ""),
        kind=node.text("kind"),
        count=node.number("count"),
        since=node.text("since", ""),
    )


def _gap(gap: Gap) -> dict[str, Any]:
    return _filled(
        group=gap.group,
        resource=gap.plural,
        namespace=gap.namespace,
        folder=gap.folder,
        reason=gap.reason,
    )


def _read_gap(node: Node) -> Gap:
    return Gap(
        group=node.text("group", ""),
        plural=node.text("resource", ""),
        namespace=node.text("namespace", ""),
        folder=node.text("folder", ""),
        reason=node.text("reason", ""),
    )


def _read_entry(node: Node) -> run.RepositoryEntry:
    return run.RepositoryEntry(
        repository=node.text("repository"),
        namespace=node.text("namespace"),
        url=node.text("url"),
        id=node.text("id"),
        secret=node.text("secret", ""),
        first_run=node.text("firstRun", ""),
    )


def _read_adoption(node: Node) -> run.Adoption:
    return run.Adoption(uid=node.text("uid"), at=node.time("at"), by=node.text("by", ""))


def _maybe(value: T | None, render: Callable[[T], Any]) -> Any:
    return None if value is None else render(value)
