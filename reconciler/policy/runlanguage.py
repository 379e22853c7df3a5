"""Run: the record that every run leaves in Git, ``_run.yaml``. Written, never read as a policy.

`reconciler.capture.record` writes and reads it; here is what its schema says. A later version may
add fields, so nothing unknown is refused, and no field is ever taken away.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from reconciler.model.hooks import HookOutcome, Phase
from reconciler.model.policy import ClusterScoped, CopyMethod, SecretsMode
from reconciler.model.run import Outcome, Trigger
from reconciler.policy.parts import Part

_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"
Moment = Annotated[str, Field(pattern=_TIME)]
Count = Annotated[int, Field(ge=0)]
UsedMethod = Literal[CopyMethod.SNAPSHOT, CopyMethod.CLONE, CopyMethod.DIRECT, CopyMethod.SKIP]
Words = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["integer", "string"]}}),
]


class RunMetadata(Part):
    """What the record is called."""

    name: Annotated[str, Field(pattern=r"^.+-\d{8}-\d{6}-[0-9a-f]{5}$")]
    """The run id."""


class RunPolicyPart(Part):
    """The policy as the run had it."""

    name: str
    """The policy."""
    revision: str
    """Git revision of the policy repository, main@sha1:<hex>."""
    digest: str
    """Digest of the compiled policy, sha256:<hex>."""
    source: str | None = None
    """File and index of the document in it, policies/shop.yaml#0."""
    renamed_from: str | None = None
    """The policy's former name, on whose branch the recovery points of before are."""


class RunClusterPart(Part):
    """The cluster that was read."""

    name: str
    """Its name in Config."""
    uid: str
    """The uid of the namespace kube-system."""
    version: str
    """Version of the API server."""


class FailurePart(Part):
    """Only where the whole run Failed: why, and how its process ends."""

    reason: str
    """The class of the error."""
    exit_code: Annotated[int, Field(ge=1)]
    """The exit code of the run's pod."""


class CountsPart(Part):
    """Objects, and how they changed against the parent commit."""

    captured: Count
    """Objects in the tree."""
    created: Count
    """Against the parent commit."""
    changed: Count
    """Against the parent commit."""
    deleted: Count
    """Against the parent commit."""
    left_out: Count
    """Objects that were read and not captured."""


class LeftOutPart(Part):
    """Objects of one kind that were not captured."""

    kind: str
    """Kind and group in lower case."""
    reason: str
    """Why."""
    count: Count
    """How many."""


class LeftOutKindPart(Part):
    """A kind that the cluster serves and that was not listed."""

    kind: str
    """As in paths: deployment.apps."""
    reason: str
    """Why."""


class RecordedRepositoryPart(Part):
    """A restic repository."""

    name: str
    """The Repository object."""
    url: str
    """Without credentials."""
    id: str
    """restic's id of the repository."""
    secret: str | None = None
    """The Secret in Backstay's namespace that opened it."""


class VolumePart(Part):
    """A claim, and what came of its data."""

    claim: str
    """The PersistentVolumeClaim."""
    copy_method: UsedMethod
    """How its data was copied."""
    why: str | None = None
    """What decided the method."""
    outcome: Outcome
    """How it ended."""
    reason: str | None = None
    """Why the outcome is not Completed."""
    storage_class: str | None = None
    """Its storage class."""
    capacity: Count | None = None
    """Bytes that the claim asked for."""
    taken: Moment | None = None
    """The moment that the data is of."""
    repository: RecordedRepositoryPart | None = None
    """Where the data is."""
    snapshot: str | None = None
    """restic's full snapshot id; absent where nothing was stored."""
    files: Count | None = None
    """Files in the snapshot."""
    size: Count | None = None
    """Bytes in the snapshot."""
    added: Count | None = None
    """Bytes that the repository grew by."""
    took: Count | None = None
    """Seconds."""


class HookPart(Part):
    """One command of a hook in one pod. What it wrote is nowhere."""

    name: str
    """The hook."""
    pod: str | None = None
    """Its pod; absent where none matched."""
    container: str | None = None
    """Its container."""
    phase: Phase
    """Before or after the copy."""
    outcome: HookOutcome
    """How it ended."""
    why: str | None = None
    """Why the outcome is not Completed."""
    exit_code: int | None = None
    """Absent where nobody knows it: never started, timed out, connection lost."""
    duration: Count = 0
    """Seconds."""
    output_bytes: Count = 0
    """Bytes that it wrote."""


class RunNamespacePart(Part):
    """A namespace: a recovery point of its own."""

    name: str
    """The namespace."""
    outcome: Outcome
    """How it ended."""
    reasons: list[str] = Field(default_factory=list)
    """Why the outcome is not Completed."""
    captured: Moment
    """When its objects had been read."""
    objects: CountsPart
    """Its objects."""
    left_out: list[LeftOutPart] = Field(default_factory=list)
    """What was not captured."""
    unselected: list[LeftOutPart] = Field(default_factory=list)
    """Files that left the tree because the policy does not select their objects any more."""
    volumes: list[VolumePart] = Field(default_factory=list)
    """Its claims."""
    hooks: list[HookPart] = Field(default_factory=list)
    """Commands in its pods around the copy, in the order in which they ended."""


