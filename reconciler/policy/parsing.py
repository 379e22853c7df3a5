"""Policy files and Config: bytes → values, with every problem of every file.

Pure, bounded, and without exceptions for any input: a problem in one document never hides
another's, and stops nothing but the document itself and what refers to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.model.config import DEFAULT_FILE, Config
from reconciler.model.config import KIND as CONFIG_KIND
from reconciler.model.errors import LONGEST_TEXT, InvalidInput, Problem, one_line
from reconciler.model.policy import API_VERSION, ParsedFiles
from reconciler.policy import advice, grants, nodes, problems, resolving, text, values
from reconciler.policy.configlanguage import ConfigDocument
from reconciler.policy.drafts import Draft
from reconciler.policy.language import KINDS
from reconciler.policy.nodes import YamlDocument
from reconciler.policy.parts import Part
from reconciler.policy.reading import read_file

MAX_DOCUMENTS = 20_000
MAX_BYTES = 16 << 20
MAX_VALUES = 500_000
MAX_PROBLEMS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What all files together may cost; the file that goes over one is the last that is read."""

    documents: int = MAX_DOCUMENTS
    size: int = MAX_BYTES
    values: int = MAX_VALUES
    problems: int = MAX_PROBLEMS
    """Beyond, each broken document tells its first problem only."""


def is_policy_file(path: str) -> bool:
    """Whether a file of the policy repository is read: ``*.yaml`` and ``*.yml``, not hidden."""
    name = path.rpartition("/")[2]
    return name.endswith((".yaml", ".yml")) and not name.startswith(".")


def parse_files(
    files: Mapping[str, bytes], config: Config | None = None, *, caps: Caps | None = None
) -> ParsedFiles:
    """All documents of the policy files, by file name and place in it, and all problems.

    Files that `is_policy_file` does not name are left out, and a ``backstay.yaml`` with nothing but
    a Config: it has no effect here. With ``config``, what it must allow is checked too. Never
    raises.
    """
    return close(draft_files(files, config, caps=caps))


def close(drafts: Iterable[Draft]) -> ParsedFiles:
    """The finished documents."""
    drafts = list(drafts)
    return ParsedFiles(
        documents=tuple(draft.close() for draft in drafts),
        problems=tuple(problem for draft in drafts for problem in draft.found),
    )


def draft_file(file: str, data: bytes) -> list[Draft]:
    """The documents of one file, each judged by itself. Never raises."""
    drafts = [Draft(one_line(file), document) for document in _read_named(file, data)]
    for draft in drafts:
        _check(draft)
    return drafts


def draft_files(
    files: Mapping[str, bytes],
    config: Config | None = None,
    *,
    caps: Caps | None = None,
    read: Callable[[str, bytes], list[Draft]] = draft_file,
) -> list[Draft]:
    """All documents with their trees, which know where each value comes from. Never raises.

    ``read`` gives what `draft_file` gives; the drafts are changed here.
    """
    caps = caps or Caps()
    drafts = _read_all(files, caps, read)
    if config is not None:
        grants.place(drafts, config)
    _refuse_duplicates(drafts)
    resolving.resolve(drafts, config)
    told = 0
    for draft in drafts:
        told += _shorten(draft, told, caps)
    return drafts


def _read_all(
    files: Mapping[str, bytes], caps: Caps, read: Callable[[str, bytes], list[Draft]]
) -> list[Draft]:
    drafts: list[Draft] = []
    size = values = told = 0
    for file in sorted(filter(is_policy_file, files)):
        if len(drafts) > caps.documents or size > caps.size or values > caps.values:
            drafts.append(_too_many(file, caps))
            break
        size += len(files[file])
        found = read(file, files[file])
        if _is_config(file, found):
            continue
        for draft in found:
            values += draft.yaml.count
            told += _shorten(draft, told, caps)
            drafts.append(draft)
    return drafts


def is_config_file(file: str, data: bytes) -> bool:
    """Whether a file is by its name a Config; not where it holds a document of the policies' kinds:
    as with `parse_files`, that one counts, and a Config beside it has no place there."""
    own_name = file.rpartition("/")[2] == DEFAULT_FILE
    return own_name and not any(draft.kind in KINDS for draft in draft_file(file, data))


def _is_config(file: str, drafts: list[Draft]) -> bool:
    """Whether a file is by name and by every document the installation's own."""
    own_name = file.rpartition("/")[2] == DEFAULT_FILE
    return own_name and bool(drafts) and all(draft.kind == CONFIG_KIND for draft in drafts)


def _shorten(draft: Draft, told: int, caps: Caps) -> int:
    """Cuts a document's problems where very many were told before; how many are left."""
    if told >= caps.problems:
        del draft.found[1:]
        del draft.yaml.problems[1:]
    return len(draft.found)


