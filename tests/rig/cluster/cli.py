"""scripts/cluster: a real Kubernetes on this machine, for the tests, the demo and for a look.

Data (paths, status) goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed,
2 usage; `status` and `kubeconfig` end with 1 when the cluster is not up.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.rig.cluster import csi, instance, lifecycle, providers
from tests.rig.cluster.errors import RigError

DEFAULT = "dev"


def main(argv: Sequence[str]) -> int:
    """Run one command."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except RigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; scripts/cluster down clears what is there", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/cluster", description="A real Kubernetes on this machine."
    )
    commands = parser.add_subparsers(required=True)
    up = _command(commands, "up", _up, "start it, or say that it is up")
    up.add_argument("--provider", choices=("built", "given"), default="built", help="whose cluster")
    up.add_argument(
        "--nodes",
        type=int,
        default=1,
        choices=range(1, 16),
        metavar="N",
        help="how many nodes (default 1)",
    )
    up.add_argument(
        "--csi",
        action="store_true",
        help="with storage that has snapshots and clones (a class named csi)",
    )
    _command(commands, "down", _down, "take it down and leave nothing behind")
    status = _command(commands, "status", _status, "say what runs")
    status.add_argument("--json", action="store_true", help="every known cluster, for programs")
    config = _command(commands, "kubeconfig", _kubeconfig, "print the path of its kubeconfig")
    config.add_argument("--raw", action="store_true", help="print the kubeconfig itself")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--name", default=DEFAULT, help=f"which cluster (default {DEFAULT})")
    parser.set_defaults(run=run)
    return parser


def _up(options: argparse.Namespace) -> int:
    if options.provider == "given":
        given = providers.Given.from_environment()
        print(providers.Cluster(given).kubectl("get", "nodes"), file=sys.stderr, end="")
        print(given.kubeconfig)
        return 0
    found = lifecycle.up(options.name, nodes=options.nodes)
    if options.csi:
        csi.start(found, providers.Cluster(providers.Built(found)).kubectl)
    print(
        f"use it:  export KUBECONFIG=$(scripts/cluster kubeconfig --name {found.name})",
        file=sys.stderr,
    )
    print(f"end it:  scripts/cluster down --name {found.name}", file=sys.stderr)
    print(found.kubeconfig)
    return 0


def _down(options: argparse.Namespace) -> int:
    done = lifecycle.down(options.name)
    print(f"{options.name} is down" if done else f"{options.name} was not up", file=sys.stderr)
    return 0


def _status(options: argparse.Namespace) -> int:
    if options.json:
        print(
            json.dumps(
                [asdict(lifecycle.status(known)) for known in instance.all_known()], indent=1
            )
        )
        return 0
    known = instance.load(options.name)
    if known is None:
        print(f"{options.name} is not up")
        return 1
    found = lifecycle.status(known)
    print(
        f"{found.name} is {'up' if found.healthy else 'broken; scripts/cluster up starts it anew'}"
    )
    print(f"  kubeconfig    {found.kubeconfig}\n  server        {found.server}")
    print(f"  host address  {found.host_address}\n  logs          {found.folder}/machines/*/log/")
    for name, service in found.services.items():
        again = f"  (started {service['starts']} times)" if service["starts"] > 1 else ""
        print(f"  runs          {name}{again}")
    return 0 if found.healthy else 1


def _kubeconfig(options: argparse.Namespace) -> int:
    known = instance.load(options.name)
    if known is None or not known.kubeconfig.exists():
        raise RigError(
            f"{options.name} is not up", hint=f"scripts/cluster up --name {options.name}"
        )
    print(known.kubeconfig.read_text() if options.raw else Path(known.kubeconfig))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
