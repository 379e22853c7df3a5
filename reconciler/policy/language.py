"""The policy language: one definition of its kinds, from which everything else is made.

Strict: no unknown field, no value of another type. Short forms (``schedule: "…"``, a list for
``namespaces``) become the long form before they are checked. What a field may hold stands here;
what this version executes of it stands in `reconciler.model.capabilities`. The docstrings are
what the reference and the schemas say.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from reconciler.model.hooks import OnError
from reconciler.model.policy import ClusterScoped, CopyMethod, Scope, SecretsMode
from reconciler.policy import fields
from reconciler.policy.exemptionlanguage import ExemptionDocument
from reconciler.policy.fields import Wrong
from reconciler.policy.parts import (
    ClustersPart,
    LabelSelector,
    Metadata,
    NameRef,
    NamespacesPart,
    Need,
    Part,
    Rule,
    ShortForm,
)
from reconciler.policy.redactlanguage import RedactPart
from reconciler.policy.restorelanguage import RestoreDocument


class SchedulePart(Part):
    """When a policy runs."""

    short_form = ShortForm("cron", str)

    cron: fields.Cron
    """Five fields, or a macro such as `@daily`; `H` in minute or hour spreads policies."""
    time_zone: fields.TimeZone = "Etc/UTC"
    """IANA name."""


class ObjectivesPart(Part):
    """What was promised."""

    rpo: fields.Duration | None = None
    """The longest time between two recovery points."""
    rto: fields.Duration | None = None
    """The longest time that a restore may take."""


class ObjectsPart(Part):
    """Which objects of the selected namespaces."""

    match_labels: fields.Labels = Field(default_factory=dict)
    """Labels that an object in a namespace must carry. Claims whose data is copied come anyway."""
    include: fields.KindGlobs = Field(default_factory=lambda: ["*"])
    """Kinds in namespaces, as `deployment.apps` or `deployments.apps`, and globs such as
    `*.apps`. Claims whose data is copied come anyway."""
    exclude: fields.KindGlobs = Field(default_factory=list)
    """Kinds that are left out, cluster-scoped ones too; it wins over `include`."""
    cluster_scoped: Annotated[ClusterScoped, Field(strict=False)] = ClusterScoped.REFERENCED
    """Cluster-scoped objects: those that something selected refers to, all, or none. The selected
    Namespaces come anyway."""


class SelectorPart(Part):
    """What a policy protects."""

    namespaces: NamespacesPart
    """Which namespaces; a list stands for `names`."""
    objects: ObjectsPart = Field(default_factory=ObjectsPart)
    """Which objects in them; by default all."""


ForeignKeys = Annotated[list[fields.Line], Field(max_length=50)]


class RecipientsPart(Part):
    """For whom Secrets are encrypted, in SOPS' words."""

    age: Annotated[list[fields.AgeRecipient], Field(max_length=50)] = Field(default_factory=list)
    """Public keys of age, as age-keygen prints them."""
    kms: ForeignKeys = Field(default_factory=list)
    """Keys of AWS KMS."""
    gcp_kms: ForeignKeys = Field(default_factory=list)
    """Keys of Google's KMS."""
    azure_kv: ForeignKeys = Field(default_factory=list)
    """Keys of Azure's Key Vault."""
    hc_vault: ForeignKeys = Field(default_factory=list)
    """Keys of HashiCorp's Vault."""
    pgp: ForeignKeys = Field(default_factory=list)
    """Fingerprints of PGP keys."""


class ManifestsPart(Part):
    """How manifests are kept."""

    secrets: Annotated[SecretsMode, Field(strict=False)] = SecretsMode.RESTIC
    """Where the values of Secrets go; Git never has them in plain text."""
    recipients: RecipientsPart = Field(default_factory=RecipientsPart)
    """For whom `Sops` encrypts; taken from the admin folder only."""
    redact: RedactPart = Field(default_factory=RedactPart)
    """Credentials outside Secrets, besides the default rules; a list stands for `rules`."""


class MatchPart(Part):
    """Which claims a rule is for; what is not given matches every claim."""

    needs = (
        Need(
            rule=Rule.ANY,
            fields=("claims", "storageClass"),
            message="has no condition",
            hint="give claims or storageClass",
        ),
    )

    claims: fields.Globs = Field(default_factory=list)
    """Names or globs of claims."""
    storage_class: fields.OneOrMoreGlobs = Field(default_factory=list)
    """Names or globs of storage classes; one text stands for a list of it. Together with `claims`:
    both must match."""