def _read_named(file: str, data: bytes) -> list[YamlDocument]:
    """As `read_file`; a file with a name that could pass for something else is not read."""
    if file.isprintable() and len(file) < LONGEST_TEXT:
        return read_file(file, data)
    message = "the file's name has characters that are not printable, or too many"
    problem = Problem(file=file, line=1, column=1, message=message, hint="rename it")
    return [YamlDocument(0, 1, problems=[problem])]


def _too_many(file: str, caps: Caps) -> Draft:
    message = (
        f"more than {caps.documents} documents, {caps.values} values or {caps.size >> 20} MiB;"
        " this file and those after it were not read"
    )
    problem = Problem(file=file, line=1, column=1, message=message, hint="remove what is no policy")
    return Draft(one_line(file), YamlDocument(0, 1), found=[problem])


def _check(draft: Draft) -> None:
    """Fills in kind, name and part, and all problems that the document has by itself."""
    root = draft.yaml.root
    if isinstance(root, nodes.Mapping):
        draft.kind = draft.text_at(("kind",))
        draft.name = draft.text_at(("metadata", "name"))
        definition = _definition(draft) if draft.yaml.complete else None
        if definition is not None:
            draft.judge(definition)
    elif not draft.yaml.problems:
        draft.problem((), "a document must be a mapping", "start with apiVersion and kind")
    draft.found = problems.merge(draft.yaml.problems, draft.found)


def _definition(draft: Draft) -> type[Part] | None:
    """The language of the document's kind; None, with problems, where there is none."""
    version = draft.text_at(("apiVersion",))
    if _is_foreign(version):
        draft.problem(
            ("apiVersion",),
            f"apiVersion is `{text.clip(version)}`: not one of Backstay's",
            f"keep other tools' files out of the policy folder, or write {API_VERSION}",
        )
        return None
    if version != API_VERSION:
        shown = f"is `{text.clip(version)}`" if version else "is missing"
        draft.problem(("apiVersion",), f"apiVersion {shown}", f"write apiVersion: {API_VERSION}")
    if draft.kind in KINDS:
        if capabilities.KINDS[draft.kind] is Support.PARSED:
            draft.problem(("kind",), f"kind {draft.kind} is not supported yet", "leave it out")
        return KINDS[draft.kind] if version == API_VERSION else None
    known = [*KINDS]
    if draft.kind == CONFIG_KIND:
        draft.problem(
            ("kind",),
            "Config does not belong among the policies",
            "give it with --config: rights never come from a policy repository",
        )
    elif draft.kind:
        hint = advice.did_you_mean(draft.kind, known)
        draft.problem(("kind",), f"unknown kind `{text.clip(draft.kind)}`", hint)
    else:
        draft.problem(("kind",), "kind is missing", f"there are {', '.join(known)}")
    return None


def _is_foreign(version: str) -> bool:
    """Whether an apiVersion is of another group: a file that went astray, not one with a typo."""
    return bool(version) and "backstay" not in version.lower()


def _refuse_duplicates(drafts: list[Draft]) -> None:
    same: defaultdict[tuple[str, str], list[Draft]] = defaultdict(list)
    for draft in drafts:
        # One that may not stand there takes no name away from one that may.
        if draft.kind and draft.name and not grants.is_misplaced(draft):
            same[draft.kind, draft.name].append(draft)
    for (kind, name), group in same.items():
        for draft in group if len(group) > 1 else []:
            other = next(item for item in group if item is not draft)
            message = f"{kind} {name} stands here and at {other.where}"
            draft.problem(("metadata", "name"), message, "give each its own name")


def parse_config(file: str, data: bytes) -> Config:
    """The Config in a file; raises InvalidInput with all of its problems."""
    documents = read_file(file, data)
    if not documents:
        raise InvalidInput([Problem(file=file, line=1, column=1, message="file is empty")])
    draft = Draft(file, documents[0])
    _check_config_document(draft)
    for extra in documents[1:]:
        other = Draft(file, extra)
        hint = "remove what follows it; policies stand in files of their own"
        other.problem((), "Config is one document", hint)
        draft.found += extra.problems + other.found
    if draft.found or not isinstance(draft.part, ConfigDocument):
        raise InvalidInput(draft.found)
    return values.make_config(draft.part)


def _check_config_document(draft: Draft) -> None:
    root = draft.yaml.root
    draft.kind = draft.text_at(("kind",))
    version = draft.text_at(("apiVersion",))
    if draft.yaml.complete and isinstance(root, nodes.Mapping):
        if (version, draft.kind) == (API_VERSION, CONFIG_KIND):
            draft.judge(ConfigDocument)
        else:
            path = ("kind",) if version == API_VERSION else ("apiVersion",)
            hint = f"write apiVersion: {API_VERSION} and kind: {CONFIG_KIND}"
            if version == API_VERSION and draft.kind in KINDS:
                hint = f"a {draft.kind} belongs among the policies; --config names the Config"
            draft.problem(path, "this is not a Config", hint)
    elif not draft.yaml.problems:
        draft.problem((), "a Config must be a mapping", f"start with apiVersion: {API_VERSION}")
    draft.found = problems.merge(draft.yaml.problems, draft.found)
