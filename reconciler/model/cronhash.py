"""``H`` in a schedule: "somewhere in here, always at the same time".

Jenkins' notation, in minute and hour: ``H``, ``H(0-29)``, ``H/15``, ``H(0-29)/10``, also in lists.
What stands for it is taken from SHA-256 over cluster and policy name, so that many policies of one
text spread over the hour, the same policy runs at another time in another cluster, and neither a
restart, a new version nor a changed neighbour moves it. `compile_cron` is part of the format: a
change of it would move every run.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from reconciler.model.policy import BackupPolicy, Schedule

RANGES = {"minute": (0, 59), "hour": (0, 23)}
"""The fields that take ``H``, in their order, with their lowest and highest value."""
TERM = re.compile(r"H(?:\((?P<first>[0-9]{1,2})-(?P<last>[0-9]{1,2})\))?(?:/(?P<step>[0-9]{1,2}))?")


def uses_hash(cron: str) -> bool:
    """Whether minute or hour has an ``H``."""
    return "H" in "".join(cron.upper().split()[: len(RANGES)])


def compile_cron(cron: str, *, cluster: str, policy: str) -> str:
    """Five fields without ``H``, as the CronJob gets them.

    ``cron`` is what `reconciler.policy.cron.parse_cron` returns. ``H/15`` becomes ``7-59/15``.
    """
    if not uses_hash(cron):
        return cron
    parts = cron.split()
    for number, field in enumerate(RANGES):
        terms = parts[number].split(",")
        parts[number] = ",".join(_compile_term(term, field, cluster, policy) for term in terms)
    return " ".join(parts)


def compile_schedule(policy: BackupPolicy, cluster: str) -> Schedule:
    """The schedule of a policy in a cluster of this name."""
    cron = compile_cron(policy.schedule.cron, cluster=cluster, policy=policy.name)
    return replace(policy.schedule, cron=cron)


def compile_policy(policy: BackupPolicy, cluster: str) -> BackupPolicy:
    """The policy with the schedule that its CronJob has in a cluster of this name."""
    return replace(policy, schedule=compile_schedule(policy, cluster))


def _compile_term(term: str, field: str, cluster: str, policy: str) -> str:
    found = TERM.fullmatch(term)
    if found is None:
        return term
    first, last = RANGES[field]
    if found["first"] is not None:
        first, last = int(found["first"]), int(found["last"])
    text = f"backstay/cron|{cluster}|{policy}|{field}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    if found["step"] is None:
        return str(first + number % (last - first + 1))
    # Never a range of one, which parsers read differently: a step is at most last - first.
    step = int(found["step"])
    return f"{first + number % step}-{last}/{step}"