class VolumeRulePart(Part):
    """One rule; the first that matches a claim decides."""

    match: MatchPart
    """Which claims."""
    copy_method: Annotated[CopyMethod, Field(strict=False)]
    """How they are copied, or that they are not."""
    reason: fields.Line | None = None
    """Why; it stands in the plan and in the record."""


class VolumesPart(Part):
    """How the data of claims is kept."""

    repository: fields.LabelName | None = None
    """Name of a Repository; by default the only one there is."""
    rules: list[VolumeRulePart] = Field(default_factory=list, max_length=1000)
    """The first rule that matches a claim decides its method."""
    copy_method: Annotated[CopyMethod, Field(strict=False)] = CopyMethod.AUTO
    """For claims that no rule matches."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Movers at a time."""
    exclude: list[fields.Exclude] = Field(default_factory=list, max_length=1000)
    """What restic leaves out of each volume, as in its `--exclude`."""


class HookCommandPart(Part):
    """A command in a pod."""

    command: fields.Command
    """Program and arguments; no shell."""
    timeout: fields.Timeout = "60s"
    """How long it is waited for, at most `1h`. It is not ended then: nobody can from outside."""
    on_error: Annotated[OnError, Field(strict=False)] = OnError.FAIL
    """Of an error or a time-out. `Fail` before the copy: the namespace's data is not copied; after
    it: the namespace is `PartiallyFailed`. `Continue`: a warning."""


class HoldPart(Part):
    """A command that stays open around the copy, for what lasts as long as its session."""

    command: fields.Command
    """Program and arguments; it ends when its input closes."""
    ready: fields.Line
    """A line of its output that says it is ready."""
    timeout: fields.Timeout = "60s"
    """Until it must be ready."""


class HookPart(Part):
    """A command before and one after the data of a namespace is copied."""

    needs = (
        Need(
            rule=Rule.ANY,
            fields=("pre", "post", "hold"),
            message="does nothing",
            hint="give pre, post or both",
        ),
    )

    name: fields.LabelName
    """Unique in its policy."""
    pods: LabelSelector
    """In which pods."""
    container: fields.LabelName | None = None
    """In which container; by default the one that `kubectl exec` takes."""
    once: bool = False
    """In one pod for the whole policy, the first by namespace and name, instead of in each."""
    pre: HookCommandPart | None = None
    """Before the copy, in the order of the list."""
    post: HookCommandPart | None = None
    """After it, whenever `pre` was started; in the reverse of the list's order."""
    hold: HoldPart | None = None
    """Before the copy, until it is done."""


