"""Policy files and Config: bytes → values, with every problem of every file.

Pure, bounded, and without exceptions for any input: a problem in one document never hides
another's, and stops nothing but the document itself and what refers to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from reconciler.model import capabilities, jsonform
from reconciler.model.capabilities import Support
from reconciler.model.config import KIND as CONFIG_KIND
from reconciler.model.config import Config
from reconciler.model.errors import LONGEST_TEXT, InvalidInput, Problem, one_line
from reconciler.model.policy import (
    API_VERSION,
    CopyMethod,
    Document,
    ParsedFiles,
    Value,
)
from reconciler.policy import nodes, problems, supported, text, values
from reconciler.policy.configlanguage import ConfigDocument
from reconciler.policy.language import KINDS, BackupPolicyDocument, Part, RepositoryDocument
from reconciler.policy.nodes import Path, Scalar, YamlDocument
from reconciler.policy.reading import read_file

MAX_DOCUMENTS = 20_000
MAX_BYTES = 16 << 20
MAX_VALUES = 500_000
"""Over all files; the file that goes over one of them is the last that is read."""
MAX_PROBLEMS = 10_000
"""Over all files; beyond, each broken document tells its first problem only."""


@dataclass(slots=True)
class _Draft:
    """A document on its way to a value."""

    file: str
    yaml: YamlDocument
    kind: str = ""
    name: str = ""
    part: Part | None = None
    judged: bool = False
    """Whether the language of its kind was applied, with whatever result."""
    value: Value | None = None
    held: str = ""
    found: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Adds a problem at a path of the document."""
        root = self.yaml.root or Scalar(self.yaml.line, 1, "", None)
        self.found.append(
            problems.make_problem(self.file, self.yaml.index, root, path, message, hint, key)
        )

    def text_at(self, path: Path) -> str:
        """What stands at a path; empty where there is no scalar."""
        node = nodes.find(self.yaml.root, path) if self.yaml.root else None
        return text.clip(node.text, 253) if isinstance(node, Scalar) else ""

    @property
    def where(self) -> str:
        """``policies/shop.yaml:12``, the line of its name."""
        root = self.yaml.root
        line = nodes.place(root, ("metadata", "name"))[0] if root else self.yaml.line
        return f"{self.file}:{line}"

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
            line=self.yaml.line,
        )


def is_policy_file(path: str) -> bool:
    """Whether a file of the policy repository is read: ``*.yaml`` and ``*.yml``, not hidden."""
    name = path.rpartition("/")[2]
    return name.endswith((".yaml", ".yml")) and not name.startswith(".")


def parse_files(files: Mapping[str, bytes], config: Config | None = None) -> ParsedFiles:
    """All documents of the policy files, by file name and place in it, and all problems.

    Files that `is_policy_file` does not name are left out. With ``config``, what it must allow
    is checked too. Never raises.
    """
    drafts = _read_all(files)
    told = 0
    for draft in drafts:
        _check(draft)
        told += _shorten(draft.found, told)
    _refuse_duplicates(drafts)
    repositories = _Repositories.among(drafts)
    for draft in drafts:
        _finish(draft, repositories, config)
    return ParsedFiles(
        documents=tuple(draft.close() for draft in drafts),
        problems=tuple(problem for draft in drafts for problem in draft.found),
    )


def _read_all(files: Mapping[str, bytes]) -> list[_Draft]:
    drafts: list[_Draft] = []
    size = values = told = 0
    for file in sorted(filter(is_policy_file, files)):
        if len(drafts) > MAX_DOCUMENTS or size > MAX_BYTES or values > MAX_VALUES:
            drafts.append(_too_many(file))
            break
        size += len(files[file])
        for document in _read_named(file, files[file]):
            values += document.count
            told += _shorten(document.problems, told)
            drafts.append(_Draft(one_line(file), document))
    return drafts


def _shorten(found: list[Problem], told: int) -> int:
    """Cuts a document's problems where very many were told before; how many are left."""
    if told >= MAX_PROBLEMS:
        del found[1:]
    return len(found)


