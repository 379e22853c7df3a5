"""Names of Kubernetes kinds and objects, as discovery and a manifest's path give them.

Values only. A kind that could not be listed is a value too (`Gap`), because absence may be
read as deletion only where no gap is (invariant I2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Resource:
    """One kind that the API server serves, in the version that is read.

    ``group`` is empty for the core group. ``plural`` is the name in URLs.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    folder: str = field(init=False, compare=False, repr=False)
    """Kind and group in lower case, as paths and messages have them: ``deployment.apps``. It is
    made once: a capture asks for it ten times for each object."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", folder_of(self.group, self.kind))

    @property
    def api_version(self) -> str:
        """As in a manifest: ``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def names(self) -> tuple[str, str]:
        """What a policy may call it: ``deployment.apps``, and ``deployments.apps`` as kubectl."""
        return self.folder, folder_of(self.group, self.plural)

    def __str__(self) -> str:
        return self.folder


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectRef:
    """Which object, whatever the version; ``namespace`` is empty when it is cluster-scoped."""

    group: str
    kind: str
    namespace: str = ""
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{where}{folder_of(self.group, self.kind)}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Gap:
    """What could not be listed, so nothing below it may be taken for deleted.

    ``plural`` is empty when the discovery of the whole group failed; ``namespace`` is empty when
    the kind could not be listed anywhere. ``folder`` is the part of the tree that the gap covers
    (``deployment.apps``), empty where it is not known.
    """

    group: str
    plural: str = ""
    namespace: str = ""
    folder: str = ""
    reason: str

    def __str__(self) -> str:
        what = ".".join(part for part in (self.plural or "*", self.group) if part)
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{what}{where}: {self.reason}"


@lru_cache(maxsize=4096)
def folder_of(group: str, kind: str) -> str:
    """`Resource.folder` from its parts: ``configmap``, ``deployment.apps``."""
    return f"{kind}.{group}".lower() if group else kind.lower()
