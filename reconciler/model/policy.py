"""What a user asked for: policies and repositories, as values that were checked once.

`reconciler.policy` makes them from YAML; everything after it may trust them. The compiled form
is how a policy travels to its runs (an immutable ConfigMap named by its digest): same policy,
same bytes. Seconds are integers. Shapes and words are those of docs/policies.md.
"""

from __future__ import annotations

import enum
import fnmatch
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import jsonform
from reconciler.model.errors import NotSupported, Problem
from reconciler.model.hooks import Hook
from reconciler.model.policywords import CLUSTER_NAMESPACE as CLUSTER_NAMESPACE
from reconciler.model.policywords import CopyMethod as CopyMethod
from reconciler.model.redaction import Redact
from reconciler.model.restoreintent import Restore

API_VERSION = "backstay.dev/v1alpha1"
FORMAT_VERSION = 1


class Kind(enum.StrEnum):
    """Kinds that a policy file may hold; what this version executes: `model.capabilities`."""

    BACKUP_POLICY = "BackupPolicy"
    REPOSITORY = "Repository"
    PROFILE = "Profile"
    EXEMPTION = "Exemption"
    RESTORE = "Restore"


class SecretsMode(enum.StrEnum):
    """Where the values of Secrets go."""

    RESTIC = "Restic"
    SOPS = "Sops"
    OMIT = "Omit"


OBJECTS_FIELD = "selector.objects"
"""With this begins every reason that `ObjectSelector` gives for leaving something out."""


class ClusterScoped(enum.StrEnum):
    """Which cluster-scoped objects are captured."""

    REFERENCED = "Referenced"
    ALL = "All"
    NONE = "None"


