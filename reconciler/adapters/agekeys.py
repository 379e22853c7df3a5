"""age, for the data keys of files that SOPS reads: wrapping for recipients, unwrapping for people.

Runs hold no private key and never unwrap. Who restores has one where `sops` looks for it:
``SOPS_AGE_KEY`` (the keys), ``SOPS_AGE_KEY_FILE``, and ``sops/age/keys.txt`` below
``XDG_CONFIG_HOME`` or ``~/.config`` (getsops/sops, ``age/keysource.go``, ``loadIdentities``). Its
commands (``SOPS_AGE_KEY_CMD``) are not executed, and SSH keys are not taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyrage

from reconciler.model.errors import Refused, Stalled

KEY = "SOPS_AGE_KEY"
KEY_FILE = "SOPS_AGE_KEY_FILE"
_PLACE = "sops/age/keys.txt"
_MARK = "AGE-SECRET-KEY-1"
_LARGEST = 1_000_000
_HINT = (
    f"give the private key of one of them as sops takes it: {KEY_FILE}=/path/to/keys.txt, or the"
    f" key itself in {KEY}; without it nothing was changed"
)


class AgeSealer:
    """`ports.Sealer` with the system's randomness."""

    def random(self, size: int) -> bytes:
        """Fit for keys."""
        return os.urandom(size)

    def wrap(self, key: bytes, recipient: str) -> str:
        """See `ports.Sealer`."""
        try:
            to = pyrage.x25519.Recipient.from_str(recipient)
            return bytes(pyrage.encrypt(key, [to], armored=True)).decode()
        except (pyrage.RecipientError, pyrage.EncryptError) as error:
            raise Stalled(
                f"age can't encrypt for {recipient}: {error}",
                hint="manifests.recipients.age takes public keys as age-keygen prints them: age1…",
            ) from error


class AgeOpener:
    """`ports.Opener` with the private keys of whoever restores.

    They are read when the first file is to be opened.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._identities: Sequence[pyrage.x25519.Identity] | None = None

    def unwrap(self, wrapped: Mapping[str, str]) -> bytes:
        """See `ports.Opener`."""
        if self._identities is None:
            self._identities = [*self._read()]
        names = ", ".join(wrapped)
        if not self._identities:
            raise Refused(
                f"no private key of age is at hand; the Secrets are for {names}", hint=_HINT
            )
        for text in wrapped.values():
            try:
                return bytes(pyrage.decrypt(text.encode(), self._identities))
            except (pyrage.DecryptError, ValueError):
                continue
        count = len(self._identities)
        raise Refused(f"none of {count} private keys of age opens what is for {names}", hint=_HINT)

    def _read(self) -> Iterator[pyrage.x25519.Identity]:
        for where, text in self._texts():
            for line in text.splitlines():
                if not line.strip().startswith(_MARK):
                    continue  # comments, and kinds of keys that this does not take
                try:
                    yield pyrage.x25519.Identity.from_str(line.strip())
                except pyrage.IdentityError:
                    # Not the error itself: it may hold what it could not read.
                    raise Refused(f"{where} holds a key that age can't read", hint=_HINT) from None

    def _texts(self) -> Iterator[tuple[str, str]]:
        if text := self._environment.get(KEY, ""):
            yield KEY, text
        if name := self._environment.get(KEY_FILE, ""):
            yield name, _content(Path(name))
        home = (
            self._environment.get("XDG_CONFIG_HOME")
            or f"{self._environment.get('HOME', '')}/.config"
        )
        usual = Path(home) / _PLACE
        if usual.is_file():
            yield str(usual), _content(usual)


def _content(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"{KEY_FILE} {path} can't be read: {what}", hint=_HINT) from error
