"""Many paths followed through an object at once.

The paths become one automaton whose states are made when they are first needed: a state is the set
of places in the paths where one may be after the same steps. So no value of an object is looked at
twice, however many paths there are, and where one step leads is remembered.

Whoever writes both the paths and the object can make each of its parts a state of its own, as large
as there are paths that fit it. So states are remembered up to a bound, the same in the midst of an
object: memory does not grow with either. Time does, for such an object, with the paths that fit the
same part; a policy may have few wildcards in one path (`MOST_WILDCARDS`), so few parts fit many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.capture import redactplaces
from reconciler.model import fieldpaths
from reconciler.model.fieldpaths import Into

Keys = redactplaces.Keys
_MOST = 50_000
"""What is remembered of states and ways between them: places, names and ways, each counts one."""
_ANNOTATIONS = ("metadata", "annotations")
_OURS = "backstay.dev/"
_KEPT = frozenset({"apiVersion", "kind", "metadata"})
"""Without these nobody could say what an object is; of ``metadata`` there are its annotations."""


class _Place:
    """After the same steps in one or more paths; ``ends``: numbers of paths that end here."""

    __slots__ = ("ends", "items", "keys", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.keys: dict[str | None, _Place] = {}
        """Where a key leads; None is any, as for items."""
        self.items: dict[str | None, _Place] = {}
        self.ends: list[int] = []


class State:
    """A set of places. ``keys`` and ``items`` are names that make a difference."""

    __slots__ = ("any_key", "ends", "hit", "items", "keys", "places")

    def __init__(self, places: Sequence[_Place]) -> None:
        self.places = places
        self.keys: set[str | None] = set().union(*(place.keys for place in places))
        self.items: set[str | None] = set().union(*(place.items for place in places))
        self.any_key = None in self.keys
        self.keys.discard(None)
        self.ends = tuple(sorted({number for place in places for number in place.ends}))
        self.hit = False
        """Whether a value was found at the ends, and the machine knows."""

    def size(self) -> int:
        """What it takes to remember it."""
        return 1 + len(self.places) + len(self.keys) + len(self.items)


_Names = tuple[str | None, ...]
_ANY: _Names = (None,)


class Machine:
    """For the paths of one kind; numbers are those of the paths as they are given."""

    def __init__(self, paths: Mapping[int, fieldpaths.Path], *, most: int = _MOST) -> None:
        self._places = 0
        self._most = most
        self._states: dict[frozenset[int], State] = {}
        self._ways: dict[tuple[State, bool, _Names], State] = {}
        self._hit: set[int] = set()
        self.remembered = 0
        """Of states and ways; at most ``most``, or what the last step needed."""
        root = self._place()
        for number, path in paths.items():
            at = root
            for step in path:
                after = at.items if step.into is Into.LIST else at.keys
                at = after.get(step.name) or after.setdefault(step.name, self._place())
            at.ends.append(number)
        self._root = root

    @property
    def hit(self) -> frozenset[int]:
        """Paths that a value was found at."""
        return frozenset(self._hit)

    def make(self, places: Mapping[int, _Place]) -> State:
        """The state of these places, which nobody remembers."""
        made = State(tuple(places.values()))
        self._remember(made.size())
        self._states[frozenset(places)] = made
        return made

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
            if not state.places:
                return ()
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
        return self._state({self._root.number: self._root})

    def _state(self, places: Mapping[int, _Place]) -> State:
        return self._states.get(frozenset(places)) or self.make(places)

    def _remember(self, size: int) -> None:
        """Makes room. What is forgotten stays in force for as long as somebody is on it."""
        if self.remembered + size > self._most:
            self._states.clear()
            self._ways.clear()
            self.remembered = 0
        self.remembered += size

    def _next(self, state: State, *, item: bool, names: _Names) -> State:
        """Where one is after a step that any of these names stand for."""
        found = self._ways.get((state, item, names))
        if found is None:
            places: dict[int, _Place] = {}
            for place in state.places:
                after = place.items if item else place.keys
                for name in names:
                    if name in after:
                        places[after[name].number] = after[name]
            found = self._state(places)
            self._remember(1)
            self._ways[state, item, names] = found
        return found

    def _after_key(self, state: State, key: str) -> State:
        return self._next(state, item=False, names=(key, None) if key in state.keys else _ANY)

    def _after_item(self, state: State, index: int, item: object) -> State:
        name = item.get("name") if isinstance(item, dict) else None
        named = {one for one in (name, str(index)) if isinstance(one, str)} & state.items
        names: _Names = (*sorted(filter(None, named)), None) if named else _ANY
        return self._next(state, item=True, names=names)

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
                if not one.hit:
                    one.hit = True
                    self._hit.update(one.ends)

    @staticmethod
    def _asked(value: Mapping[str, Any], state: State, ended: tuple[State, ...]) -> Iterator[str]:
        if ended or state.any_key:
            return iter(value)
        return (key for key in value if key in state.keys) if state.keys else iter(())
