"""A search for secrets in whatever a run left behind, in every form that programs give to bytes."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote_from_bytes

_SHORTEST = 12
"""Shorter pieces would be found everywhere by chance."""


def forms_of(secret: bytes) -> frozenset[bytes]:
    """Plain, hexadecimal, percent-encoded, and base64 wherever in a longer text it begins."""
    if len(secret) < _SHORTEST:
        raise ValueError(f"a secret of {len(secret)} bytes is too short to be searched for")
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    forms.add(quote_from_bytes(secret, safe="").encode())
    inner = set(_base64(secret))
    # A Secret's value is base64 already, and is encoded again where its JSON is.
    twice = {again for once in (base64.b64encode(secret),) for again in _base64(once)}
    both = inner | twice
    return frozenset(forms | both | {_url_safe(text) for text in both})


def find(secrets: Mapping[str, bytes], corpus: Mapping[str, bytes]) -> list[str]:
    """``what in where`` for each secret that is in a part of the corpus, in any form."""
    wanted = {what: forms_of(secret) for what, secret in secrets.items()}
    return [
        f"{what} in {where}"
        for where, data in corpus.items()
        for what, forms in wanted.items()
        if any(form in data for form in forms)
    ]


def key_lines(text: bytes) -> Iterator[bytes]:
    """The lines of a private key that are its own: not the frame, not the format's fixed head."""
    body = [line for line in text.splitlines() if line and not line.startswith(b"-----")]
    yield from (line for line in body[1:] if len(line) >= _SHORTEST)


def git_objects(repository: Path) -> bytes:
    """Every object of a bare repository, whatever still refers to it, unpacked."""
    done = subprocess.run(
        ["git", "-C", str(repository), "cat-file", "--batch-all-objects", "--batch"],
        capture_output=True, check=True, timeout=400, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout


def _base64(secret: bytes) -> Iterator[bytes]:
    """For each of the three alignments, the characters that do not depend on the neighbours."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret).rstrip(b"=")
        whole = (len(secret) + shift) * 8 // 6
        yield text[-(-shift * 8 // 6) : whole]


def _url_safe(text: bytes) -> bytes:
    return text.replace(b"+", b"-").replace(b"/", b"_")
