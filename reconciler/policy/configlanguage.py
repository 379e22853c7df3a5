"""The language of ``backstay.yaml``, in the same style as `reconciler.policy.language`."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from reconciler.model import durations
from reconciler.policy import fields
from reconciler.policy.fields import Wrong
from reconciler.policy.parts import NameRef, Need, Part, Rule

_SOURCES = "secretRef, file and env"


def check_git_url(value: str) -> str:
    """A URL with a scheme, without a password."""
    if re.match(r"[\w.-]+@[\w.-]+:", value):
        raise Wrong("is not a URL", "write ssh://git@host/path.git")
    parts = urlsplit(value)
    if parts.scheme not in {"https", "http", "ssh", "file"}:
        raise Wrong("is not a Git URL", "use https://, ssh://, http:// or file://")
    if re.search(r"\s", value) or (not parts.hostname and parts.scheme != "file") or not parts.path:
        raise Wrong("is not a Git URL", "such as ssh://git@git.example.org/policies.git")
    if parts.password is not None or (parts.username and parts.scheme in {"https", "http"}):
        raise Wrong("has credentials in it", f"use one of {_SOURCES}")
    return value


def check_ref(value: str) -> str:
    """A branch name as Git takes it."""
    good = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}", value)
    if not good or ".." in value or "//" in value or value.endswith(("/", ".", ".lock")):
        raise Wrong("is not a branch name")
    return value


def check_path(value: str) -> str:
    """A folder of a repository, relative to its root."""
    parts = value.strip("/").split("/")
    if value.startswith(("/", "-")) or ".." in parts or len(value) > 1024:
        raise Wrong("is not a folder in the repository", "relative to its root, without ..")
    return value


def folder_of(path: str) -> str:
    """A checked folder of a repository without slashes at its ends; empty is its root."""
    return "/".join(step for step in path.split("/") if step not in {"", "."})


def check_granted_path(value: str) -> str:
    """A folder of the policy repository that can be told from others by looking at it."""
    check_path(value)
    if not value.isprintable() or unicodedata.normalize("NFC", value) != value:
        raise Wrong("has letters that can't be told from others", "write it as Git shows it")
    return value


def check_interval(value: str) -> str:
    """A duration of at most a day."""
    fields.check_duration(value)
    if durations.parse_duration(value) > 86400:
        raise Wrong("is longer than a day")
    return value


def check_prefix(value: str) -> str:
    """The start of a variable's name."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,99}", value):
        raise Wrong("is not a prefix of environment variables", "such as GIT_")
    return value


def check_quantity(value: str) -> str:
    """A Kubernetes quantity."""
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?", value):
        raise Wrong("is not a quantity", "such as 100m, 2 or 512Mi")
    return value


GitUrl = Annotated[str, AfterValidator(check_git_url)]
Quantities = dict[
    Literal["cpu", "memory", "ephemeral-storage"], Annotated[str, AfterValidator(check_quantity)]
]


class LocalCredentials(Part):
    """Where the keys of a Secret are on a machine that can't read Secrets: one of the two."""

    needs = (
        Need(
            rule=Rule.ONE,
            fields=("file", "env"),
            message="needs exactly one of file and env",
        ),
    )

    file: fields.Text | None = None
    """A folder with one file per key."""
    env: Annotated[str, AfterValidator(check_prefix)] | None = None
    """Prefix of environment variables: key `ca.crt` with prefix `GIT_` is `GIT_CA_CRT`."""


class CredentialsPart(Part):
    """Where credentials are: at most one of the three."""

    needs = (
        Need(
            rule=Rule.MOST_ONE,
            fields=("secretRef", "file", "env"),
            message=f"has more than one of {_SOURCES}",
        ),
    )

    secret_ref: NameRef | None = None
    """A Secret in Backstay's own namespace, with Flux's keys."""
    file: fields.Text | None = None
    """A folder with one file per key."""
    env: Annotated[str, AfterValidator(check_prefix)] | None = None
    """Prefix of environment variables: key `identity` with prefix `GIT_` is `GIT_IDENTITY`."""

    @model_validator(mode="after")
    def _not_in_clear(self) -> CredentialsPart:
        given = [item for item in (self.secret_ref, self.file, self.env) if item is not None]
        if given and getattr(self, "url", "").startswith("http://"):
            raise Wrong("would send credentials over plain http", "use https:// or ssh://")
        return self


class ClusterPart(Part):
    """The cluster of this installation."""

    name: fields.LabelName
    """Stands in branches, restic hosts, URLs and passwords: choose it once."""
    labels: fields.Labels = Field(default_factory=dict)
    """What policies choose clusters by."""
    renamed_from: fields.LabelName | None = None
    """The name that this cluster had until now. Without it a changed `name` stops the controller
    and every run; with it schedules are made again under the new name, with new, empty
    repositories."""

    @model_validator(mode="after")
    def _another_name(self) -> ClusterPart:
        if self.renamed_from == self.name:
            raise Wrong("is renamed from its own name", "write the name that it had before")
        return self


class VerifyPart(Part):
    """Who must have signed a revision of the policies."""

    secret_ref: NameRef
    """Secret with the key `allowed_signers`: who may sign, in OpenSSH's format."""


class WebhookPart(Part):
    """The key of the webhook, which its sender signs with: one of the three."""

    needs = (
        Need(
            rule=Rule.ONE,
            fields=("secretRef", "file", "env"),
            message=f"needs exactly one of {_SOURCES}",
        ),
    )

    secret_ref: NameRef | None = None
    """A Secret in Backstay's own namespace, with the key `token` of 16 bytes or more."""
    file: fields.Text | None = None
    """A folder with a file `token`."""
    env: Annotated[str, AfterValidator(check_prefix)] | None = None
    """Prefix of an environment variable: with `HOOK_` it is `HOOK_TOKEN`."""