class ReferencePart(Part):
    """A cluster-scoped object that belongs to the selection."""

    group: str | None = None
    """API group; absent for the core group."""
    kind: str
    """Kind."""
    name: str
    """Name."""
    why: str | None = None
    """Why it belongs to the selection."""


class ClusterScopedPart(Part):
    """The part of the tree below _cluster/."""

    selection: ClusterScoped | None = None
    """Which cluster-scoped objects the policy selects."""
    objects: CountsPart
    """Its objects."""
    references: list[ReferencePart] = Field(default_factory=list)
    """The cluster-scoped objects that something selected needs; all that were captured, unless
    `selection` is All."""
    left_out: list[LeftOutPart] = Field(default_factory=list)
    """What was not captured."""
    unselected: list[LeftOutPart] = Field(default_factory=list)
    """Files that left the tree because the policy does not select their objects any more."""


class SecretsPart(Part):
    """Where the values of the Secrets are."""

    mode: SecretsMode
    """How Secrets are kept."""
    repository: RecordedRepositoryPart | None = None
    """Where they are."""
    snapshot: str | None = None
    """restic's full snapshot id."""
    count: Count | None = None
    """How many Secrets the snapshot holds."""
    omitted: list[str] = Field(default_factory=list)
    """With `Omit`: the Secrets that are kept nowhere, as `<namespace>/<name>`."""
    sealed: Count | None = None
    """With `Sops`: how many Secrets the tree holds encrypted."""
    recipients: list[str] = Field(default_factory=list)
    """With `Sops`: the public keys of age that they are encrypted for."""


class RedactedPart(Part):
    """A credential outside a Secret, of which Git has a fingerprint."""

    object: str
    """Path of the file."""
    field: str
    """Its place in the object, spec.template.spec.containers[web].env[TOKEN].value."""
    rule: str
    """The rule that found it."""


class GapPart(Part):
    """What could not be listed: nothing there was taken for deleted."""

    group: str | None = None
    """API group; absent for the core group."""
    resource: str | None = None
    """Plural name; absent where a whole group failed."""
    namespace: str | None = None
    """Absent where it failed for all."""
    folder: str | None = None
    """The folder in the tree that it covers."""
    reason: str
    """Why."""


class WithheldPart(Part):
    """Files of one kind whose objects are gone."""

    namespace: str | None = None
    """Absent for what is cluster-scoped."""
    kind: str
    """The folder in the tree."""
    count: Count
    """How many."""
    since: str | None = None
    """The run that they are compared with."""


class RunGuardsPart(Part):
    """What the guards of the policy stopped at."""

    withheld: list[WithheldPart]
    """Files that stay in the tree though their objects are gone, unless that was accepted."""
    accept: str
    """The digest by which exactly these may go."""
    accepted: str | None = None
    """The same digest, where the policy had it: they went."""


class RunDocument(Part):
    """The record of one run of Backstay, _run.yaml on branch clusters/<cluster>/<policy>. Later
    versions may add fields."""

    api_version: str
    kind: str
    metadata: RunMetadata
    """What the record is called."""
    policy: RunPolicyPart
    """The policy as the run had it."""
    cluster: RunClusterPart
    """The cluster that was read."""
    trigger: Trigger
    """What started the run."""
    started: Moment
    """Start of the run."""
    finished: Moment
    """End of the run, before the push."""
    outcome: Outcome
    """How it ended."""
    failure: FailurePart | None = None
    """Only where the whole run Failed: why, and how its process ends."""
    namespaces: list[RunNamespacePart]
    """One entry per selected namespace; each is a recovery point of its own."""
    cluster_scoped: ClusterScopedPart | None = None
    """The part of the tree below _cluster/."""
    secrets: SecretsPart | None = None
    """Where the values of the Secrets are."""
    gaps: list[GapPart]
    """What could not be listed: nothing there was taken for deleted."""
    left_out_kinds: list[LeftOutKindPart] = Field(default_factory=list)
    """Kinds that were not listed."""
    redacted: list[RedactedPart] = Field(default_factory=list)
    """Credentials outside Secrets, the first thousand: their values are in the snapshot, too."""
    guards: RunGuardsPart | None = None
    """Only of a run in which too much was gone."""
    selection: str | None = None
    """Digest of what the policy selected, sha256:<hex>."""
    warnings: list[str]
    """What a person should know."""
    retention: Words | None = None
    """As the policy had it, in restic's words."""
    writer: str | None = None
    """Program and version that wrote the record."""
