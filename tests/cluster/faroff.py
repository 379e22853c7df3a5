"""Policies whose time is half a day away: no schedule fires while a test looks at what is there.

The clusters have a real CronJob controller, and a tier begins at any time of the day. A Job in the
middle of a test is a write that the test did not ask for, and a next run that has changed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.engine import controller_world

_HOUR = (datetime.now(UTC).hour + 12) % 24


def cron(minute: int) -> str:
    """A time of every day, eleven hours away or more; another minute is another time."""
    return f"{minute} {_HOUR} * * *"


CRON = cron(17)


def policy_yaml(name: str, cron: str = CRON) -> bytes:
    """A policy that is executed by this version."""
    return controller_world.policy_yaml(name, cron)


def files(*names: str, **more: bytes) -> dict[str, bytes]:
    """A revision's files: a repository, one policy per name, and more by name."""
    return controller_world.files(**({name: policy_yaml(name) for name in names} | more))