class PolicySourcePart(CredentialsPart):
    """The Git repository that policies come from."""

    url: GitUrl
    """https://, ssh://, http:// or file://."""
    ref: Annotated[str, AfterValidator(check_ref)] = "main"
    """Branch."""
    path: Annotated[str, AfterValidator(check_path)] = ""
    """Folder with the policies; by default the whole repository."""
    interval: Annotated[str, AfterValidator(check_interval)] = "1m"
    """How often it is looked at."""
    webhook: WebhookPart | None = None
    """Lets the Git host say that there is something new; without it that is found in time."""
    verify: VerifyPart | None = None
    """Who must have signed the newest commit; by default nobody."""


class AuthorPart(Part):
    """Who commits captures."""

    name: fields.Text = "Backstay"
    """The author's name."""
    email: fields.Text = "backstay@localhost"
    """The author's address."""

    @model_validator(mode="after")
    def _fits_a_commit(self) -> AuthorPart:
        if re.search(r"[<>\n]", self.name + self.email):
            raise Wrong("has < or > in it")
        return self


class ManifestStorePart(CredentialsPart):
    """The Git repository that captures go to."""

    url: GitUrl
    """https://, ssh://, http:// or file://."""
    author: AuthorPart = Field(default_factory=AuthorPart)
    """Who commits."""
    signing_key: NameRef | None = None
    """Secret whose key `identity` is an SSH key that signs every commit of a run."""
    pushes_per_minute: Annotated[int, Field(ge=1, le=60)] | None = None
    """How many pushes this cluster's runs make in a minute, all together; by default as many as
    they like. GitHub recommends 6 for a repository."""


class InventoryPart(CredentialsPart):
    """Where the inventory of the cluster is published."""

    url: GitUrl
    """https://, ssh://, http:// or file://."""


class GrantPart(Part):
    """What policies below a folder may use. What is left out is not granted."""

    path: Annotated[str, AfterValidator(check_granted_path)]
    """Folder of the policy repository, from its root; `.` is the root. A file has the grant of the
    deepest of these folders that it lies in, and no other."""
    admin: bool = False
    """Whether `Repository` and `Profile` are taken from this folder. One grant has it."""
    namespaces: fields.Globs = Field(default_factory=list)
    """Namespaces that its policies may protect. Names outside are refused; what globs and labels
    select outside is passed over."""
    repositories: fields.Globs = Field(default_factory=lambda: ["*"])
    """Repositories that its policies may name; by default all."""
    hooks: fields.Globs = Field(default_factory=list)
    """Namespaces in which its hooks may run; never Backstay's own, and `kube-…` only by name."""
    restore_targets: fields.Globs = Field(default_factory=list)
    """Namespaces that its restores may write to."""
    shortest_interval: fields.Duration | None = None
    """How close two runs of a policy may be."""
    max_policies: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """How many policies the folder may have; with more of them none is taken anew."""
    keep_in_clear: bool = False
    """Whether `manifests.redact.keep` in it may leave in clear what a default rule redacts."""


def check_grants(grants: list[GrantPart]) -> list[GrantPart]:
    """One grant for a folder, one admin folder among them."""
    folders = [folder_of(grant.path) or "." for grant in grants]
    twice = sorted({folder for folder in folders if folders.count(folder) > 1})
    if twice:
        raise Wrong(f"has two for folder {twice[0]}", "grants do not add up: make one of them")
    admins = [f for f, grant in zip(folders, grants, strict=True) if grant.admin]
    if len(admins) != 1:
        shown = f"{', '.join(admins)} are" if admins else "no folder is"
        raise Wrong(
            f"needs one admin folder, and {shown}",
            "write admin: true where Repositories and Profiles are taken from",
        )
    return grants


class ResourcesPart(Part):
    """Requests and limits of a container."""

    requests: Quantities = Field(default_factory=dict)
    """As in Kubernetes."""
    limits: Quantities = Field(default_factory=dict)
    """As in Kubernetes."""


class JobsPart(Part):
    """Settings of Jobs."""

    resources: ResourcesPart | None = None
    """Requests and limits of their containers."""


class ConfigDocument(Part):
    """One installation."""

    api_version: str
    kind: str
    cluster: ClusterPart
    """The cluster of this installation."""
    policy_source: PolicySourcePart
    """Where policies come from."""
    manifest_store: ManifestStorePart
    """Where captures go."""
    inventory: InventoryPart | None = None
    """Where the inventory goes."""
    image: fields.Text
    """Image of runs and movers."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """As in Kubernetes."""
    secrets: dict[fields.ObjectName, LocalCredentials] = Field(default_factory=dict)
    """Name of a Secret → where its keys are, where Secrets can't be read."""
    grants: (
        Annotated[list[GrantPart], Field(max_length=1000), AfterValidator(check_grants)] | None
    ) = None
    """What policies may use; by default everything but hooks."""
    shared_key_in_tenants: bool = False
    """Allows Direct movers to hold the Repository's own storage key in a tenant's namespace."""
    runs: JobsPart = Field(default_factory=JobsPart)
    """Settings of runs."""
    movers: JobsPart = Field(default_factory=JobsPart)
    """Settings of movers."""
    max_delete: fields.Percent = "20%"
    """How many of the policies one revision may take away without approval."""
