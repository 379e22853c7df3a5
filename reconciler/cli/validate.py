"""``backstay validate``: policies and Config from files, every problem, exit 0 or 4.

Needs no cluster, no Git and no network. Reads what the controller would read: ``*.yaml`` and
``*.yml`` that are not hidden; links and submodules are never followed.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from reconciler import policy
from reconciler.model.config import DEFAULT_FILE, Config
from reconciler.model.errors import InvalidInput, Problem, Refused, UsageError
from reconciler.policy.nodes import MAX_BYTES

MAX_FILES = 20_000
_NAMES = {"BackupPolicy": "policy", "Repository": "repository"}


@click.command("validate")
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False),
    help="Check this Config too, and the policies against what it allows.",
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(paths: tuple[str, ...], config_file: str | None, output: str) -> int:
    """Check policies and Config, and name every problem.

    PATHS are files or folders, by default the current folder. A file named backstay.yaml is
    taken for a Config. Exits 4 if there is any problem.
    """
    files, problems = _collect(paths or (".",))
    if not files and not problems and config_file is None:
        raise UsageError(
            f"there is no *.yaml or *.yml file in {', '.join(paths or ('.',))}",
            hint="nothing was checked: name the folder with the policies",
        )
    configs = {name for name in files if Path(name).name == DEFAULT_FILE}
    if config_file is not None:
        files[config_file] = _read(Path(config_file))
        configs.add(config_file)
    config, of_configs = _parse_configs(files, configs, config_file)
    parsed = policy.parse_files({n: files[n] for n in files if n not in configs}, config)
    problems = sorted(
        [*problems, *of_configs, *parsed.problems], key=lambda p: (p.file, p.line, p.column)
    )
    kinds = [document.kind for document in parsed.documents if document.value is not None]
    counts = {_NAMES[kind]: kinds.count(kind) for kind in _NAMES}
    if configs:
        counts["config"] = len(configs) - len({problem.file for problem in of_configs})
    _show(files, problems, counts, output)
    return InvalidInput.exit_code if problems else 0


def _show(
    files: dict[str, bytes], problems: list[Problem], counts: dict[str, int], output: str
) -> None:
    if output == "json":
        click.echo(policy.render_json(problems, counts), nl=False)
    elif problems:
        click.echo(policy.render_problems(problems, files), nl=False)
    else:
        click.echo(policy.render_valid((number, name) for name, number in counts.items()))


def _parse_configs(
    files: dict[str, bytes], configs: set[str], chosen: str | None
) -> tuple[Config | None, list[Problem]]:
    """The Config of ``--config``, and the problems of all."""
    value: Config | None = None
    problems: list[Problem] = []
    for name in sorted(configs):
        try:
            config = policy.parse_config(name, files[name])
        except InvalidInput as error:
            problems += error.problems
        else:
            value = config if name == chosen else value
    return value, problems


def _collect(paths: tuple[str, ...]) -> tuple[dict[str, bytes], list[Problem]]:
    """Name as it is shown → bytes; a link among them is a problem."""
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path in map(Path, paths):
        if path.is_dir():
            _collect_folder(path, files, problems)
        elif policy.is_policy_file(path.name):
            files[str(path)] = _read(path)
        else:
            raise UsageError(f"{path} is no policy file", hint="give *.yaml, *.yml or a folder")
    return files, problems


def _collect_folder(folder: Path, files: dict[str, bytes], problems: list[Problem]) -> None:
    for parent, folders, names in os.walk(folder, followlinks=False):
        here = Path(parent)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not (here / name / ".git").exists()
        )
        for name in sorted(filter(policy.is_policy_file, names)):
            path = here / name
            if path.is_symlink() or not path.is_file():
                problems.append(_not_followed(str(path)))
            else:
                files[str(path)] = _read(path)
            if len(files) > MAX_FILES:
                raise Refused(
                    f"{folder} has more than {MAX_FILES} YAML files",
                    hint="give a folder of policies",
                )


def _not_followed(file: str) -> Problem:
    message = "links and special files are not followed"
    return Problem(file=file, line=1, column=1, message=message, hint="put the file itself there")


def _read(path: Path) -> bytes:
    """At most one byte more than is parsed, which is enough to say that it is too large."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror}") from error