def _read_named(file: str, data: bytes) -> list[YamlDocument]:
    """As `read_file`; a file with a name that could pass for something else is not read."""
    if file.isprintable() and len(file) < LONGEST_TEXT:
        return read_file(file, data)
    message = "the file's name has characters that are not printable, or too many"
    problem = Problem(file=file, line=1, column=1, message=message, hint="rename it")
    return [YamlDocument(0, 1, problems=[problem])]


def _too_many(file: str) -> _Draft:
    message = (
        f"more than {MAX_DOCUMENTS} documents, {MAX_VALUES} values or {MAX_BYTES >> 20} MiB;"
        " this file and those after it were not read"
    )
    problem = Problem(file=file, line=1, column=1, message=message, hint="remove what is no policy")
    return _Draft(one_line(file), YamlDocument(0, 1, problems=[problem]))


def _check(draft: _Draft) -> None:
    """Fills in kind, name and part, and all problems that the document has by itself."""
    root = draft.yaml.root
    if isinstance(root, nodes.Mapping):
        draft.kind = draft.text_at(("kind",))
        draft.name = draft.text_at(("metadata", "name"))
        definition = _definition(draft) if draft.yaml.complete else None
        if definition is not None:
            _validate(draft, root, definition)
    elif not draft.yaml.problems:
        draft.problem((), "a document must be a mapping", "start with apiVersion and kind")
    draft.found = problems.merge(draft.yaml.problems, draft.found)


def _definition(draft: _Draft) -> type[Part] | None:
    """The language of the document's kind; None, with problems, where there is none."""
    version = draft.text_at(("apiVersion",))
    if version != API_VERSION:
        shown = f"is `{text.clip(version)}`" if version else "is missing"
        draft.problem(("apiVersion",), f"apiVersion {shown}", f"write apiVersion: {API_VERSION}")
    if draft.kind in KINDS:
        return KINDS[draft.kind] if version == API_VERSION else None
    known = [*KINDS]
    if draft.kind == CONFIG_KIND:
        draft.problem(
            ("kind",),
            "Config does not belong among the policies",
            "it is read with --config, and rights never come from a policy repository",
        )
    elif capabilities.KINDS.get(draft.kind) is Support.PARSED:
        draft.problem(("kind",), f"kind {draft.kind} is not supported yet", "leave it out")
    elif draft.kind:
        hint = problems.did_you_mean(draft.kind, known)
        draft.problem(("kind",), f"unknown kind `{text.clip(draft.kind)}`", hint)
    else:
        draft.problem(("kind",), "kind is missing", f"there are {', '.join(known)}")
    return None


def _validate(draft: _Draft, root: nodes.Node, definition: type[Part]) -> None:
    draft.judged = True
    try:
        draft.part = definition.model_validate(nodes.plain_value(root))
    except ValidationError as error:
        draft.found += problems.from_validation(
            error, file=draft.file, document=draft.yaml.index, root=root, part=definition
        )
    draft.found += supported.refusals(
        draft.kind, definition, root, file=draft.file, index=draft.yaml.index
    )


def _refuse_duplicates(drafts: list[_Draft]) -> None:
    same: defaultdict[tuple[str, str], list[_Draft]] = defaultdict(list)
    for draft in drafts:
        if draft.kind and draft.name:
            same[draft.kind, draft.name].append(draft)
    for (kind, name), group in same.items():
        for draft in group if len(group) > 1 else []:
            other = next(item for item in group if item is not draft)
            message = f"{kind} {name} stands here and at {other.where}"
            draft.problem(("metadata", "name"), message, "give each its own name")


@dataclass(frozen=True, slots=True)
class _Repositories:
    """What policies may refer to."""

    by_name: Mapping[str, _Draft]
    unknown: _Draft | None
    """A document too broken to tell what it is: it may be the Repository that is missing."""

    @classmethod
    def among(cls, drafts: list[_Draft]) -> _Repositories:
        named = {draft.name: draft for draft in reversed(drafts) if draft.kind == "Repository"}
        named.pop("", None)
        nameless = (draft for draft in drafts if draft.found and not (draft.kind and draft.name))
        return cls(named, next(nameless, None))


