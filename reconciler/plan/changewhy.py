"""Why a policy no longer protects something: the reason in words, and the line that says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.model.change import Revision
from reconciler.model.finding import Place
from reconciler.model.policy import BackupPolicy, Kind
from reconciler.plan.changecover import ClaimKey, Covered, Ground, copies
from reconciler.plan.changeforce import Force

POLICY = str(Kind.BACKUP_POLICY)
_RULE = "rule "


@dataclass(frozen=True, slots=True)
class Why:
    """One cause of findings; ``in_base`` says that the line is the base's."""

    policy: str
    reason: str
    place: Place | None = None
    in_base: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both revisions with what is in force, and the ground they are held against."""

    base: Revision
    head: Revision
    before: Force
    after: Force
    ground: Ground

    def at(self, policy: str, path: str = "") -> Place | None:
        """The line of a policy's field; the base's for what is kept from there."""
        if policy in self.after.kept:
            return self.base.place(POLICY, policy, path)
        return self.head.place(POLICY, policy, path)


def why_not_at_all(sides: Sides, policy: str) -> Why | None:
    """Why a policy of the base protects nothing any more; None where it is at work."""
    now = sides.after.policies.get(policy)
    if now is not None:
        if not now.suspend:
            return None
        return Why(policy, f"policy {policy} is suspended", sides.at(policy, "suspend"))
    if policy in sides.after.elsewhere:
        reason = f"policy {policy} no longer takes this cluster: {sides.after.elsewhere[policy]}"
        return Why(policy, reason, sides.at(policy, "clusters"))
    still = "" if sides.head.path_found else "; nothing is deleted as long as the folder is gone"
    reason = f"policy {policy} is removed{still}"
    return Why(policy, reason, sides.base.place(POLICY, policy), True)


def why_not_namespace(sides: Sides, policy: str, namespace: str, covered: Covered | None) -> Why:
    """Why a policy that protected a namespace does not any more."""
    gone = why_not_at_all(sides, policy)
    if gone is not None:
        return gone
    passed = covered.selection.passed_over if covered else ()
    for one in passed:
        if one.name == namespace:
            return Why(
                policy, f"policy {policy}: it is {one.why}", _excluded(sides, policy, one.why)
            )
    now = sides.after.policies[policy]
    selector = now.selector.namespaces
    labels = sides.ground.namespaces[namespace].namespace.labels
    missing = ", ".join(
        f"{key}={value}"
        for key, value in sorted(selector.match_labels.items())
        if labels.get(key) != value
    )
    if missing and namespace in sides.ground.select(replace(selector, match_labels={})).names:
        place = sides.at(policy, "selector.namespaces.matchLabels")
        return Why(policy, f"policy {policy} wants the label {missing}", place)
    place = sides.at(policy, "selector.namespaces.names")
    return Why(policy, f"policy {policy} no longer selects it", place)


def _excluded(sides: Sides, policy: str, why: str) -> Place | None:
    now = sides.after.policies[policy]
    globs = now.selector.namespaces.exclude
    glob = why.removeprefix("excluded by ")
    if glob not in globs:
        return sides.at(policy)
    return sides.at(policy, f"selector.namespaces.exclude[{globs.index(glob)}]")


def why_not_claim(sides: Sides, policy: str, key: ClaimKey, covered: Covered | None) -> Why:
    """Why the data of a claim is not copied any more by a policy that did."""
    decision = covered.claims.get(key) if covered else None
    if decision is None or copies(decision) or why_not_at_all(sides, policy) is not None:
        return why_not_namespace(sides, policy, key[0], covered)
    what = "can't copy it" if decision.impossible else "skips it"
    reason = f"policy {policy} {what}: {decision.why}"
    return Why(policy, reason, method_place(sides, sides.after.policies[policy], decision.why))


def method_place(sides: Sides, policy: BackupPolicy, why: str) -> Place | None:
    """The line of the rule that decided about a claim, or of the policy's copyMethod."""
    return sides.at(policy.name, method_path(why))


def method_path(why: str) -> str:
    """The field below ``spec`` that a decision about a claim gives as its reason."""
    if why.startswith(_RULE):
        number = why.removeprefix(_RULE).split(":")[0].split(";")[0]
        if number.isdigit():
            return f"volumes.rules[{int(number) - 1}]"
    return "volumes.copyMethod"
