"""Whether the newest tree of a policy with `secrets: Sops` holds every Secret encrypted.

As far as that shows without any key: each value is a ciphertext with a fingerprint, for exactly the
recipients that the record names. That a ciphertext opens only a restore proves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.capture import canonical, fingerprints, paths, sealedsecrets
from reconciler.engine.context import policy_branch
from reconciler.engine.history import read_record
from reconciler.engine.reading import HistoryReader
from reconciler.model.errors import OverBound, Stalled
from reconciler.model.policy import SecretsMode
from reconciler.model.run import RunRecord
from reconciler.plan.verify import Check, Verdict, check_of

_MOST_TOLD = 1000


def check_sealed(store: HistoryReader, cluster: str, policy: str) -> Iterator[Check]:
    """One answer, and none where the newest record is of another mode."""
    tip = store.tip(policy_branch(cluster, policy))
    if tip is None:
        return
    try:
        record = read_record(store, tip)
    except Stalled:
        return  # told where the records are compared
    if record.secrets is None or record.secrets.mode != SecretsMode.SOPS:
        return
    try:
        files, wrong = _look(store, tip, record)
    except OverBound as error:
        yield Check(name="Secrets", verdict=Verdict.PROBLEM, message=error.message)
        return
    yield check_of(
        "Secrets",
        wrong[:_MOST_TOLD],
        good=f"each of {len(files)} in the newest tree is encrypted as its record says",
        bad=f"{len(wrong)} faults in files of Secrets that should be encrypted",
        count=max(len(files), 1),
    )


def _look(
    store: HistoryReader, tip: str, record: RunRecord
) -> tuple[Sequence[tuple[str, str]], list[str]]:
    """The files of Secrets in a tree, and what is wrong with them."""
    places = ((path, sha, paths.parse_path(path)) for path, sha in store.tree(tip).items())
    files = [(path, sha) for path, sha, place in places if place and place.folder == "secret"]
    texts = store.blobs([sha for _, sha in files])
    wrong = [
        f"{path}: {fault}"
        for (path, _), (_, text) in zip(files, texts, strict=True)
        for fault in _faults(path, text, record)
    ]
    return files, wrong


def _faults(path: str, text: bytes, record: RunRecord) -> list[str]:
    held = record.secrets
    try:
        manifest = canonical.read_manifest(text, where=path)
    except Stalled as error:
        return [error.message]
    if sealedsecrets.is_sealed(manifest):
        faults = sealedsecrets.faults_of(manifest, held.recipients if held else ())
        # Below a gap a file stays as it was, for whom it was encrypted then.
        return [one for one in faults if one != sealedsecrets.OTHER_RECIPIENTS or not record.gaps]
    data = {**(manifest.get("data") or {}), **(manifest.get("stringData") or {})}
    if all(fingerprints.is_fingerprint(value) for value in data.values()):
        return []  # without values; or it stayed below a gap, from another mode
    return ["a value is not encrypted"]
