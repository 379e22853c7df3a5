"""``backstay validate``: policies and Config from files, every problem, exit 0 or 4.

Needs no cluster, no Git and no network. What is read, and what is refused, stands in
`reconciler.cli.policyfiles`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler import policy
from reconciler.cli import policyfiles
from reconciler.model.config import Config
from reconciler.model.errors import InvalidInput, Problem, UsageError, one_line

_NAMES = {
    "BackupPolicy": "policy",
    "Repository": "repository",
    "Profile": "profile",
    "Exemption": "exemption",
    "Restore": "restore",
}
_ALWAYS = ("policy", "repository")


@click.command("validate")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True))
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False),
    help="Check this Config too, and the policies against what it allows.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "markdown", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="For people, for a comment, for programs, as annotations of GitHub, or for code scanning.",
)
@click.option(
    "--stdin-name",
    default="stdin.yaml",
    show_default=True,
    help="What to call the file that - stands for.",
)
def command(paths: tuple[str, ...], config_file: str | None, output: str, stdin_name: str) -> int:
    """Check policies and Config, and name every problem.

    PATHS are files, folders, or - for standard input; by default the current folder. A file named
    backstay.yaml is taken for a Config, unless policies stand in it. Exits 4 if there is any
    problem.
    """
    found = policyfiles.collect(paths or (".",), stdin_name=stdin_name)
    files = found.files
    if not files and not found.problems and config_file is None:
        raise _nothing_in(paths, "*.yaml or *.yml file")
    configs = {name for name, data in files.items() if policy.is_config_file(name, data)}
    chosen = found.add_config(Path(config_file)) if config_file is not None else None
    configs |= {chosen} if chosen else set()
    config, of_configs = _parse_configs(files, configs, chosen)
    parsed = policy.parse_files({n: files[n] for n in files if n not in configs}, config)
    problems = sorted(
        [*found.problems, *of_configs, *parsed.problems], key=lambda p: (p.file, p.line, p.column)
    )
    if not parsed.documents and not configs and not problems:
        raise _nothing_in(paths, "document, such as a policy,")
    kinds = [document.kind for document in parsed.documents if document.value is not None]
    counts = {name: kinds.count(kind) for kind, name in _NAMES.items()}
    counts = {name: number for name, number in counts.items() if number or name in _ALWAYS}
    if configs:
        counts["config"] = len(configs) - len({problem.file for problem in of_configs})
    click.echo(_render(files, problems, counts, output), nl=False)
    if problems and config and any(grant.path for grant in config.grants) and not _at_root():
        click.echo(
            "note: grants go by paths from the repository's root: run this command there", err=True
        )
    if parsed.documents and chosen is None:
        click.echo(_not_held(sorted(configs)), err=True)
    return InvalidInput.exit_code if problems else 0


def _nothing_in(paths: Sequence[str], what: str) -> UsageError:
    shown = one_line(", ".join(paths or (".",)))
    return UsageError(
        f"there is no {what} in {shown}",
        hint="nothing was checked: name the folder with the policies",
    )


def _not_held(configs: Sequence[str]) -> str:
    """What "valid" does not say where no Config was named, or one only lies among the files."""
    if configs:
        name = one_line(configs[0])
        return f"note: grants were not held: give {name} with --config"
    return "note: no Config was given, so grants were not held: give it with --config"


def _at_root() -> bool:
    return Path(".git").exists()


def _render(
    files: dict[str, bytes], problems: Sequence[Problem], counts: dict[str, int], output: str
) -> str:
    summary = policy.render_valid((number, name) for name, number in counts.items())
    if problems:
        summary = policy.render_count(problems)
    if output == "json":
        return policy.render_json(problems, counts)
    if output == "text":
        shown = policy.render_problems(problems, files, paint=policyfiles.paint)
        return shown if problems else f"{summary}\n"
    from reconciler.report import annotations

    if output == "markdown":
        from reconciler.report.changecomment import render_problems

        return render_problems(problems, summary, in_repository)
    if output == "sarif":
        from importlib.metadata import version

        return annotations.sarif_problems(problems, in_repository, version("backstay"))
    return f"{annotations.github_problems(problems, in_repository)}{summary}\n"


def in_repository(file: str) -> str:
    """A file's path from the root of the checkout, which is what CI systems know it by."""
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve()
    path = Path(file).parent.resolve() / Path(file).name
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


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
