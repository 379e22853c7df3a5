"""A document on its way to a value, and what is wrong with it so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from reconciler.model import jsonform
from reconciler.model.errors import Problem
from reconciler.model.grants import Grant
from reconciler.model.policy import Document, Value
from reconciler.policy import nodes, problems, supported, text
from reconciler.policy.language import BackupPolicyDocument, ProfileDocument
from reconciler.policy.nodes import Node, Path, Scalar, YamlDocument
from reconciler.policy.parts import Part
from reconciler.policy.problems import Finding
from reconciler.policy.profiles import Merged

PROFILE: Path = ("spec", "profile")


@dataclass(slots=True)
class Draft:
    """One document. Its own tree is ``yaml.root``; ``merged`` has what its profile gives, too."""

    file: str
    yaml: YamlDocument
    kind: str = ""
    name: str = ""
    part: Part | None = None
    """What the whole tree means, once it was valid."""
    judged: bool = False
    """Whether the language of its kind was applied, with whatever result."""
    profile: Draft | None = None
    merged: Merged | None = None
    repository: str = ""
    """Name of the Repository that it resolves to."""
    value: Value | None = None
    held: str = ""
    elsewhere: str = ""
    grant: Grant | None = None
    """What its folder may use; None also where nobody asked Config."""
    admin: bool = True
    """Whether Repositories and Profiles are taken from its folder."""
    found: list[Problem] = field(default_factory=list)

    @property
    def root(self) -> Node:
        """The document's own tree; an empty scalar where there is none."""
        return self.yaml.root or Scalar(self.yaml.line, 1, "", None)

    @property
    def tree(self) -> Node:
        """The whole tree: the profile's fields, and the document's own over them."""
        return self.merged.root if self.merged else self.root

    @property
    def where(self) -> str:
        """``policies/shop.yaml:12``, the line of its name."""
        return f"{self.file}:{nodes.place(self.root, ('metadata', 'name'))[0]}"

    def text_at(self, path: Path) -> str:
        """What stands at a path of the whole tree; empty where there is no scalar."""
        node = nodes.find(self.tree, path)
        return text.clip(node.text, 253) if isinstance(node, Scalar) else ""

    def place(self, path: Path, *, key: bool = False) -> tuple[Draft, int, int]:
        """The document that gave the value at a path, and its line and column there."""
        source = self
        if self.profile is not None and self.merged is not None and self.merged.inherited(path):
            source = self.profile
        there = nodes.written(source.root, path)
        node = nodes.find(source.root, there)
        # Nothing stands there; the parser puts it where the next thing begins.
        key = key or (isinstance(node, Scalar) and node.plain and not node.text)
        return source, *nodes.place(source.root, there, key=key)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Adds a problem at a path; what the profile gave is told where the profile is named."""
        source, line, column = self.place(path, key=key)
        if source is not self:
            message = f"{message}, from Profile {source.name}, {source.file}:{line}"
            _, line, column = self.place(PROFILE)
        self.found.append(
            Problem(
                file=self.file,
                line=line,
                column=column,
                message=message,
                hint=hint,
                path=nodes.render_path(path),
                document=self.yaml.index,
            )
        )

    def tell(self, findings: Iterable[Finding]) -> None:
        """Adds those that were not told yet, as long as there are not too many to be read."""
        told = {(problem.path, problem.message) for problem in self.found}
        for one in findings:
            if len(self.found) > 2 * nodes.MAX_PROBLEMS:
                return
            if (nodes.render_path(one.path), one.message) not in told:
                self.problem(one.path, one.message, one.hint, key=one.at_key)

    def judge(self, definition: type[Part]) -> None:
        """Holds the document by itself against the language of its kind."""
        self.judged = True
        partial = definition is ProfileDocument or (
            definition is BackupPolicyDocument and bool(self.text_at(PROFILE))
        )
        self._validate(definition, partial=partial)
        self.tell(supported.find_refused(self.kind, definition, self.root))
        if not partial:
            self.tell(supported.find_refused_defaults(self.kind, definition, self.root))
        paths = {problem.path for problem in self.found}
        empty = problems.find_empty(self.root)
        self.tell(one for one in empty if nodes.render_path(one.path) not in paths)

    def judge_merged(self, definition: type[Part]) -> None:
        """Holds document and profile together against the language: now all must be there."""
        self._validate(definition, partial=False)
        self.tell(supported.find_refused_defaults(self.kind, definition, self.tree))

    def _validate(self, definition: type[Part], *, partial: bool) -> None:
        try:
            self.part = definition.model_validate(nodes.plain_value(self.tree))
        except ValidationError as error:
            self.part = None
            self.tell(problems.find_wrong(error, self.tree, definition, partial=partial))

    def close(self) -> Document:
        """The finished document."""
        value = None if self.found or self.held else self.value
        return Document(
            file=self.file,
            index=self.yaml.index,
            kind=self.kind,
            name=self.name,
            value=value,
            digest=jsonform.digest(value) if value is not None else "",
            held="" if self.found else self.held,
            elsewhere=self.elsewhere,
            line=self.yaml.line,
        )
