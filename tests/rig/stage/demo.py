"""`scripts/demo`: the main job, end to end, on a real cluster that stays for the user to play with.

A policy is merged in Git, becomes a CronJob, runs, and leaves one commit and one restic snapshot
per volume; then the namespace is deleted and comes back, data and all. Each step says what it did;
nothing is said that was not checked. A second `scripts/demo` says how to reach the one that is up.
"""

from __future__ import annotations

import argparse
import secrets
import shlex
import shutil
import sys
import time
from pathlib import Path

from tests.rig.cluster import instance, lifecycle, paths, providers
from tests.rig.cluster.errors import RigError
from tests.rig.stage import shop
from tests.rig.stage.stage import CAPTURES, NAMESPACE, POLICIES, Stage

NAME = "demo"
"""The cluster instance, unless `--name` says otherwise; Config's cluster is called so too."""
_STARTED = time.monotonic()


def say(text: str) -> None:
    """A step that is done, with the time since the start."""
    print(f"{time.monotonic() - _STARTED:6.1f} s  {text}", flush=True)


def begin(command: str) -> None:
    """A command that begins now: it may take a while, and nobody should wonder what it is."""
    say(f"$ {command}")


def show(text: str) -> None:
    """What a command printed."""
    for line in text.rstrip().splitlines():
        print(f"          {line}", flush=True)


def folder(name: str) -> Path:
    """Where the demo keeps its servers, keys and clones."""
    return paths.state().with_name(f"{paths.state().name}-stage") / name


def is_up(name: str) -> bool:
    """Whether a demo came to its end here and still runs; RigError for what is left of another."""
    if not folder(name).exists():
        return False
    known = instance.load(name)
    if done(name).exists() and known is not None and lifecycle.healthy(known):
        return True
    what = "runs now, or did not come to its end" if known is not None else "has lost its cluster"
    raise RigError(
        f"a demo is here that {what}", hint=f"when none runs: scripts/demo down{_named(name)}"
    )


def done(name: str) -> Path:
    """What a whole demo leaves: the text for people."""
    return folder(name) / "farewell"


def _named(name: str) -> str:
    return "" if name == NAME else f" --name {name}"


def set_up(name: str) -> Stage:
    """Cluster, servers, image, installation."""
    provider = providers.open_cluster(name)
    say("a Kubernetes cluster: ready")
    stage = Stage(providers.Cluster(provider), folder(name), name=NAME, lasting=True)
    stage.start_servers()
    say("a Git server (ssh) with two repositories, and an S3 server: ready")
    image = stage.load_image()
    say(f"the image {image.name}: built from this tree, loaded")
    stage.install()
    say("kubectl apply -k deploy/…: the controller is running")
    say(f"kubectl, backstay and git for it, in another shell:  . {write_environment(stage)}")
    shop.install(stage, marker=secrets.token_hex(12))
    say("the application shop: 1,010 files, 4 volumes, a CRD, a Secret; it serves")
    return stage


def back_up(stage: Stage) -> None:
    """From a policy in Git to a recovery point."""
    commit = stage.push_policies({"shop.yaml": shop.policy(stage)}, "Back up the shop")
    say(f"git push: policies/shop.yaml is merged as {commit[:10]}")
    stage.wait("the CronJob is there", lambda: stage.exists("cronjob", "backstay-shop"))
    say("the controller made the CronJob backstay-shop; its Direct movers hold the repository's")
    show("own storage key in the application's namespace: Config says sharedKeyInTenants: true")
    begin("backstay run shop")
    stage.backstay("run", "shop")
    begin("backstay log shop")
    show(stage.backstay("log", "shop").stdout)


def lose_and_restore(stage: Stage) -> None:
    """The namespace goes, and comes back as it was."""
    before = shop.listing(stage)
    begin("kubectl delete namespace shop; kubectl delete crd products.shop.example.org")
    stage.kubectl("delete", "namespace", "shop", "--timeout=300s")
    stage.kubectl("delete", "crd", "products.shop.example.org")
    begin("backstay restore shop --at latest --yes")
    done = stage.backstay("restore", "shop", "--at", "latest", "--yes")
    lines = done.stdout.splitlines()
    show("\n".join([*lines[:5], "…", lines[-1]]))
    shop.wait_ready(stage)
    page = shop.page(stage).strip()
    say(f"the application serves again: {page}")
    after = shop.listing(stage)
    if before != after:
        changed = [claim for claim in before if before[claim] != after[claim]]
        raise RigError(f"the files of {', '.join(changed)} did not come back as they were")
    entries = sum(text.count("\n") for text in after.values()) // 2
    say(f"{entries} files and folders: equal by hash, mode, owner, time and link target")


def write_environment(stage: Stage) -> Path:
    """A file for a shell: this cluster, this command, this Git server's keys, its Config.

    The Config is found in the working directory, so the shell goes there, and says so.
    """
    keys = stage.folder / "credentials" / "git"
    git = f"ssh -i {keys / 'identity'} -o UserKnownHostsFile={keys / 'known_hosts'}"
    settings = {
        "KUBECONFIG": str(stage.cluster.kubeconfig),
        "GIT_SSH_COMMAND": git,
        "PATH": f"{paths.REPOSITORY}/.venv/bin:{stage.environment()['PATH'].split(':')[0]}:$PATH",
    }
    script = stage.folder / "env"
    lines = [f"export {k}={v if k == 'PATH' else shlex.quote(v)}\n" for k, v in settings.items()]
    home = shlex.quote(str(stage.folder))
    told = f"now in {stage.folder}: backstay.yaml, and clones/policies to change and push"
    script.write_text("".join(lines) + f"cd {home} && echo {shlex.quote(told)} >&2\n")
    return script


def farewell(stage: Stage, name: str) -> str:
    """How to go on, and how to end it; kept for who asks again."""
    text = f"""
It is all still there. To play with it:

  . {stage.folder / "env"}
  kubectl get cronjobs,jobs -n {NAMESPACE}
  backstay log shop
  git clone {stage.sshd.url(CAPTURES)} --branch clusters/{NAME}/shop
  git clone {stage.sshd.url(POLICIES)}

To end it: scripts/demo down{_named(name)}
"""
    done(name).write_text(text)
    return text


def down(name: str) -> None:
    """Ends everything that the demo started."""
    state = folder(name)
    if state.exists():
        Stage.stop_servers_in(state)
        shutil.rmtree(state)
    providers.discard(name)
    print("the demo is gone", flush=True)


def main() -> int:
    """Runs the demo, or takes it down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("verb", nargs="?", choices=["up", "down"], default="up")
    parser.add_argument("--name", default=NAME, help="the cluster instance")
    options = parser.parse_args()
    try:
        if options.verb == "down":
            down(options.name)
            return 0
        if is_up(options.name):
            print("the demo is already up", done(options.name).read_text(), sep="\n")
            return 0
        stage = set_up(options.name)
        back_up(stage)
        lose_and_restore(stage)
        print(farewell(stage, options.name))
    except RigError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
