"""The command ``backstay``: finds the verb, prints errors, exits. The only place that does.

Verbs are imported when they are called: a mover must start in a fraction of a second.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys

import click

from reconciler.cli import coredumps
from reconciler.model.errors import BackstayError, Bug, Interrupted, InvalidInput, UsageError

VERBS: dict[str, tuple[str, str]] = {
    "adopt": (
        "reconciler.cli.adopt",
        "Say that this cluster goes on writing an old one's branches.",
    ),
    "blame": ("reconciler.cli.blame", "Show since which run each field of an object is so."),
    "controller": ("reconciler.cli.controller", "Make the cluster's schedules match the policies."),
    "coverage": (
        "reconciler.cli.coverage",
        "Show what is protected, exempt and unprotected.",
    ),
    "deliver": ("reconciler.cli.deliver", "Push the runs that wait as bundles in restic."),
    "diff": ("reconciler.cli.diff", "Show what changed between two recovery points."),
    "doctor": (
        "reconciler.cli.doctor",
        "Check everything that a run needs; list leftovers.",
    ),
    "fmt": ("reconciler.cli.fmt", "Bring policies and Config into their usual form."),
    "log": ("reconciler.cli.log", "List recovery points, or an object's versions."),
    "maintain": ("reconciler.cli.maintain", "Show which restic snapshots expire, and why."),
    "mover": ("reconciler.cli.mover", "Copy one volume (runs inside a Job)."),
    "password": ("reconciler.cli.password", "Print a restic repository's own password."),
    "plan": ("reconciler.cli.plan", "Show what the controller would change, and why."),
    "purge": ("reconciler.cli.purge", "Take a leaked value out of a clone's whole history."),
    "restore": ("reconciler.cli.restore", "Bring back objects and volumes from a recovery point."),
    "run": ("reconciler.cli.run", "Run a policy now."),
    "show": ("reconciler.cli.show", "Show a run's record, or a whole policy."),
    "simulate": ("reconciler.cli.simulate", "Show when policies would run, and what piles up."),
    "verify": ("reconciler.cli.verify", "Prove the history of the manifest repository."),
    "validate": ("reconciler.cli.validate", "Check policies and Config, and name every problem."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, sorted."""
        del ctx
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the verb's module."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(VERBS[cmd_name][0]).command
        if not gc.isenabled():  # see `main`
            gc.freeze()
            gc.enable()
        if not isinstance(command, click.Command):
            raise Bug(f"{VERBS[cmd_name][0]} has no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, and names the verb that is nearly what was written."""
        if args and args[0] not in VERBS and args[0][:1] != "-":
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            told = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{told}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in self.list_commands(ctx)])


def _version() -> str:
    from importlib.metadata import version

    return version("backstay")


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"backstay {_version()}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def cli() -> None:
    """Declarative Kubernetes backups, from Git and into Git.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partially failed, 4 invalid policies or
    config, 10 repository does not exist, 11 repository locked, 12 wrong repository password,
    130 interrupted.
    """


def wants_json(arguments: list[str]) -> bool:
    """Whether the user asked for machine-readable output; errors follow the same form."""
    for index, argument in enumerate(arguments):
        if argument in ("--json", "-ojson", "--output=json", "-o=json"):
            return True
        if argument in ("-o", "--output") and arguments[index + 1 : index + 2] == ["json"]:
            return True
    return False


def error_code(code: int, arguments: list[str]) -> int:
    """The code of an error. Where 2 means "changes", no error may be 2, where 1 does, none 1."""
    if arguments[:1] == ["diff"]:
        return max(code, UsageError.exit_code)
    return 1 if code < Interrupted.exit_code and "--detailed-exitcode" in arguments else code


def show_error(error: BackstayError, *, as_json: bool) -> None:
    """One error on stderr: what happened, then what to do next."""
    if as_json:
        document: dict[str, object] = {
            "type": "error",
            "reason": error.reason,
            "message": error.message,
            "hint": error.hint,
            "exitCode": error.exit_code,
        }
        if isinstance(error, InvalidInput):
            document["problems"] = [
                {"file": p.file, "line": p.line, "column": p.column, "message": p.message}
                for p in error.problems
            ]
        print(json.dumps(document), file=sys.stderr)
        return
    if isinstance(error, InvalidInput):
        for problem in error.problems:
            print(problem, file=sys.stderr)
            if problem.hint and problem.hint != error.hint:
                print(f"  hint: {problem.hint}", file=sys.stderr)
    # The message of InvalidInput begins with its first problem, which stands above.
    message = error.counted if isinstance(error, InvalidInput) else error.message
    print(f"error: {message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)


def _help_of(error: click.ClickException) -> str:
    """Where to read on after wrong usage: the command's own help."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{context.command_path if context else 'backstay'} --help"


def run(arguments: list[str]) -> int:
    """Runs the command line and returns the exit code; prints what went wrong."""
    as_json = wants_json(arguments)
    try:
        result = cli.main(args=arguments, prog_name="backstay", standalone_mode=False)
    except click.exceptions.Abort:
        show_error(Interrupted("interrupted"), as_json=as_json)
        return Interrupted.exit_code
    except click.ClickException as error:
        if as_json:
            show_error(UsageError(error.format_message(), hint=_help_of(error)), as_json=True)
        else:
            error.show()
        return error_code(2, arguments)
    except BackstayError as error:
        show_error(error, as_json=as_json)
        if isinstance(error, Bug):
            import traceback

            traceback.print_exc()
        return error_code(error.exit_code, arguments)
    except KeyboardInterrupt:
        show_error(Interrupted("interrupted"), as_json=as_json)
        return Interrupted.exit_code
    except BrokenPipeError:
        # The reader of our output left (`| head`): what it wanted, it got.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - told without its text, which may hold a secret
        return error_code(_show_unexpected(error, as_json=as_json), arguments)
    return result if isinstance(result, int) else 0


def _show_unexpected(error: Exception, *, as_json: bool) -> int:
    """A fault of ours: its class and places, and not what it quotes; returns the exit code."""
    # Rarely needed, and a mover must start in a fraction of a second.
    from reconciler.adapters.loglines import JsonLines
    from reconciler.engine.unexpected import explain_unexpected

    bug = explain_unexpected(error, JsonLines(), ended="the command")
    show_error(bug, as_json=as_json)
    return bug.exit_code


def main() -> None:
    """Entry point of the command."""
    # What a verb loads stays to the end: looking for garbage among it, while it is loaded and each
    # time after, is a tenth of the time until a pod begins.
    gc.disable()
    coredumps.forbid()
    sys.exit(run(sys.argv[1:]))
