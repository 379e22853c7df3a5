"""Manifests that are not deployed yet, as text → plain objects; every document by itself.

What Kustomize, Helm, Argo CD and Flux put out: files of many documents, and Lists. Nothing is
resolved, constructed or executed: libyaml's parser gives events, and texts stay texts but for
null. Bounded: size, nesting, values and documents have caps, and an alias is refused, because one
line of aliases can stand for a million objects. A broken document is a problem and hides no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.model.errors import Problem, one_line

MAX_BYTES = 16 << 20
MAX_DEPTH = 100
MAX_VALUES = 2_000_000
MAX_OBJECTS = 100_000
MAX_PROBLEMS = 100
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BREAK = re.compile(rb"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_CONTENT = re.compile(rb"^[ \t]*[^ \t\r\n#%]", re.MULTILINE)
_RENDER = "render charts and overlays first: kustomize build DIR | backstay coverage --manifests -"
_MOST_SHOWN = 160


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """A mapping with ``apiVersion``, ``kind`` and ``metadata.name``, and where it begins."""

    file: str
    line: int
    body: dict[str, Any]


@dataclass(slots=True)
class ManifestFiles:
    """The objects of many files, in order; `read` adds to them."""

    objects: list[ManifestObject] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    others: int = 0
    """Documents that are no Kubernetes objects, such as a chart's values."""
    values: int = 0

    def read(self, file: str, data: bytes) -> None:
        """Reads one file. Never raises."""
        if len(data) > MAX_BYTES:
            self._problem(file, 1, 1, f"larger than {MAX_BYTES >> 20} MiB and not read")
            return
        for before, chunk in _documents(data):
            if len(self.problems) >= MAX_PROBLEMS:
                return
            self._read_document(file, before, chunk)

    def _read_document(self, file: str, before: int, chunk: bytes) -> None:
        builder = _Builder(MAX_VALUES - self.values)
        try:
            root = builder.build(chunk)
        except _Wrong as wrong:
            self._problem(file, before + wrong.line, wrong.column, wrong.message)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            told = one_line(error.problem or error.context or "not YAML")[:_MOST_SHOWN]
            self._problem(file, before + line, column, f"not YAML: {told}")
        except yaml.YAMLError as error:
            # A reader's error has no mark: characters or bytes that YAML does not take.
            told = one_line(str(error).partition("\n")[0])[:_MOST_SHOWN]
            self._problem(file, before + 1, 1, f"not YAML: {told}")
        else:
            if root is not None:
                self._take(file, before + builder.line, root)
        self.values += builder.values

    def _take(self, file: str, line: int, root: object) -> None:
        """An object, or the objects of a List; Lists in Lists are no Lists of Kubernetes."""
        for item in _items(root):
            if len(self.objects) >= MAX_OBJECTS:
                self._problem(file, line, 1, f"more than {MAX_OBJECTS} objects are not read")
                return
            found = _as_object(item)
            if found is not None:
                self.objects.append(ManifestObject(file, line, found))
            else:
                self.others += 1

    def _problem(self, file: str, line: int, column: int, message: str) -> None:
        found = Problem(file=file, line=line, column=column, message=message, hint=_RENDER)
        self.problems.append(found)


def _items(root: object) -> list[object]:
    if isinstance(root, dict) and str(root.get("kind")).endswith("List"):
        items = root.get("items")
        if isinstance(items, list):
            return items
    return [root]


def _as_object(item: object) -> dict[str, Any] | None:
    """A mapping with apiVersion, kind and a name."""
    if not isinstance(item, dict):
        return None
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    wanted = (item.get("apiVersion"), item.get("kind"), name)
    return item if all(isinstance(text, str) and text for text in wanted) else None


def _documents(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(lines before it, text) of each that has more than comments and directives.

    ``---`` and ``...`` at the start of a line are markers wherever they stand.
    """
    begin = lines = 0
    for end, after in (*((one.start(), one.end()) for one in _BREAK.finditer(data)), (None, 0)):
        chunk = data[begin:end]
        if _CONTENT.search(chunk):
            yield lines, chunk
        if end is not None:
            lines += data.count(b"\n", begin, after)
            begin = after


class _Wrong(Exception):
    """What can't be read, and where in its document, counted from 1."""

    def __init__(self, event: Any, message: str) -> None:
        super().__init__(message)
        self.line, self.column = event.start_mark.line + 1, event.start_mark.column + 1
        self.message = message


class _Builder:
    """Builds one document from the parser's events; used once."""

    def __init__(self, budget: int) -> None:
        self.values = 0
        self.line = 1
        self._budget = budget
        self._open: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str | None] = []
        """For each open mapping, the key that waits for its value."""
        self._root: object = None

    def build(self, chunk: bytes) -> object:
        """Texts, None, lists and dicts; None for an empty document."""
        documents = 0
        for event in yaml.parse(chunk, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Wrong(event, "a second document begins without `---`")
            self._take(event)
        return self._root

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._count(event)
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._count(event)
            if len(self._open) >= MAX_DEPTH:
                raise _Wrong(event, f"nested more than {MAX_DEPTH} deep")
            node: dict[str, Any] | list[Any]
            node = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._put(event, node)
            self._open.append(node)
            self._keys.append(None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise _Wrong(event, "YAML aliases are not read: write it out")

    def _count(self, event: Any) -> None:
        if not self.values:
            self.line = event.start_mark.line + 1
        self.values += 1
        if self.values > self._budget:
            raise _Wrong(event, f"more than {MAX_VALUES} values in all are not read")

    def _scalar(self, event: Any) -> None:
        here = self._open[-1] if self._open else None
        if isinstance(here, dict) and self._keys[-1] is None:
            if event.value in here:
                shown = one_line(event.value)[:_MOST_SHOWN]
                raise _Wrong(event, f"the key `{shown}` stands here twice")
            if event.value == "<<" and event.implicit[0]:
                raise _Wrong(event, "YAML merge keys are not read: write it out")
            self._keys[-1] = event.value
            return
        # `implicit[0]`: written plain, so that it may mean something else than its text.
        is_null = event.implicit[0] and event.value in _NULL
        self._put(event, None if is_null else event.value)

    def _put(self, event: Any, value: object) -> None:
        if not self._open:
            self._root = value
            return
        here = self._open[-1]
        if isinstance(here, list):
            here.append(value)
            return
        key = self._keys[-1]
        if key is None:
            raise _Wrong(event, "a key that is no text")
        here[key] = value
        self._keys[-1] = None
