"""Copies of Kubernetes objects for the fakes: they copy with every call, so it has to be quick."""

from __future__ import annotations

import copy
import marshal
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_dumps: Callable[[Any], bytes] = marshal.dumps


def copied(tree: T) -> T:
    """A deep copy; of what JSON has in a tenth of the time that `copy.deepcopy` takes."""
    try:
        made: T = marshal.loads(_dumps(tree))  # noqa: S302 - our own bytes
    except ValueError:  # another class inside
        return copy.deepcopy(tree)
    return made
