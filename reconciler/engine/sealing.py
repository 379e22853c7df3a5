"""`manifests.secrets: Sops` in a run: which Secrets are encrypted, and which keep their files.

Ciphertexts are another each time, so a Secret that is encrypted again looks changed. What decides
is its view (`reconciler.capture.sealedsecrets`), which needs no private key: with the same view,
the same recipients and ciphertexts that a run wrote, the file stays as it is, to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import orjson

from reconciler.capture import canonical, paths, sealedsecrets, sops
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.model.errors import Bug
from reconciler.model.objects import Resource
from reconciler.model.policy import SecretsMode

_AT_ONCE = 500
"""Files that are read at a time: only digests of them are kept."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """How many Secrets are encrypted in the tree, and for whom."""

    count: int = 0
    recipients: tuple[str, ...] = ()


class Sealing:
    """The Secrets of one run. ``tree`` is that of ``parent``, the commit below."""

    def __init__(
        self,
        request: RunRequest,
        run: RunPorts,
        key: bytes,
        parent: str | None,
        tree: Mapping[str, str],
    ) -> None:
        manifests = request.compiled.policy.manifests
        self._wanted = manifests.secrets is SecretsMode.SOPS
        self._recipients = manifests.recipients if self._wanted else ()
        self._sealer = run.sealer
        self._store = run.store
        self._key = key
        self._when = f"{request.started:%Y-%m-%dT%H:%M:%SZ}"
        self._parent = parent
        self._tree = tree
        self._before: dict[str, bytes] | None = None
        """Path → digest of the view, of files that may stay."""
        self._paths: set[str] = set()

    @property
    def sealed(self) -> Sealed:
        """What was done."""
        return Sealed(len(self._paths), self._recipients)

    def seal(
        self, resource: Resource, captured: canonical.Captured | canonical.LeftOut
    ) -> canonical.Captured | canonical.LeftOut:
        """A Secret with values as it goes into the tree, and nothing of it into restic.

        Its text is empty where the file that is there stays. Whatever else is given comes back.
        """
        if (
            not self._wanted
            or resource.folder != "secret"
            or isinstance(captured, canonical.LeftOut)
            or captured.secret is None
        ):
            return captured
        if self._before is None:
            self._before = dict(self._read_before())
        text = b""
        if self._before.get(captured.path) != _digest(captured.text):
            plain = orjson.loads(captured.secret)
            view = canonical.read_manifest(captured.text, where=captured.path)
            try:
                text = sealedsecrets.seal(plain, view, self._sealing(), self._key)
            except sealedsecrets.Unsealable as error:
                return canonical.LeftOut(str(error), fault=True)
        self._paths.add(captured.path)
        return replace(captured, text=text, secret=None)

    def _sealing(self) -> sops.Sealing:
        sealer = self._sealer
        if sealer is None:
            raise Bug("this process has nothing to encrypt Secrets with")
        key = sealer.random(sops.KEY_SIZE)
        return sops.Sealing(
            key=key,
            wrapped=[sops.Wrapped(one, sealer.wrap(key, one)) for one in self._recipients],
            when=self._when,
            draw=sealer.random,
        )

    def _read_before(self) -> Iterator[tuple[str, bytes]]:
        if self._parent is None:
            return
        places = ((path, paths.parse_path(path)) for path in self._tree)
        waiting = (path for path, place in places if place is not None and place.folder == "secret")
        while batch := list(islice(waiting, _AT_ONCE)):
            for path, text in self._store.read(self._parent, batch).items():
                found = sealedsecrets.read_sealed(text, where=path, key=self._key)
                if found is not None and found.recipients == self._recipients:
                    yield path, _digest(found.view)


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
