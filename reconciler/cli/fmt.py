"""``backstay fmt``: policy files in their usual form, in place, or as a difference.

A file is replaced in one step by one of the same mode and owner; links are not followed; a file
that changed in the meantime, or has problems, stays as it is.
"""

from __future__ import annotations

import difflib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from reconciler import policy
from reconciler.cli import policyfiles
from reconciler.model.errors import InvalidInput, Problem, Refused, UsageError, one_line
from reconciler.policy import text
from reconciler.policy.formatting import format_file

CHANGES = 1
"""Exit code of ``--check`` and ``--diff`` where something is to be done."""


@dataclass(slots=True)
class _Results:
    """What became of the files, by name."""

    changed: dict[str, bytes] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0


@click.command("fmt")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change, exit 1 if so.")
@click.option(
    "--stdin-name",
    default="stdin.yaml",
    show_default=True,
    help="What to call the file that - stands for.",
)
def command(paths: tuple[str, ...], check: bool, diff: bool, stdin_name: str) -> int:
    """Bring policies and Config into their usual form; comments stay.

    PATHS are files, folders, or - for standard input, which is written to standard output; by
    default the current folder. Two blanks per level, fields in the order of the reference. What a
    file says is never changed: documents of other tools, and what can't be moved safely, are left
    alone. Exits 4 if a file can't be read as YAML.
    """
    if policyfiles.STDIN in paths and len(paths) > 1:
        raise UsageError("- stands alone", hint="format files and standard input one by one")
    found = policyfiles.collect(paths or (".",), stdin_name=stdin_name)
    if not found.files and not found.problems:
        shown = one_line(", ".join(paths or (".",)))
        raise UsageError(f"there is no *.yaml or *.yml file in {shown}")
    results = _format(found)
    piped = policyfiles.STDIN in paths
    if diff:
        click.echo("".join(_differences(found.files, results)), nl=False)
    elif piped and not check:
        _write_out(found.files, results)
    else:
        _write_files(found.files, results, check=check)
    _tell(found.files, results, check=check or diff)
    if results.problems:
        return InvalidInput.exit_code
    if results.failed:
        return Refused.exit_code
    return CHANGES if results.changed and (check or diff) else 0


def _format(found: policyfiles.PolicyFiles) -> _Results:
    # A link to something else than a policy is of no concern here.
    refused = [problem for problem in found.problems if policy.is_policy_file(problem.file)]
    results = _Results(problems=refused)
    for name, data in found.files.items():
        if b"backstay.dev/" not in data:
            results.unchanged += 1  # not ours, and maybe not even YAML: a chart's template
            continue
        formatted = format_file(name, data)
        results.problems += formatted.problems
        if formatted.kept:
            results.kept[name] = formatted.kept
        elif formatted.data != data:
            results.changed[name] = formatted.data
        else:
            results.unchanged += not formatted.problems
    return results


def _differences(files: dict[str, bytes], results: _Results) -> Iterator[str]:
    for name, data in results.changed.items():
        shown = one_line(name)
        old, new = (text.mask(side.decode()).splitlines() for side in (files[name], data))
        heads = (f"{shown} (old)", f"{shown} (new)")
        lines = list(difflib.unified_diff(old, new, *heads, lineterm=""))
        if ends := _line_ends(files[name], data):
            # Lines are compared without their ends: they would be shown twice and look the same.
            lines = [*(lines or [f"--- {heads[0]}", f"+++ {heads[1]}"]), ends]
        yield from (f"{text.for_log(line)}\n" for line in lines)


def _line_ends(old: bytes, new: bytes) -> str:
    """What happens to the ends of lines, as a line that no program takes for a change."""
    if before := old.count(b"\r") - new.count(b"\r"):
        return f"\\ line endings CRLF → LF: {before} line{'s' * (before > 1)}"
    if not old.endswith(b"\n") and new.endswith(b"\n"):
        return "\\ the last line gets its end"
    return ""


def _write_out(files: dict[str, bytes], results: _Results) -> None:
    """Standard input comes out, formatted or, where it has problems, not at all."""
    for name, data in files.items():
        if not results.problems:
            click.echo(results.changed.get(name, data), nl=False)


def _write_files(files: dict[str, bytes], results: _Results, *, check: bool) -> None:
    """Names of what changed on standard output."""
    for name, data in results.changed.items():
        try:
            if not check:
                replace_file(Path(name), files[name], data)
        except Refused as error:
            results.failed[name] = error.message
        else:
            click.echo(text.for_log(one_line(name)))


def _tell(files: dict[str, bytes], results: _Results, *, check: bool) -> None:
    """The rest, and how many, on standard error."""
    if results.problems:
        shown = policy.render_problems(results.problems, files, paint=policyfiles.paint)
        click.echo(shown, nl=False, err=True)
    for name, why in results.kept.items():
        click.echo(f"{text.for_log(one_line(name))}: left alone: {why}", err=True)
    for why in results.failed.values():
        click.echo(f"error: {why}", err=True)
    verb = "would be formatted" if check else "formatted"
    done = len(results.changed) - len(results.failed)
    count = f"{done} {verb}, {results.unchanged} as usual already"
    click.echo(f"{count}, {len(results.kept)} left alone" if results.kept else count, err=True)


def replace_file(path: Path, old: bytes, new: bytes) -> None:
    """Puts a new file in the place of one with these bytes; mode and owner stay.

    Raises Refused if it is not that file any more, or can't be written.
    """
    if policyfiles.read_file(path) != old:
        raise Refused(f"{one_line(str(path))} changed meanwhile", hint="run it again")
    mode = path.lstat()
    temporary = ""
    try:
        number, temporary = tempfile.mkstemp(prefix=".backstay-fmt-", dir=path.parent)
        with os.fdopen(number, "wb") as stream:
            stream.write(new)
            if (mode.st_uid, mode.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(number, mode.st_uid, mode.st_gid)
            os.fchmod(number, stat.S_IMODE(mode.st_mode))
            stream.flush()
            os.fsync(number)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        shown = one_line(str(path))
        raise Refused(f"{shown} can't be written: {error.strerror}") from error