def _check_names(hooks: list[HookPart]) -> list[HookPart]:
    names = [hook.name for hook in hooks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Wrong(f"has two named {twice[0]}", "give each its own name")
    return hooks


KEEP_FIELDS = tuple(
    f"keep{within}{unit}"
    for within in ("", "Within")
    for unit in ("Last" if not within else "", "Hourly", "Daily", "Weekly", "Monthly", "Yearly")
)
"""restic's words."""


class RetentionPart(Part):
    """How long recovery points are kept, in restic's words. A policy's replaces its profile's."""

    whole = True
    needs = (
        Need(
            rule=Rule.ANY,
            fields=KEEP_FIELDS,
            message="is empty, which would keep nothing",
            hint="such as {keepDaily: 7}",
        ),
    )

    keep_last: fields.Keep | None = None
    """The newest so many."""
    keep_hourly: fields.Keep | None = None
    """The newest of each of so many hours."""
    keep_daily: fields.Keep | None = None
    """The newest of each of so many days."""
    keep_weekly: fields.Keep | None = None
    """The newest of each of so many weeks."""
    keep_monthly: fields.Keep | None = None
    """The newest of each of so many months."""
    keep_yearly: fields.Keep | None = None
    """The newest of each of so many years."""
    keep_within: fields.KeepDuration | None = None
    """All that are not older, such as `30d`."""
    keep_within_hourly: fields.KeepDuration | None = None
    """Hourly ones that are not older."""
    keep_within_daily: fields.KeepDuration | None = None
    """Daily ones that are not older."""
    keep_within_weekly: fields.KeepDuration | None = None
    """Weekly ones that are not older."""
    keep_within_monthly: fields.KeepDuration | None = None
    """Monthly ones that are not older."""
    keep_within_yearly: fields.KeepDuration | None = None
    """Yearly ones that are not older."""


class GuardsPart(Part):
    """What makes a run look twice."""

    max_shrink: fields.Percent | None = None
    """How much smaller than in its last good run a namespace may be, or a kind of 10 objects or
    more in it or in all namespaces."""
    min_objects: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many objects each selected namespace has at least."""
    accept: fields.ShrinkDigest | None = None
    """The digest that a run gave for what its guards hold: exactly that may go, once."""


class ProfileSpec(Part):
    """Fields of policies; a profile gives any of them, a policy that names it adds the rest."""

    clusters: ClustersPart | None = None
    """Which clusters of the fleet; by default all that read this repository."""
    suspend: bool = False
    """No new runs; nothing is deleted."""
    schedule: SchedulePart
    """When it runs; a text stands for `cron`."""
    objectives: ObjectivesPart = Field(default_factory=ObjectivesPart)
    """What was promised."""
    selector: SelectorPart
    """What is protected."""
    manifests: ManifestsPart = Field(default_factory=ManifestsPart)
    """How manifests are kept."""
    volumes: VolumesPart = Field(default_factory=VolumesPart)
    """How the data of claims is kept."""
    hooks: Annotated[list[HookPart], AfterValidator(_check_names)] = Field(
        default_factory=list, max_length=100
    )
    """Commands around the copy."""
    retention: RetentionPart
    """How long recovery points are kept; at least one of its fields."""
    guards: GuardsPart = Field(default_factory=GuardsPart)
    """What makes a run look twice."""


class OwnPart(Part):
    """What a policy has and a profile can't give. Bases that stand last come first in order."""

    profile: fields.LabelName | None = None
    """A Profile that gives what is left out here. What stands here replaces it: lists, labels and
    `retention` as a whole, everything else field by field."""
    renamed_from: fields.LabelName | None = None
    """The policy's former name; its recovery points stay reachable under the new one, from the
    first run on. No other policy may have it."""


class BackupPolicySpec(ProfileSpec, OwnPart):
    """What is backed up, when, and for how long it is kept."""


class TenantRef(Part):
    """A Secret per tenant in Backstay's own namespace."""

    name: fields.Text
    """Its name, with `{namespace}` for the tenant's."""


class CheckPart(Part):
    """How a repository is checked."""

    read_data: fields.Percent = "0%"
    """How much of the data is read."""


class MaintenancePart(Part):
    """When a repository is pruned and checked."""

    cron: fields.Cron
    """Five fields, or a macro."""
    check: CheckPart | None = None
    """How it is checked."""


class RepositorySpec(Part):
    """Where restic repositories are, and what opens them."""

    url: fields.RepositoryUrl
    """restic's URL, with `{cluster}` and `{namespace}` as parts of its path."""
    secret_ref: NameRef
    """Secret with RESTIC_PASSWORD and the storage's keys."""
    tenant_secret_ref: TenantRef | None = None
    """Secret for movers that run in a tenant's namespace."""
    scope: Annotated[Scope, Field(strict=False)] = Scope.NAMESPACE
    """One restic repository per namespace, or one for all."""
    maintenance: MaintenancePart | None = None
    """When it is pruned and checked."""


class BackupPolicyDocument(Part):
    """What is backed up, when, and for how long it is kept."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: BackupPolicySpec
    """What is asked for."""


class ProfileDocument(Part):
    """Defaults that a platform team offers to policies: gold, silver, bronze."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: ProfileSpec
    """What policies that name it get."""


class RepositoryDocument(Part):
    """A place for restic repositories: one per cluster and namespace, below one URL."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: RepositorySpec
    """Where it is, and what opens it."""


KINDS: dict[str, type[Part]] = {
    "BackupPolicy": BackupPolicyDocument,
    "Repository": RepositoryDocument,
    "Profile": ProfileDocument,
    "Exemption": ExemptionDocument,
    "Restore": RestoreDocument,
}
"""What a policy file may hold."""
