"""What maintenance still holds of a policy: ``_retained/<policy>.yaml`` on the cluster's branch.

A run that is on the policy's branch at ``tip`` or below, and is not among ``held``, has expired:
its volumes and Secrets are not promised any more, whether they are still in restic or not. What
came above ``tip`` is held. Equal values give equal bytes; unknown fields are ignored when reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.capture import emitter, loading
from reconciler.capture.reading import Node
from reconciler.capture.record import API_VERSION, render_time

FOLDER = "_retained"
_KIND = "Retained"


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run, and the namespaces of which it holds a recovery point."""

    run: str
    namespaces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """One policy. ``retention`` are the words that were applied, ``held`` is sorted by run."""

    policy: str
    tip: str
    at: datetime
    retention: Mapping[str, int | str]
    held: tuple[HeldRun, ...]


def path_of(policy: str) -> str:
    """Where it lies on the cluster's branch."""
    return f"{FOLDER}/{policy}.yaml"


def render_retained(found: Retained) -> bytes:
    """Its text."""
    return emitter.emit_in_order(
        {
            "apiVersion": API_VERSION,
            "kind": _KIND,
            "metadata": {"name": found.policy},
            "tip": found.tip,
            "at": render_time(found.at),
            "retention": dict(sorted(found.retention.items())),
            "held": [
                {"run": one.run, "namespaces": list(one.namespaces)}
                for one in sorted(found.held, key=lambda one: one.run)
            ],
        }
    )


def parse_retained(text: bytes, *, where: str) -> Retained:
    """What it says; raises Stalled with the field's path where it is none."""
    root = Node(loading.read_manifest(text, where=where), where)
    root.expect("apiVersion", API_VERSION)
    root.expect("kind", _KIND)
    return Retained(
        policy=root.child("metadata").text("name"),
        tip=root.text("tip"),
        at=root.time("at"),
        retention=root.scalars("retention"),
        held=root.each("held", _read_held),
    )


def _read_held(node: Node) -> HeldRun:
    return HeldRun(run=node.text("run"), namespaces=node.texts("namespaces"))
