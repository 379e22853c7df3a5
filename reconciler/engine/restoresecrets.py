"""The values of Secrets, from restic, each proven by the fingerprint that Git has of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler import ports
from reconciler.capture import canonical
from reconciler.engine.restoresource import PointContent, fingerprint_key, read_secrets
from reconciler.model import kinds
from reconciler.model.errors import Refused
from reconciler.model.restore import RestoreStep


def prove_secrets(
    keyring: ports.Keyring, content: PointContent, wanted: Sequence[RestoreStep]
) -> tuple[Mapping[str, dict[str, Any]], Mapping[str, str]]:
    """(path → whole Secret, path → why it can't come back) of the Secrets that are created.

    A copy's value is proven where it was captured, and then goes to its own place.

    A value may be missing where the run's list had failed; one that is another than Git's
    fingerprint says stops everything: raises Refused.
    """
    texts = content.renaming.captured or content.texts
    paths = {
        step.source or step.path: step.path
        for step in wanted
        if step.ref.kind == "Secret" and not step.ref.group
    }
    holding = [path for path in paths if b"hmac-sha256:" in texts[path]]
    if not holding:
        return {}, {}
    found = read_secrets(keyring, content.record)
    key = fingerprint_key(keyring, content.record)
    lacking = {}
    for path in holding:
        secret = found.get(path)
        if secret is None and content.record.gaps:
            # A list failed, and the manifest was kept: its value is in an older point.
            lacking[paths[path]] = f"{path}: its value is not in this recovery point"
            continue
        again = (
            canonical.capture_object(secret, kinds.SECRETS, fingerprint_key=key) if secret else None
        )
        text = again.text if isinstance(again, canonical.Captured) else None
        if text != texts[path]:
            raise Refused(
                f"{path}: its value in restic is not the one whose fingerprint is in Git",
                hint="nothing was changed; the manifest store or the repository was altered",
            )
    copy = content.renaming.copy_secret
    return {paths.get(path, path): copy(secret) for path, secret in found.items()}, lacking
