"""age in memory: what is wrapped names its recipient, and opens with a key of that name."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.errors import Refused


@dataclass
class FakeSealer:
    """Sealer and Opener. ``keys`` are the recipients whose private keys are at hand."""

    keys: set[str] = field(default_factory=set)
    _drawn: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def random(self, size: int) -> bytes:
        """Counted: never the same."""
        return next(self._drawn).to_bytes(size, "big")

    def wrap(self, key: bytes, recipient: str) -> str:
        """In the clear."""
        return f"{recipient} {key.hex()}\n"

    def unwrap(self, wrapped: Mapping[str, str]) -> bytes:
        """With one of the keys."""
        for recipient, text in wrapped.items():
            name, _, key = text.strip().partition(" ")
            if recipient in self.keys and name == recipient:
                return bytes.fromhex(key)
        raise Refused(
            f"no private key of age is at hand; the Secrets are for {', '.join(wrapped)}",
            hint="give SOPS_AGE_KEY_FILE",
        )
