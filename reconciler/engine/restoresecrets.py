"""Values that Git does not have, from restic, each proven by the fingerprint that Git has of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler import ports
from reconciler.capture import canonical
from reconciler.engine.restoreredacted import fill_step, wants_values
from reconciler.engine.restoresource import PointContent, fingerprint_key, read_secrets
from reconciler.model import kinds
from reconciler.model.errors import Refused
from reconciler.model.restore import RestoreStep


@dataclass(frozen=True, slots=True)
class Proven:
    """What of a plan's steps is not as their texts in Git, by path."""

    secrets: Mapping[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    """Whole Secrets."""
    filled: Mapping[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    """Manifests of other kinds, with their values."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Why an object can't come back."""


def prove_values(
    keyring: ports.Keyring, content: PointContent, wanted: Sequence[RestoreStep]
) -> Proven:
    """Of what is created: whole Secrets, and redacted manifests with their values.

    A copy's value is proven where it was captured, and then goes to its own place.

    A value may be missing where the run's list had failed; one that is another than Git's
    fingerprint says stops everything: raises Refused.
    """
    holding = wants_values(content, wanted)
    if not holding:
        return Proven()
    found = {**read_secrets(keyring, content.record), **content.opened}
    key = fingerprint_key(keyring, content.record)
    secrets, filled, lacking = {}, {}, {}
    for step in holding:
        source = step.source or step.path
        whole = found.get(source)
        if step.ref.kind != "Secret" or step.ref.group:
            filled[step.path], why = fill_step(content, step, whole, key)
            if why:
                lacking[step.path] = why
        elif whole is None and content.record.gaps:
            # A list failed, and the manifest was kept: its value is in an older point.
            lacking[step.path] = f"{source}: its value is not in this recovery point"
        else:
            _prove_secret(content, source, whole, key)
            secrets[step.path] = content.renaming.copy_secret(whole or {})
    return Proven(secrets, filled, lacking)


def _prove_secret(
    content: PointContent, path: str, secret: dict[str, Any] | None, key: bytes | None
) -> None:
    said = (content.renaming.captured or content.texts)[path]
    again = (
        canonical.capture_like(secret, kinds.SECRETS, said, fingerprint_key=key) if secret else None
    )
    if not isinstance(again, canonical.Captured) or again.text != said:
        raise Refused(
            f"{path}: its value in restic is not the one whose fingerprint is in Git",
            hint="nothing was changed; the manifest store or the repository was altered",
        )
