"""Secrets that Git has encrypted, as a restore reads them.

A restore plans and compares by their views, without any private key. Only what it is going to
create is decrypted, with the keys of whoever restores, all of it before anything is written.

A run that could not list Secrets keeps the files of its predecessors. Where the policy has since
got another mode or another master, the record's key proves nothing of these: they are not opened,
and what is not opened is not created.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reconciler import ports
from reconciler.capture import canonical, fingerprints, sealedsecrets, sops
from reconciler.engine.restoresource import PointContent, fingerprint_key
from reconciler.model.errors import Refused
from reconciler.model.restore import RestoreAction, RestoreStep


def unseal(
    keyring: ports.Keyring,
    opener: ports.Opener | None,
    content: PointContent,
    steps: Sequence[RestoreStep],
) -> PointContent:
    """The content with the whole Secrets of what is created. Raises Refused, saying what to do.

    Without those that another key than the record's has to prove.
    """
    key = fingerprint_key(keyring, content.record)
    if key is None:
        return content
    wanted = {step.source or step.path for step in steps if step.action is RestoreAction.CREATE}
    paths = [
        path
        for path in sorted(wanted & content.sealed.keys())
        if not content.record.gaps or _is_provable(content.sealed[path], path, key)
    ]
    if not paths:
        return content
    if opener is None:
        raise Refused(
            f"{len(paths)} Secrets are encrypted with SOPS, and no private key is at hand",
            hint="restore from a terminal that has SOPS_AGE_KEY_FILE; nothing was changed",
        )
    unwrap = _Unwrap(opener)
    opened = {path: _open(path, content.sealed[path], unwrap, key) for path in paths}
    return replace(content, opened=opened)


def _is_provable(text: bytes, path: str, key: bytes) -> bool:
    return sealedsecrets.read_sealed(text, where=path, key=key) is not None


class _Unwrap:
    def __init__(self, opener: ports.Opener) -> None:
        self._opener = opener

    def __call__(self, wrapped: Sequence[sops.Wrapped]) -> bytes:
        return self._opener.unwrap({one.recipient: one.text for one in wrapped})


def _open(path: str, text: bytes, unwrap: _Unwrap, key: bytes) -> dict[str, Any]:
    manifest = canonical.read_manifest(text, where=path)
    try:
        found = sealedsecrets.open_sealed(manifest, unwrap)
    except sops.Unreadable as error:
        raise Refused(
            f"{path}: {error}",
            hint="nothing was changed; look at who wrote the branch: see `backstay verify`",
        ) from None
    said = sealedsecrets.view_of(manifest)
    if fingerprints.fingerprint_secret(found, key).get("data") != said.get("data"):
        # Whoever can push can encrypt for the same recipients; only runs can make fingerprints.
        raise Refused(
            f"{path}: its value, decrypted, is not the one whose fingerprint is in Git",
            hint="nothing was changed; the manifest store was altered",
        )
    return found
