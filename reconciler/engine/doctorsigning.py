"""Asks for the key that runs sign with. Reading commits takes none, so nothing waits for it."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.engine.doctorfacts import Facts, failed_with
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError, Refused

CHECK = "git/signing"


def ask_signing(facts: Facts) -> Iterator[Finding]:
    """A problem only where the key is a Secret of the cluster, as runs have it.

    A folder or variables of this machine need not hold it.
    """
    config = facts.config
    name = config.manifest_store.signing_key
    if not name:
        yield Finding(id=CHECK, level=Level.INFO, message="Config names no key: nothing is signed")
        return
    keys = config.credentials_of(name)
    try:
        source = facts.ports.signing()
    except BackstayError as error:
        if isinstance(error, Refused) and not keys.secret_ref:
            yield Finding(
                id=CHECK,
                level=Level.INFO,
                where=str(keys),
                message=f"nothing can be signed from here: {error.message}",
                hint="reading needs no key; whether runs have theirs is asked in their pod, or with"
                " a Config that names the Secret itself",
            )
        else:
            yield failed_with(facts, CHECK, error, str(keys), keys)
        return
    yield Finding(id=CHECK, level=Level.OK, where=source, message="commits can be signed")