class Scope(enum.StrEnum):
    """How many restic repositories a Repository stands for."""

    NAMESPACE = "Namespace"
    CLUSTER = "Cluster"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Five cron fields, macros expanded, and an IANA time zone."""

    cron: str
    time_zone: str = "Etc/UTC"


@dataclass(frozen=True, slots=True)
class Objectives:
    """What was promised, in seconds."""

    rpo: int | None = None
    rto: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSelector:
    """Names are globs and OR; names and labels are AND; exclude wins.

    Empty ``names`` with labels means any name.
    """

    names: tuple[str, ...] = ()
    match_labels: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    within: tuple[str, ...] | None = None
    """Globs that its folder's grant gives; what else matches is passed over. None: no limit."""
    grant: str | None = None
    """The folder of that grant, where Config has grants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSelector:
    """Which clusters of a fleet take a policy; as `NamespaceSelector`."""

    names: tuple[str, ...] = ()
    match_labels: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()

    def why_not(self, name: str, labels: Mapping[str, str]) -> str:
        """Why a cluster is not meant; empty for one that is."""
        if self.names and not _any_match(name, self.names):
            return f"it is for clusters named {' or '.join(self.names)}, and this one is {name}"
        for key, value in sorted(self.match_labels.items()):
            if labels.get(key) != value:
                has = f"{key}={labels[key]}" if key in labels else f"no label {key}"
                return f"it is for clusters with {key}={value}, and {name} has {has}"
        if _any_match(name, self.exclude):
            return f"it leaves out cluster {name}"
        return ""


def _matches(glob: str, names: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for name in names)


def _any_match(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSelector:
    """Which objects of the selected namespaces; kinds as ``deployment.apps``, ``configmap``.

    Conditions are AND, ``exclude`` wins. It is the only one that is for cluster-scoped kinds, too.
    """

    match_labels: Mapping[str, str] = field(default_factory=dict)
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    cluster_scoped: ClusterScoped = ClusterScoped.REFERENCED

    def excluded(self, *names: str) -> str:
        """The glob that leaves a kind out, by any of its names; empty where none does."""
        return next((glob for glob in self.exclude if _matches(glob, names)), "")

    def included(self, *names: str) -> bool:
        """Whether a kind is among those that are included, by any of its names."""
        return any(_matches(glob, names) for glob in self.include)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """What a policy protects."""

    namespaces: NamespaceSelector
    objects: ObjectSelector = field(default_factory=ObjectSelector)


@dataclass(frozen=True, slots=True)
class Manifests:
    """What Git holds of the manifests beyond their shape."""

    secrets: SecretsMode = SecretsMode.RESTIC
    recipients: tuple[str, ...] = field(default=(), metadata=jsonform.WHEN_SET)
    """Public keys of age, sorted, for whom `SOPS` encrypts."""
    redact: Redact | None = None
    """What of credentials outside Secrets is redacted besides the defaults, or is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRule:
    """First match wins. ``claims`` and ``storage_class`` are globs, an empty one matches all."""

    claims: tuple[str, ...] = ()
    storage_class: tuple[str, ...] = ()
    copy_method: CopyMethod
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """How claims are copied. ``repository`` is resolved: never empty in a checked policy."""

    repository: str
    rules: tuple[VolumeRule, ...] = ()
    copy_method: CopyMethod = CopyMethod.AUTO
    concurrency: int = 4
    exclude: tuple[str, ...] = ()
    """Patterns for ``restic backup --exclude``, relative to the volume's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """restic's keep rules, applied to recovery points. Durations in restic's form: ``1y7d``."""

    keep_last: int | None = None
    keep_hourly: int | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_yearly: int | None = None
    keep_within: str | None = None
    keep_within_hourly: str | None = None
    keep_within_daily: str | None = None
    keep_within_weekly: str | None = None
    keep_within_monthly: str | None = None
    keep_within_yearly: str | None = None

    def words(self) -> dict[str, int | str]:
        """As the policy says it and the record keeps it: ``{"keepDaily": 7}``."""
        words: dict[str, int | str] = jsonform.to_json(self)
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What makes a run keep files whose objects are gone. None: not asked."""

    max_shrink: int | None = None
    """Percent of the objects of the last good run that may be gone."""
    min_objects: int | None = None
    accept: str = field(default="", metadata=jsonform.WHEN_SET)
    """The digest of a shrink that was reviewed: it may go, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPolicy:
    """One declared backup intent."""

    name: str
    schedule: Schedule
    selector: Selector
    volumes: Volumes
    retention: Retention
    suspend: bool = False
    objectives: Objectives = field(default_factory=Objectives)
    manifests: Manifests = field(default_factory=Manifests)
    renamed_from: str | None = None
    """Its former name, where it had one."""
    hooks: tuple[Hook, ...] = field(default=(), metadata=jsonform.WHEN_SET)
    hooks_within: tuple[str, ...] = field(default=(), metadata=jsonform.WHEN_SET)
    """Globs of namespaces in which its folder's grant lets hooks run; none: in no namespace."""
    guards: Guards | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dicts with camelCase names; `from_json` reads them back."""
        data: dict[str, Any] = jsonform.to_json(self)
        return data

    @classmethod
    def from_json(cls, data: object) -> BackupPolicy:
        """Raises ValueError with the path of what does not fit."""
        return jsonform.from_json(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A place for restic repositories: one per cluster and namespace below one URL.

    ``secret_ref`` and ``tenant_secret_ref`` are names of Secrets in Backstay's own namespace.
    """

    name: str
    url: str
    secret_ref: str
    tenant_secret_ref: str = ""
    scope: Scope = Scope.NAMESPACE

    def url_for(self, cluster: str, namespace: str) -> str:
        """restic's URL for a namespace; `CLUSTER_NAMESPACE` names the one for Secrets."""
        return self.url.replace("{cluster}", cluster).replace("{namespace}", namespace)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts with camelCase names; `from_json` reads them back."""
        data: dict[str, Any] = jsonform.to_json(self)
        return data

    @classmethod
    def from_json(cls, data: object) -> Repository:
        """Raises ValueError with the path of what does not fit."""
        return jsonform.from_json(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Defaults of policies. They are in the policies' values already; this is for who looks."""

    name: str
    gives: Mapping[str, str] = field(default_factory=dict)
    """Dotted path below ``spec`` → value as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """What is not backed up on purpose. ``claims`` are globs, none means all that is there."""

    name: str
    namespaces: NamespaceSelector
    reason: str
    owner: str
    expires: str
    """``2027-03-31T23:59:59Z``: from then on it is unprotected again."""
    claims: tuple[str, ...] = ()
    clusters: ClusterSelector = field(default_factory=ClusterSelector)
    """Empty: every cluster."""


Value = BackupPolicy | Repository | Profile | Exemption | Restore


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document of a policy file.

    ``value`` is None when the document has a problem or is held by one elsewhere (``held`` says
    by which); what was in force under its kind and name then stays. ``kind`` and ``name`` are
    empty where the document is too broken to tell: then nothing from its file may be taken for
    deleted.
    """

    file: str
    index: int
    kind: str = ""
    name: str = ""
    value: Value | None = None
    digest: str = ""
    """``sha256:…`` of the value's JSON form; empty without a value."""
    held: str = ""
    elsewhere: str = ""
    """Why this cluster does not take the policy; it may have a value all the same."""
    line: int = 1

    @property
    def source(self) -> str:
        """``policies/shop.yaml#0``, as annotations have it."""
        return f"{self.file}#{self.index}"


