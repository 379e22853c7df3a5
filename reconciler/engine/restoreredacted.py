"""Values that were redacted outside Secrets: back from restic, each proven by its fingerprint.

An object whose values are not to be had is not created: nobody wants a workload whose password is
a fingerprint. Only an annotation is left away instead, since a namespace or a claim must not be
lost for a remark on it.

A copy was planned by what Git has in clear, so references were followed there and nowhere else. An
object whose redacted values name the original's namespace is not created either: it would give the
copy's rights, or its traffic, to the original.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.capture import canonical, redact
from reconciler.engine.restoresource import PointContent
from reconciler.model.errors import Refused
from reconciler.model.objects import folder_of
from reconciler.model.restore import RestorePlan, RestoreStep
from reconciler.plan import mappingrefs, mappingtaken

_LACKING = "is not in this recovery point"
_UNFOLLOWED = "names a namespace that is restored under another name, and is redacted: make it anew"
_UNKNOWN_HOST = "its hosts may be the original's, and are redacted: make it anew"


def wants_values(content: PointContent, wanted: Sequence[RestoreStep]) -> tuple[RestoreStep, ...]:
    """The steps whose texts have fingerprints in place of values."""
    texts = content.renaming.captured or content.texts
    return tuple(
        step for step in wanted if redact.holds_fingerprints(texts[step.source or step.path])
    )


def fill_step(
    content: PointContent,
    step: RestoreStep,
    whole: Mapping[str, Any] | None,
    key: bytes | None,
) -> tuple[dict[str, Any], str]:
    """(the manifest with its values, why it can't be created or nothing).

    Whoever asks afterwards what differs learns of an annotation that was left away.

    ``whole`` is the object as restic has it. Raises Refused where a value is not the one whose
    fingerprint is in Git.
    """
    path = step.source or step.path
    text = (content.renaming.captured or content.texts)[path]
    try:
        values = (
            redact.Values({})
            if whole is None or key is None
            else redact.prove(canonical.read_manifest(text, where=path), whole, key)
        )
    except redact.Unproven as unproven:
        raise Refused(
            f"{path}: the value of {unproven} in restic is not the one whose fingerprint is in Git",
            hint="nothing was changed; the manifest store or the repository was altered",
        ) from None
    filled = values.fill(step.manifest)
    if not filled.lacking:
        why = _find_unmapped(content.renaming.names, step, filled.document)
        return filled.document, f"{step.path}: {why}" if why else ""
    more = f" and {len(filled.lacking) - 1} more" if len(filled.lacking) > 1 else ""
    return filled.document, f"{step.path}: the value of {filled.lacking[0]}{more} {_LACKING}"


def _find_unmapped(names: Mapping[str, str], step: RestoreStep, filled: Mapping[str, Any]) -> str:
    """What of the values should have been another for a copy; nothing where none is."""
    if not names:
        return ""
    folder = folder_of(step.ref.group, step.ref.kind)
    try:
        # What is in clear was followed, or stays as it is knowingly.
        _, known = mappingrefs.follow(step.manifest, folder, names)
        _, found = mappingrefs.follow(filled, folder, names)
    except RecursionError:
        return "nested too deeply to be looked through, and has redacted values"
    unfollowed = [one for one in found if one not in known]
    if unfollowed:
        field, _, _ = unfollowed[0].partition(": ")
        return f"{field} {_UNFOLLOWED}"
    filled_hosts = step.source and filled.get("spec") != step.manifest.get("spec")
    return _UNKNOWN_HOST if filled_hosts and folder in mappingtaken.ROUTES else ""


def with_values(plan: RestorePlan, manifests: Mapping[str, Mapping[str, Any]]) -> RestorePlan:
    """The plan with whole manifests: what makes namespaces and claims takes them from there."""
    if not manifests:
        return plan
    return replace(
        plan,
        steps=tuple(
            replace(step, manifest=manifests[step.path]) if step.path in manifests else step
            for step in plan.steps
        ),
    )
