"""Words of policies that records use as well.

Apart from `policy`, so that a command that reads records only need not make all its classes, which
takes a tenth of such a command's time.
"""

from __future__ import annotations

import enum

CLUSTER_NAMESPACE = "_cluster"
"""Stands for the namespace in the URL of the repository that holds Secrets."""


class CopyMethod(enum.StrEnum):
    """How a claim's data is read."""

    AUTO = "Auto"
    SNAPSHOT = "Snapshot"
    CLONE = "Clone"
    DIRECT = "Direct"
    SKIP = "Skip"
