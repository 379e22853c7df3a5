"""Many paths followed through an object at once, in a time that grows with the object alone.

The paths become one automaton whose states are made when they are first needed: a state is the set
of places in the paths where one may be after the same steps, and is asked once per key. So neither
the number of paths nor their wildcards make a value of an object be looked at twice, and whoever
writes a policy can't make its runs slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.capture import redactplaces
from reconciler.model import fieldpaths
from reconciler.model.fieldpaths import Into, Step

Keys = redactplaces.Keys
_MOST_STATES = 5000
_ANNOTATIONS = ("metadata", "annotations")
_OURS = "backstay.dev/"
_KEPT = frozenset({"apiVersion", "kind", "metadata"})
"""Without these nobody could say what an object is; of ``metadata`` there are its annotations."""


class _Place:
    """After the same steps in one or more paths; ``ends``: numbers of paths that end here."""

    __slots__ = ("after", "ends", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.after: dict[Step, _Place] = {}
        self.ends: list[int] = []


class State:
    """A set of places. ``keys`` and ``items`` are names that make a difference."""

    __slots__ = ("_next", "any_key", "ends", "hit", "items", "keys", "places")

    def __init__(self, places: Sequence[_Place]) -> None:
        self.places = places
        steps = [step for place in places for step in place.after]
        self.keys = {step.name for step in steps if step.into is Into.MAP and step.name is not None}
        self.items = {step.name for step in steps if step.into is Into.LIST}
        self.any_key = Step(Into.MAP, None) in steps
        self.ends = tuple(sorted({number for place in places for number in place.ends}))
        self.hit = False
        """Whether a value was found at the ends."""
        self._next: dict[tuple[Step, ...], State] = {}

    def next(self, steps: tuple[Step, ...], machine: Machine) -> State:
        """Where one is after a step that any of these stand for."""
        found = self._next.get(steps)
        if found is None:
            places = {
                place.after[step].number: place.after[step]
                for place in self.places
                for step in steps
                if step in place.after
            }
            found = self._next[steps] = machine.state(places)
        return found


_ANY_KEY, _ANY_ITEM = (Step(Into.MAP, None),), (Step(Into.LIST, None),)


class Machine:
    """For the paths of one kind; numbers are those of the paths as they are given."""

    def __init__(self, paths: Mapping[int, fieldpaths.Path]) -> None:
        self._places = 0
        self._states: dict[frozenset[int], State] = {}
        self._hit: set[int] = set()
        root = self._place()
        for number, path in paths.items():
            at = root
            for step in path:
                at = at.after.get(step) or at.after.setdefault(step, self._place())
            at.ends.append(number)
        self._root = root

    @property
    def hit(self) -> frozenset[int]:
        """Paths that a value was found at."""
        return frozenset(self._hit.union(*(one.ends for one in self._states.values() if one.hit)))

    def state(self, places: Mapping[int, _Place]) -> State:
        """The one state of these places."""
        known = frozenset(places)
        found = self._states.get(known)
        if found is None:
            found = self._states[known] = State(tuple(places.values()))
        return found

    def find(self, found: Mapping[str, Any], *, annotations_only: bool) -> dict[Keys, int]:
        """Scalars at the ends of paths, and below them → the path that ends first on the way.

        Raises TooMany.
        """
        hits: redactplaces.Places[int] = redactplaces.Places()
        root = self._start()
        if not annotations_only:
            for key, part in found.items():
                if key not in _KEPT:
                    self._walk(part, (key,), self._after_key(root, key), (), hits)
        at = root
        ended: tuple[State, ...] = ()
        for key in _ANNOTATIONS:
            at = self._after_key(at, key)
            ended = (*ended, at) if at.ends else ended
        for key, text in (found["metadata"].get("annotations") or {}).items():
            if not key.startswith(_OURS):
                self._walk(text, (*_ANNOTATIONS, key), self._after_key(at, key), ended, hits)
        return hits

    def ends_at(self, found: Mapping[str, Any], keys: Keys) -> tuple[int, ...]:
        """Paths that end at just this place."""
        at: Any = found
        state = self._start()
        for part in keys:
            at = at[part]
            if isinstance(part, int):
                state = self._after_item(state, part, at)
            else:
                state = self._after_key(state, part)
        return state.ends

    def _place(self) -> _Place:
        self._places += 1
        return _Place(self._places)

    def _start(self) -> State:
        if len(self._states) > _MOST_STATES:
            self._hit |= self.hit
            self._states.clear()
        return self.state({self._root.number: self._root})

    def _after_key(self, state: State, key: str) -> State:
        if key in state.keys:
            return state.next((Step(Into.MAP, key), *_ANY_KEY), self)
        return state.next(_ANY_KEY, self)

    def _after_item(self, state: State, index: int, item: object) -> State:
        name = item.get("name") if isinstance(item, dict) else None
        named = {one for one in (name, str(index)) if isinstance(one, str)} & state.items
        if named:
            steps = tuple(Step(Into.LIST, one) for one in sorted(filter(None, named)))
            return state.next((*steps, *_ANY_ITEM), self)
        return state.next(_ANY_ITEM, self)

    def _walk(
        self,
        value: Any,
        keys: Keys,
        state: State,
        ended: tuple[State, ...],
        hits: dict[Keys, int],
    ) -> None:
        if state.ends:
            ended = (*ended, state)
        if isinstance(value, dict):
            for key in self._asked(value, state, ended):
                self._walk(value[key], (*keys, key), self._after_key(state, key), ended, hits)
        elif isinstance(value, list):
            if ended or state.items:
                for index, item in enumerate(value):
                    after = self._after_item(state, index, item)
                    self._walk(item, (*keys, index), after, ended, hits)
        elif ended and value is not None:
            hits[keys] = ended[0].ends[0]
            for one in ended:
                one.hit = True

    @staticmethod
    def _asked(value: Mapping[str, Any], state: State, ended: tuple[State, ...]) -> Iterator[str]:
        if ended or state.any_key:
            return iter(value)
        return (key for key in value if key in state.keys) if state.keys else iter(())
