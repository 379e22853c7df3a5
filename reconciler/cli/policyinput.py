"""Policies for a command that needs no cluster: files that were named, or Config's repository."""

from __future__ import annotations

from pathlib import Path

from reconciler.cli import policyfiles, wiring
from reconciler.model.config import DEFAULT_FILE, Config
from reconciler.model.errors import UsageError, one_line
from reconciler.model.store import Descends, PolicyFiles
from reconciler.policy import fields


def load_config(
    config_file: Path | None, paths: tuple[str, ...], *, verb: str, more: str = ""
) -> Config | None:
    """The Config that was named; without files the one in the current folder; else None.

    ``verb`` and ``more`` are of the command line that needs none, for the hint.
    """
    if config_file is None and paths:
        return None
    with wiring.without_config("" if paths else other_way(verb, more)):
        return wiring.load_config(config_file or Path(DEFAULT_FILE))


def other_way(verb: str, more: str = "") -> str:
    """How to call a command that needs no Config."""
    example = f"backstay {verb} policies{f' {more}' if more else ''}"
    return f"name the folder of policies: {example}"


def check_cluster(name: str) -> None:
    """Raises UsageError for what no Config takes as a cluster's name; empty: none was given."""
    try:
        if name:
            fields.check_label_name(name)
    except fields.Wrong as error:
        raise UsageError(f"--cluster {one_line(name)} {error}", hint=error.hint) from error


def read_policies(paths: tuple[str, ...], config: Config | None) -> PolicyFiles:
    """The files that ``paths`` name, or without any the newest revision of Config's repository."""
    return read_paths(paths) if config is None or paths else fetch(config)


def read_paths(paths: tuple[str, ...]) -> PolicyFiles:
    """Files of this disk; a Config that lies among them is left out when they are parsed."""
    found = policyfiles.collect(paths, stdin_name="stdin.yaml")
    return PolicyFiles(
        revision="", descends=Descends.UNKNOWN, files=found.files, problems=tuple(found.problems)
    )


def fetch(config: Config) -> PolicyFiles:
    """The newest revision of the repository that Config names.

    A cluster is asked only where Config keeps the repository's keys in a Secret.
    """
    where = config.policy_source
    in_secrets = [where.credentials] if where.credentials else []
    in_secrets += [config.credentials_of(where.signers)] if where.signers else []
    needs_cluster = any(credentials.secret_ref for credentials in in_secrets)
    with wiring.without_a_cluster("name the files, such as a clone's folder"):
        client = wiring.cluster(None) if needs_cluster else None
    with wiring.policy_source(config, wiring.resolver(client)) as source:
        found = source.fetch(None)
    if not found.path_found:
        raise UsageError(
            f"the folder {where.path or '/'} is not in {found.revision}",
            hint="correct policySource.path in Config",
        )
    return found
