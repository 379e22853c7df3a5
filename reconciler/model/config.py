"""The installation: ``backstay.yaml``, the same in a cluster and on a laptop.

Rights and credentials come from here and never from a policy repository. Seconds and percent
are integers. `reconciler.policy.parse_config` makes the value from YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import jsonform, naming
from reconciler.model.grants import EVERYTHING, Grant

DEFAULT_FILE = naming.CONFIG_FILE
KIND = "Config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the keys of one Secret come from; exactly one field is set.

    ``secret_ref``: a Secret in Backstay's namespace. ``file``: a folder with one file per key.
    ``env``: a prefix of environment variables, see `variable`.
    """

    secret_ref: str = ""
    file: str = ""
    env: str = ""

    def variable(self, key: str) -> str:
        """The environment variable of a key: prefix ``GIT_``, key ``ca.crt`` → ``GIT_CA_CRT``."""
        return self.env + variable_suffix(key)

    def __str__(self) -> str:
        if self.secret_ref:
            return f"Secret {self.secret_ref}"
        return f"folder {self.file}" if self.file else f"environment {self.env}*"


def variable_suffix(key: str) -> str:
    """A Secret's key as the end of a variable's name: upper case, dots and dashes to ``_``."""
    return re.sub(r"[.-]", "_", key).upper()


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """What the cluster is called in branches, restic hosts and URLs; labels choose policies."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    renamed_from: str = ""
    """The name that it had before; schedules of that name may be made again under this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySourceConfig:
    """The Git repository that policies come from. ``interval`` in seconds."""

    url: str
    ref: str = "main"
    path: str = ""
    """Folder in the repository without slashes at its ends; empty is its root."""
    interval: int = 60
    credentials: Credentials | None = None
    webhook: Credentials | None = None
    """Where the key of the webhook is that says "look now"."""
    signers: str = ""
    """Secret with the allowed signers; empty: nobody has to sign."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who commits captures."""

    name: str = "Backstay"
    email: str = "backstay@localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestStoreConfig:
    """The Git repository that captures go to."""

    url: str
    author: Author = field(default_factory=Author)
    credentials: Credentials | None = None
    signing_key: str = ""
    """Secret with the SSH key that signs commits; empty: they are not signed."""
    pushes_per_minute: int = 0
    """How often this cluster's runs push, at most; 0: as often as they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryConfig:
    """The Git repository that the cluster's inventory is published in."""

    url: str
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Requests and limits of a container, as Kubernetes quantities by resource name."""

    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Settings of the Jobs of one role; None leaves Backstay's defaults."""

    resources: Resources | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One installation."""

    cluster: ClusterConfig
    policy_source: PolicySourceConfig
    manifest_store: ManifestStoreConfig
    inventory: InventoryConfig | None = None
    image: str
    image_pull_policy: str = "IfNotPresent"
    secrets: Mapping[str, Credentials] = field(default_factory=dict)
    """Name of a Secret → where its keys are, for places that can't read Secrets."""
    grants: tuple[Grant, ...] = EVERYTHING
    shared_key_in_tenants: bool = False
    """Allows Direct movers to hold the Repository's own storage key in a tenant's namespace."""
    runs: JobSettings = field(default_factory=JobSettings)
    movers: JobSettings = field(default_factory=JobSettings)
    max_delete: int = 20
    """Per cent of the policies that one revision may take away without approval."""
    own_namespace: str = naming.DEFAULT_NAMESPACE
    """Where this installation runs. The file does not say it: who reads the file does."""

    def credentials_of(self, secret: str) -> Credentials:
        """Where to read the named Secret: the ``secrets`` mapping first, else the Secret itself."""
        return self.secrets.get(secret) or Credentials(secret_ref=secret)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts with camelCase names, not the file's form; `from_json` reads them back."""
        data: dict[str, Any] = jsonform.to_json(self)
        return data

    @classmethod
    def from_json(cls, data: object) -> Config:
        """Raises ValueError with the path of what does not fit."""
        return jsonform.from_json(cls, data)