@dataclass(frozen=True, slots=True)
class ParsedFiles:
    """All documents of one revision, in the order of file names, and all their problems."""

    documents: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def policies(self) -> tuple[BackupPolicy, ...]:
        """The good policies that this cluster takes, by name."""
        values = (document.value for document in self.documents if not document.elsewhere)
        found = (value for value in values if isinstance(value, BackupPolicy))
        return tuple(sorted(found, key=lambda policy: policy.name))

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """The good repositories, by name."""
        values = (document.value for document in self.documents)
        found = (value for value in values if isinstance(value, Repository))
        return tuple(sorted(found, key=lambda repository: repository.name))

    @property
    def exemptions(self) -> tuple[Exemption, ...]:
        """The good exemptions, by name."""
        values = (document.value for document in self.documents)
        found = (value for value in values if isinstance(value, Exemption))
        return tuple(sorted(found, key=lambda exemption: exemption.name))

    @property
    def restores(self) -> tuple[Restore, ...]:
        """The good Restores of all clusters, by name."""
        values = (document.value for document in self.documents)
        found = (value for value in values if isinstance(value, Restore))
        return tuple(sorted(found, key=lambda restore: restore.name))

    @property
    def broken(self) -> tuple[Document, ...]:
        """Documents without a value."""
        return tuple(document for document in self.documents if document.value is None)

    def document(self, kind: str, name: str) -> Document | None:
        """The first document of this kind and name, good or broken."""
        for document in self.documents:
            if (document.kind, document.name) == (kind, name):
                return document
        return None


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a run gets: its policy and the repositories that it names, nothing else."""

    policy: BackupPolicy
    repositories: tuple[Repository, ...]

    @property
    def repository(self) -> Repository:
        """The one for volumes and Secrets."""
        return next(
            found for found in self.repositories if found.name == self.policy.volumes.repository
        )


def compiled_text(policy: BackupPolicy, repositories: Iterable[Repository]) -> str:
    """The text of the policy's ConfigMap; repositories that it does not name are left out.

    Same inputs, same bytes. Raises ValueError when its repository is not among them.
    """
    wanted = [found for found in repositories if found.name == policy.volumes.repository]
    if len(wanted) != 1:
        raise ValueError(f"policy {policy.name}: no Repository {policy.volumes.repository}")
    return jsonform.dumps(
        {
            "formatVersion": FORMAT_VERSION,
            "policy": policy.to_json(),
            "repositories": [repository.to_json() for repository in wanted],
        }
    )


def compiled_digest(text: str) -> str:
    """``sha256:<hex>`` of a compiled text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def load_compiled(text: str) -> Compiled:
    """Reads `compiled_text`; raises NotSupported on another format, ValueError on other text."""
    data = jsonform.loads_object(text)
    if data.get("formatVersion") != FORMAT_VERSION:
        raise NotSupported(
            f"compiled policy has format {data.get('formatVersion')!r}, this version reads"
            f" {FORMAT_VERSION}",
            hint="let the controller of this version write it again",
        )
    body = {key: value for key, value in data.items() if key != "formatVersion"}
    compiled = jsonform.from_json(Compiled, body)
    name = compiled.policy.volumes.repository
    if name not in {repository.name for repository in compiled.repositories}:
        raise ValueError(f"policy {compiled.policy.name}: Repository {name} is missing")
    return compiled
