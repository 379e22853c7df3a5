"""What does not come back as the text that was captured, and why: docs/format.md shows it.

Everything else does, or a test in `test_capture_round_trip` fails; and each of these is shown there
to be so, or it would not have to stand in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unequal:
    """One line of the documentation: what is not the same; why, and what to do."""

    what: str
    why: str


UNEQUAL: Mapping[str, Unequal] = {
    "dynamic volume": Unequal(
        "a dynamically provisioned PersistentVolume (annotation `pv.kubernetes.io/provisioned-by`)",
        "the new claim gets a new volume with a new name; leave the old manifest out",
    ),
    "control characters": Unequal(
        "strings with U+007F–U+009F, through `kubectl apply --server-side`",
        "the API server reads an applied object as YAML, which refuses them or makes spaces of "
        "them; `kubectl create -f` and `backstay restore` keep them",
    ),
    "one key twice": Unequal(
        "items of a list with one key (a variable or a port twice), through "
        "`kubectl apply --server-side`",
        "the API server refuses to apply them; `kubectl create -f` and `backstay restore` make "
        "the object as it was",
    ),
    "another version's fields": Unequal(
        "fields of a custom resource that the preferred version of its kind does not have, where "
        "no webhook converts",
        "the API server does not show them in that version, so no capture has them; give versions "
        "without a webhook the same fields, as Kubernetes asks for",
    ),
}
