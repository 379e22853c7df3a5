"""One file's bytes → its documents as trees, with every problem of the text.

See `reconciler.policy.nodes` for what is promised. The scanner's class is narrowed to stop at
`MAX_DEPTH` by itself: it looks ahead, and would spend minutes in a line of brackets before the
first event comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.scanner import Scanner

from reconciler.model.errors import Problem
from reconciler.policy import nodes, text
from reconciler.policy.nodes import Chunk, Mapping, Node, Scalar, Sequence, YamlDocument
from reconciler.policy.plain import Ambiguous, TooLong, read_plain

TIME_KEYS = frozenset({"at", "expires"})
TRUTH_KEYS = frozenset({"suspend", "admin", "sharedKeyInTenants"})
"""Where a word of YAML 1.1 for true or false means just that, and quotes would not help."""
_TRUTHS = dict.fromkeys(("y", "yes", "on"), "true") | dict.fromkeys(("n", "no", "off"), "false")
_INDENT = "indent it as its neighbours"
_NOT_CLOSED = "a bracket or quote is not closed"
_SYNTAX_HINTS = (
    (r"found character '[@`%*&!|>]'", "quote it"),
    (r".*'\\t'", "indent with spaces"),
    (r"expected alphabetic or numeric character", "quote it: a value can't begin with * or &"),
    (
        r"mapping values are not allowed",
        "indent it as its neighbours; a value with `: ` needs quotes",
    ),
    (r"expected <block end>, but found '<scalar>'", "quote the whole value"),
    (r"expected <block end>", _INDENT),
    (r"could not find expected ':'", "a key needs `: ` behind it"),
    (r"found unexpected end of stream", _NOT_CLOSED),
    (r".*<stream end>|expected ',' or", _NOT_CLOSED),
)
"""What the parser says → what to do; the first that matches."""


class _Stop(Exception):
    """The document can't be read further."""

    def __init__(self, line: int, column: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.column, self.message, self.hint = line, column, message, hint


_TOO_DEEP = f"nested more than {nodes.MAX_DEPTH} deep"


_Opening = ScalarEvent | SequenceStartEvent | MappingStartEvent


class _ShallowScanner(Scanner):
    """Stops where nesting gets deeper than any policy's."""

    def fetch_flow_collection_start(self, *args: Any, **options: Any) -> None:
        if len(self.flow_context) >= nodes.MAX_DEPTH:
            raise _Stop(self.reader.line, self.reader.column, _TOO_DEEP)
        super().fetch_flow_collection_start(*args, **options)

    def add_indent(self, column: int) -> bool:
        if len(self.indents) >= nodes.MAX_DEPTH:
            raise _Stop(self.reader.line, self.reader.column, _TOO_DEEP)
        added: bool = super().add_indent(column)
        return added


class _Parser(YAML):
    """Looks for no plug-ins on the disk."""

    def official_plug_ins(self) -> list[str]:
        """None."""
        return []


def read_file(file: str, data: bytes) -> list[YamlDocument]:
    """All documents; a file that can't be read at all is one document without a root."""
    if len(data) > nodes.MAX_BYTES:
        message = f"larger than {nodes.MAX_BYTES >> 10} KiB and not read"
        return [_unreadable(file, 1, 1, message, "split the file")]
    try:
        content = text.decode(data)
    except UnicodeDecodeError as error:
        before = data[: error.start].rpartition(b"\n")
        line, column = before[0].count(b"\n") + bool(before[1]) + 1, len(before[2].decode()) + 1
        return [_unreadable(file, line, column, "not UTF-8 text", "save the file as UTF-8")]
    return _read_documents(file, content)


def _unreadable(file: str, line: int, column: int, message: str, hint: str) -> YamlDocument:
    problem = Problem(file=file, line=line, column=column, message=message, hint=hint)
    return YamlDocument(0, line, problems=[problem])


def _read_documents(file: str, content: str) -> list[YamlDocument]:
    documents: list[YamlDocument] = []
    budget = nodes.MAX_NODES
    for chunk in nodes.split_documents(content):
        if len(documents) == nodes.MAX_DOCUMENTS or budget <= 0:
            what = "documents" if budget > 0 else "values"
            stop = _unreadable(file, chunk.before + 1, 1, f"file has too many {what}", "split it")
            stop.index = len(documents)
            documents.append(stop)
            break
        builder = _Builder(file, len(documents), chunk, budget)
        documents.append(builder.read())
        budget -= documents[-1].count
    return documents


def parse_events(chunk: str) -> Iterator[Event]:
    """The parser's events of one document, places counted from 0.

    Raises YAMLError or, where nesting is too deep, an exception of this module.
    """
    yaml = _Parser(typ="safe", pure=True)
    yaml.Scanner = _ShallowScanner
    yield from yaml.parse(chunk)


class _Builder:
    """Builds the tree of one chunk from the parser's events; used once."""

    def __init__(self, file: str, index: int, chunk: Chunk, budget: int) -> None:
        self.file = file
        self.chunk = chunk
        self.budget = budget
        self.document = YamlDocument(index, chunk.before + 1)
        self.open: list[Sequence | Mapping] = []
        self.pending: list[Scalar | None] = []
        """For each open node, the key that waits for its value."""

    def read(self) -> YamlDocument:
        """Reads to the end, or to what stops it; the tree keeps what came before."""
        if self._refuse_characters():
            return self.document
        try:
            self._refuse_directive()
            for event in parse_events(self.chunk.text):
                self._take(event)
            self.document.complete = True
        except _Stop as stop:
            self._problem(stop.line, stop.column, stop.message, stop.hint)
        except MarkedYAMLError as error:
            self._syntax(error)
        except YAMLError as error:
            self._problem(0, 0, f"not YAML: {text.clip(str(error))}")
        except RecursionError:
            self._problem(0, 0, _TOO_DEEP)
        return self.document

    def _take(self, event: Event) -> None:
        mark = event.start_mark
        if len(self.document.problems) >= nodes.MAX_PROBLEMS:
            raise _Stop(mark.line, mark.column, "too many problems; the rest was not read")
        match event:
            case AliasEvent():
                hint = "write the value out" if _is_name(event.anchor) else "quote it"
                written = f"*{event.anchor}"
                shown = text.clip(written)
                self._problem(mark.line, mark.column, f"alias `{shown}` is not allowed", hint)
                line = self.chunk.before + mark.line + 1
                self._add(Scalar(line, mark.column + 1, written, written, plain=False))
            case ScalarEvent() | SequenceStartEvent() | MappingStartEvent():
                self._refuse_decoration(event)
                self._add(self._node(event))
            case SequenceEndEvent() | MappingEndEvent():
                self.open.pop()
                self.pending.pop()

    def _refuse_characters(self) -> bool:
        found = text.forbidden(self.chunk.text)
        for line, column, name in islice(found, nodes.MAX_PROBLEMS):
            message = f"character {name} is not allowed"
            hint = "remove it; it hides what the file says"
            if (line, column) == (1, 1) and name.startswith("U+FEFF"):
                hint = "save the file as UTF-8 without a byte order mark"
            self._problem(line - 1, column - 1, message, hint)
        return bool(self.document.problems)

    def _refuse_directive(self) -> None:
        for number, line in enumerate(self.chunk.text.split("\n")):
            if line.startswith("%"):
                raise _Stop(number, 0, "YAML directives are not allowed", "remove it")
            if line.strip() and not line.lstrip().startswith("#"):
                return

    def _refuse_decoration(self, event: _Opening) -> None:
        mark = event.start_mark
        if event.anchor:
            name = text.clip(str(event.anchor))
            self._problem(
                mark.line, mark.column, f"anchor `&{name}` is not allowed", "write the value out"
            )
        if event.tag:
            self._problem(mark.line, mark.column, "YAML tags are not allowed", "remove it")

    def _node(self, event: _Opening) -> Node:
        self.document.count += 1
        mark = event.start_mark
        if self.document.count > self.budget:
            raise _Stop(mark.line, mark.column, "file has too many values", "split it")
        line, column = self.chunk.before + mark.line + 1, mark.column + 1
        if isinstance(event, ScalarEvent):
            return self._scalar(event, line, column)
        return (Sequence if isinstance(event, SequenceStartEvent) else Mapping)(line, column)

    def _scalar(self, event: ScalarEvent, line: int, column: int) -> Scalar:
        written: str = event.value
        plain = event.style is None and not event.tag
        if found := text.FORBIDDEN.search(written):
            name = text.name_of(found.group())
            self._problem_at(line, column, f"character {name} is not allowed", "remove it")
        if not plain:
            return Scalar(line, column, written, written, plain=False)
        waiting = self.pending[-1] if self.pending else None
        timestamps = waiting is not None and waiting.text in TIME_KEYS
        try:
            value = read_plain(written, timestamps=timestamps)
        except Ambiguous as error:
            message, hint = str(error), f'quote it: "{text.clip(written)}"'
            if isinstance(error, TooLong):
                hint = f"write a smaller number; only what is no number: {hint}"
            if waiting is not None and waiting.text in TRUTH_KEYS and written.lower() in _TRUTHS:
                hint = f"write {_TRUTHS[written.lower()]}"
            if written == "<<" and waiting is None:
                message, hint = "merge keys are not allowed", "write the values out"
            self._problem_at(line, column, message, hint)
            value = written
        return Scalar(line, column, written, value)

    def _add(self, node: Node) -> None:
        if not self.open:
            self.document.root = node
        elif isinstance(parent := self.open[-1], Sequence):
            parent.items.append(node)
        elif (key := self.pending[-1]) is None:
            self.pending[-1] = self._key(parent, node)
        else:
            self.pending[-1] = None
            if key.text not in parent.values:
                parent.keys[key.text] = key
                parent.values[key.text] = node
        if not isinstance(node, Scalar):
            self.open.append(node)
            self.pending.append(None)

    def _key(self, parent: Mapping, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            line = node.line - self.chunk.before - 1
            raise _Stop(line, node.column - 1, "a key must be a text", 'quote templates: "{…}"')
        if node.text in parent.keys:
            first = parent.keys[node.text]
            self._problem_at(
                node.line,
                node.column,
                f"duplicate key `{text.clip(node.text)}`",
                f"it stands at line {first.line}, column {first.column} already",
            )
        elif node.plain and not isinstance(node.value, str):
            # label keys such as 1 or true: text to us, something else to other readers
            self._problem_at(
                node.line, node.column, "a key must be a text", f'quote it: "{node.text}"'
            )
        return node

    def _syntax(self, error: MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        problem = " ".join(str(error.problem or error.context or "not YAML").split())
        hint = next((hint for words, hint in _SYNTAX_HINTS if re.match(words, problem)), "")
        if error.context and error.context_mark and error.context_mark.line != line:
            began = f"began in line {self.chunk.before + error.context_mark.line + 1}"
            if hint == _INDENT:
                hint = f"indent it as the lines of its block, which {began}"
            elif not hint or hint == _NOT_CLOSED:
                hint = f"{hint and hint + ': '}{text.clip(str(error.context))} that {began}"
        self._problem(line, column, f"not YAML: {text.clip(problem, 200)}", hint)

    def _problem(self, line: int, column: int, message: str, hint: str = "") -> None:
        """A problem at a place of the chunk, counted from 0."""
        self._problem_at(self.chunk.before + line + 1, column + 1, message, hint)

    def _problem_at(self, line: int, column: int, message: str, hint: str = "") -> None:
        self.document.problems.append(
            Problem(
                file=self.file,
                line=line,
                column=column,
                message=message,
                hint=hint,
                document=self.document.index,
            )
        )


def _is_name(anchor: object) -> bool:
    """Whether an alias was meant: ``*base``, but not ``*/5`` or ``*-cache``."""
    return bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", str(anchor)))
