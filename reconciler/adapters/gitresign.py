"""Signatures of a history that was made anew: what was signed is signed again, and nothing else.

A signature covers the commit's parent, so that no old one fits the new history. Only commits whose
own signature was good and trusted get another one: what somebody without the key put between them
stays what it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters import gitobjects, gitwalk
from reconciler.adapters.closing import Closing
from reconciler.adapters.gitcommit import write_object
from reconciler.adapters.gitprocess import GitFolder
from reconciler.adapters.gitsignature import AllowedSigners
from reconciler.adapters.gitsigning import CommitSigner, SigningKey
from reconciler.model.errors import Bug

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Signing:
    """The key to sign with, and whose signatures are signed again."""

    key: SigningKey
    trusted: AllowedSigners


class HistorySigner(Closing):
    """Signs commits of one clone. A context manager: the key lies in a folder of its own."""

    def __init__(self, repository: GitFolder, signing: Signing) -> None:
        self._git = repository
        self._folder = tempfile.TemporaryDirectory(prefix="backstay-signing-")
        folder = Path(self._folder.name)
        self._signer = CommitSigner(signing.key, folder / "signing-key")
        self._trusted = folder / "allowed-signers"
        self._trusted.write_bytes(signing.trusted.text)

    def close(self) -> None:
        """The key is gone."""
        self._folder.cleanup()

    def sign(self, commit: bytes) -> bytes:
        """A raw commit without a signature → the same with one."""
        return self._signer.sign(commit)

    def sign_again(self, old: Sequence[str], new: Sequence[str]) -> tuple[str, int]:
        """The new tip, and how many were signed. A process or two for each of them.

        ``new`` took the place of ``old``, one by one, oldest first.
        """
        if len(old) != len(new):
            raise Bug(f"{len(old)} commits were rewritten, and {len(new)} were made")
        checked = gitwalk.check_signatures(self._git, old, self._trusted)
        signed = {sha for sha, wrong in checked if not wrong}
        made: dict[bytes, str] = {}
        tip = ""
        for start in range(0, len(new), _AT_ONCE):
            raws = gitobjects.read_blobs(self._git, new[start : start + _AT_ONCE])
            for before, (sha, raw) in zip(old[start:], raws.items(), strict=False):
                body = _moved(raw or b"", made)
                body = self.sign(body) if before in signed else body
                tip = sha if body == raw else write_object(self._git, "commit", body)
                made[sha.encode()] = tip
        return tip, len(signed)


def _moved(raw: bytes, made: dict[bytes, str]) -> bytes:
    """A raw commit on what was made in place of its parents."""
    head, separator, message = raw.partition(b"\n\n")
    lines = [
        b"parent " + made.get(line[7:], line[7:].decode()).encode()
        if line.startswith(b"parent ")
        else line
        for line in head.split(b"\n")
    ]
    return b"\n".join(lines) + separator + message
