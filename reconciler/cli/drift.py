"""What `backstay diff --against-cluster` needs besides: a cluster, and keys from Config."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from reconciler.adapters.keyring import SecretKeyring
from reconciler.adapters.kube import KubeClient
from reconciler.cli import history, wiring
from reconciler.engine.drift import NO_KEY, Drift, find_drift
from reconciler.engine.reading import NamedPoint, Wanted
from reconciler.engine.restoresource import fingerprint_key, prove_password
from reconciler.model.errors import BackstayError
from reconciler.plan.pointnames import render_moment
from reconciler.report import diff as report


def look_at_cluster(
    found: history.History,
    before: NamedPoint,
    wanted: Wanted,
    config_file: Path | None,
    kubeconfig: Path | None,
    context: str | None,
    now: datetime,
) -> tuple[Drift, report.Side]:
    """What differs in the cluster; ``config_file`` is None where there is only a clone."""
    client = wiring.cluster(kubeconfig, context)
    key, note = _fingerprint_key(before, config_file, client)
    drift = find_drift(found.store, before, client, wanted, key)
    return drift, _live_side(found.cluster, render_moment(now), drift, note)


def _fingerprint_key(
    before: NamedPoint, config_file: Path | None, client: KubeClient
) -> tuple[bytes | None, str]:
    """The key of the point's fingerprints, once its password was proven; else None, and why."""
    if config_file is None:
        return None, "no Config with the keys of the repositories"
    config = wiring.load_config(config_file)
    if config.cluster.name != before.record.cluster.name:
        return None, f"Config is of cluster {config.cluster.name}"
    cache = wiring.cache_folder() / "restic"
    keyring = SecretKeyring(config, wiring.resolver(client), cache=cache, read_only=True)
    try:
        # With another password than the run's, every Secret would seem to have changed.
        prove_password(keyring, before.record)
        return fingerprint_key(keyring, before.record), ""
    except BackstayError as error:
        return None, error.message


def _live_side(cluster: str, now: str, drift: Drift, note: str) -> report.Side:
    notes = (f"{one}: {note}" if one == NO_KEY and note else one for one in drift.notes)
    return report.Side(
        name=f"cluster {cluster}",
        time=now,
        gaps=tuple(map(str, sorted(drift.gaps))),
        notes=tuple(notes),
    )
