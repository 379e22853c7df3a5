"""Findings about protection: what loses it, what gains it, and what two policies copy.

A namespace is protected by a policy that selects it and starts runs, a claim by one that would
copy its data. Findings are grouped by their cause: one line of a file, one finding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.model.change import Protected
from reconciler.model.finding import Finding, Severity
from reconciler.plan.changecover import ClaimKey, Covered
from reconciler.plan.changeforce import Force
from reconciler.plan.changewhy import Sides, Why, why_not_claim, why_not_namespace

LOST = "coverage-lost"
GAINED = "coverage-gained"
TWICE = "claim-twice"
_FEW = 3

Waived = Callable[[str, str], str]
"""Namespace and claim (empty: the whole namespace) → why it needs no protection; empty: it does."""


@dataclass(frozen=True, slots=True)
class Cover:
    """What all active policies of one revision protect: thing → names of policies, sorted."""

    covered: Mapping[str, Covered]
    namespaces: Mapping[str, tuple[str, ...]]
    claims: Mapping[ClaimKey, tuple[str, ...]]

    @classmethod
    def of(cls, force: Force, covered: Mapping[str, Covered]) -> Cover:
        """``covered`` has every policy of ``force``."""
        namespaces: defaultdict[str, list[str]] = defaultdict(list)
        claims: defaultdict[ClaimKey, list[str]] = defaultdict(list)
        for policy in force.active:
            found = covered[policy.name]
            for name in found.selection.names:
                namespaces[name].append(policy.name)
            for key in found.claims:
                if found.copies(key):
                    claims[key].append(policy.name)
        return cls(
            covered,
            {name: tuple(names) for name, names in namespaces.items()},
            {key: tuple(names) for key, names in claims.items()},
        )

    @property
    def count(self) -> Protected:
        """How many there are."""
        return Protected(len(self.namespaces), len(self.claims))


@dataclass(slots=True)
class _Group:
    """What one cause does."""

    why: Why
    waived: str = ""
    namespaces: list[str] = field(default_factory=list)
    claims: list[ClaimKey] = field(default_factory=list)


def coverage_findings(
    sides: Sides, before: Cover, after: Cover, waived: Waived, *, seen: bool = True
) -> Iterator[Finding]:
    """Lost, gained, and claims that two policies copy now and did not before.

    ``seen``: there is an inventory, and not only the names that policies say.
    """
    for group in _lost(sides, before, after, waived):
        yield _finding(sides, LOST, group, "protection")
    for group in _gained(sides, before, after):
        yield _finding(sides, GAINED, group, "protection" + ("" if seen else _if_there(group)))
    yield from _twice(sides, before, after)


def _lost(sides: Sides, before: Cover, after: Cover, waived: Waived) -> list[_Group]:
    groups: dict[tuple[str, str, str], _Group] = {}

    def group(why: Why, waiver: str) -> _Group:
        return groups.setdefault((why.policy, why.reason, waiver), _Group(why, waiver))

    for name, policies in sorted(before.namespaces.items()):
        if name not in after.namespaces:
            covered = after.covered.get(policies[0])
            why = why_not_namespace(sides, policies[0], name, covered)
            group(why, waived(name, "")).namespaces.append(name)
    for key, policies in sorted(before.claims.items()):
        if key not in after.claims:
            why = why_not_claim(sides, policies[0], key, after.covered.get(policies[0]))
            group(why, waived(*key)).claims.append(key)
    return list(groups.values())


def _gained(sides: Sides, before: Cover, after: Cover) -> list[_Group]:
    groups: dict[str, _Group] = {}

    def group(policy: str) -> _Group:
        place = sides.at(policy, "selector.namespaces")
        return groups.setdefault(policy, _Group(Why(policy, f"policy {policy}", place)))

    for name, policies in sorted(after.namespaces.items()):
        if name not in before.namespaces:
            group(policies[0]).namespaces.append(name)
    for key, policies in sorted(after.claims.items()):
        if key not in before.claims:
            group(policies[0]).claims.append(key)
    return list(groups.values())


def _finding(sides: Sides, kind: str, group: _Group, what: str) -> Finding:
    lost = kind == LOST
    subject = _subject(group)
    verb = ("lose" if lost else "gain") + ("s" if _one(group) else "")
    message = f"{subject} {verb} {what}: {group.why.reason}"
    severity = Severity.ERROR if lost else Severity.NOTE
    if group.waived:
        message, severity = f"{message} ({group.waived})", Severity.WARNING
    return Finding(
        id=kind,
        severity=severity,
        message=message,
        hint=_hint(group) if lost else "",
        policy=group.why.policy,
        namespace=_single({*group.namespaces, *(space for space, _ in group.claims)}),
        claim=group.claims[0][1] if len(group.claims) == 1 and not group.namespaces else "",
        place=group.why.place,
        details=tuple(_details(sides, group)),
        facts=_facts(group),
    )


def _facts(group: _Group) -> dict[str, str]:
    facts = {"namespaces": str(len(group.namespaces)), "claims": str(len(group.claims))}
    return facts | ({"side": "base"} if group.why.in_base else {})


def _hint(group: _Group) -> str:
    if group.waived:
        return ""
    return "what was backed up stays; nothing new is added to it"


def _one(group: _Group) -> bool:
    return len(group.namespaces) + (0 if group.namespaces else len(group.claims)) == 1


def _single(names: Iterable[str]) -> str:
    found = list(names)
    return found[0] if len(found) == 1 else ""


def _subject(group: _Group) -> str:
    """``namespaces shop and shop-blue, with 3 claims,``; ``claim shop/cache``."""
    claims = len(group.claims)
    if not group.namespaces:
        return f"{_word('claim', claims)} {_listed([f'{a}/{b}' for a, b in group.claims])}"
    names = _listed(group.namespaces)
    subject = f"{_word('namespace', len(group.namespaces))} {names}"
    return f"{subject}, with {claims} {_word('claim', claims)}," if claims else subject


def _if_there(group: _Group) -> str:
    return f" if there {'is such a namespace' if _one(group) else 'are such namespaces'}"


def _word(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _listed(names: Sequence[str]) -> str:
    if len(names) > _FEW:
        return f"{', '.join(names[:_FEW])} and {len(names) - _FEW} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _details(sides: Sides, group: _Group) -> Iterator[str]:
    """A line per namespace with its claims, where the sentence does not say it all."""
    by_namespace: dict[str, list[str]] = {name: [] for name in group.namespaces}
    for space, claim in group.claims:
        by_namespace.setdefault(space, []).append(_claim(sides, (space, claim)))
    for space, claims in sorted(by_namespace.items()):
        if claims:
            yield f"{space}: {_word('claim', len(claims))} {', '.join(claims)}"
        elif len(by_namespace) > 1:
            yield f"{space}: manifests"


def _claim(sides: Sides, key: ClaimKey) -> str:
    size = sides.ground.size(key)
    return f"{key[1]} ({render_size(size)})" if size else key[1]


def render_size(size: int) -> str:
    """Bytes as a claim asks for them: ``10Gi``."""
    for unit, name in ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")):
        if size >= unit:
            return f"{size / unit:.4g}{name}"
    return str(size)


def _twice(sides: Sides, before: Cover, after: Cover) -> Iterator[Finding]:
    groups: defaultdict[tuple[str, ...], list[ClaimKey]] = defaultdict(list)
    for key, policies in sorted(after.claims.items()):
        old = before.claims.get(key, ())
        if len(policies) > 1 and not set(policies) <= set(old):
            groups[policies].append(key)
    for policies, claims in sorted(groups.items()):
        new = next((p for p in policies if _is_new(before, p, claims[0])), policies[-1])
        group = _Group(Why(new, ""), claims=claims)
        one = len(claims) == 1
        yield Finding(
            id=TWICE,
            severity=Severity.WARNING,
            message=f"{_subject(group)} {'is' if one else 'are'} copied by"
            f" {len(policies)} policies: {_listed(policies)}",
            hint="exclude the namespace from one of them, or skip the claim there",
            policy=new,
            namespace=_single({space for space, _ in claims}),
            claim=claims[0][1] if one else "",
            place=sides.at(new, "selector.namespaces"),
            details=tuple(_details(sides, group)),
            facts={"policies": ",".join(policies), "claims": str(len(claims))},
        )


def _is_new(before: Cover, policy: str, key: ClaimKey) -> bool:
    return policy not in before.claims.get(key, ())
