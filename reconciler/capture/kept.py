"""Annotations that Backstay writes into captured manifests.

A ``captured-…`` annotation keeps what restore needs of a field that Git does not hold. It stays on
an object that is created from the manifest, and a later capture keeps it, so the bytes stay equal.
"""

from __future__ import annotations

from reconciler.model import naming

OWNERS = "backstay.dev/captured-owners"
"""Owners as ``kind.group/name``, the controlling one first, joined by a comma and a space."""

COMPLETED = naming.CAPTURED_COMPLETED
"""On a Job that had ended: ``2026-11-21T04:17:03Z``, or ``Failed`` and the time."""

PHASE = naming.CAPTURED_PHASE
"""On a pod without owner that had ended: ``Succeeded`` or ``Failed``."""

FINGERPRINTS = "backstay.dev/captured-fingerprints"
"""In a Secret's file that is encrypted with SOPS: the fingerprints of its values. No object keeps
it: a capture that finds it leaves it out."""

DATA_SOURCE = "backstay.dev/captured-data-source"
"""What a claim was once filled from: ``volumesnapshot.snapshot.storage.k8s.io/golden``."""