def _finish(draft: _Draft, repositories: _Repositories, config: Config | None) -> None:
    """What needs other documents or Config; then the value, if there is one."""
    before = draft.found
    draft.found = []
    repository = ""
    if draft.kind == "BackupPolicy" and draft.judged:
        repository = _resolve(draft, repositories)
        if config is not None and not config.shared_key_in_tenants:
            _refuse_shared_key(draft)
    draft.found = problems.merge(before, draft.found)
    if draft.found or draft.held:
        return
    if isinstance(draft.part, RepositoryDocument):
        draft.value = values.make_repository(draft.part)
    elif isinstance(draft.part, BackupPolicyDocument):
        draft.value = values.make_policy(draft.part, repository)


def _resolve(draft: _Draft, repositories: _Repositories) -> str:
    """The Repository's name; empty, with a problem or held, where there is none to use."""
    path: Path = ("spec", "volumes", "repository")
    wanted = draft.text_at(path)
    names = [wanted] if wanted else [*repositories.by_name]
    if len(names) > 1:
        shown = ", ".join(sorted(names)[:8])
        draft.problem(path, "`volumes.repository` must be given", f"there are {shown}")
        return ""
    found = repositories.by_name.get(names[0]) if names else None
    if found is not None:
        if found.found:
            draft.held = f"its Repository {found.name} has a problem, {found.where}"
        return found.name
    if repositories.unknown is not None:
        draft.held = f"its Repository may be in {repositories.unknown.where}, which has a problem"
        return ""
    what = f"Repository `{wanted}` does not exist" if wanted else "there is no Repository"
    near = problems.did_you_mean(wanted, sorted(repositories.by_name)) if wanted else ""
    draft.problem(path, what, near or "add a document of kind Repository")
    return ""


def _refuse_shared_key(draft: _Draft) -> None:
    """Direct is refused where only the Repository's own key could be used, and may not."""
    volumes: Path = ("spec", "volumes")
    paths: list[Path] = [(*volumes, "copyMethod")]
    root = draft.yaml.root
    rules = nodes.find(root, (*volumes, "rules")) if root else None
    if isinstance(rules, nodes.Sequence):
        paths += [(*volumes, "rules", n, "copyMethod") for n in range(len(rules.items))]
    for path in paths:
        if draft.text_at(path) == CopyMethod.DIRECT:
            draft.problem(
                path,
                "Direct would bring the Repository's own storage key into the tenant's namespace",
                "Config allows it with sharedKeyInTenants: true",
            )


def parse_config(file: str, data: bytes) -> Config:
    """The Config in a file; raises InvalidInput with all of its problems."""
    documents = read_file(file, data)
    if not documents:
        raise InvalidInput([Problem(file=file, line=1, column=1, message="file is empty")])
    draft = _Draft(file, documents[0])
    _check_config_document(draft)
    for extra in documents[1:]:
        other = _Draft(file, extra)
        other.problem((), "Config is one document", "remove what follows it")
        draft.found += extra.problems + other.found
    if draft.found or not isinstance(draft.part, ConfigDocument):
        raise InvalidInput(draft.found)
    return values.make_config(draft.part)


def _check_config_document(draft: _Draft) -> None:
    root = draft.yaml.root
    draft.kind = draft.text_at(("kind",))
    version = draft.text_at(("apiVersion",))
    if draft.yaml.complete and isinstance(root, nodes.Mapping):
        if (version, draft.kind) == (API_VERSION, CONFIG_KIND):
            _validate(draft, root, ConfigDocument)
        else:
            path = ("kind",) if version == API_VERSION else ("apiVersion",)
            hint = f"write apiVersion: {API_VERSION} and kind: {CONFIG_KIND}"
            draft.problem(path, "this is not a Config", hint)
    elif not draft.yaml.problems:
        draft.problem((), "a Config must be a mapping", f"start with apiVersion: {API_VERSION}")
    draft.found = problems.merge(draft.yaml.problems, draft.found)
