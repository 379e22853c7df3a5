"""Builds ports from Config: the one place where adapters are chosen."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from reconciler import ports
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.gitcredentials import GitCredentials, parse_credentials
from reconciler.adapters.gitprocess import FETCH_VARIABLE, LARGEST_FETCH, NETWORK_SECONDS
from reconciler.adapters.gitsigning import parse_signing_key, parse_trusted
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.adapters.keyring import SecretKeyring
from reconciler.adapters.kube import KubeClient
from reconciler.adapters.loglines import JsonLines
from reconciler.cli.policysource import PolicySource, open_source
from reconciler.model import naming
from reconciler.model.config import Author, Config, Credentials, InventoryConfig
from reconciler.model.errors import Refused, UsageError
from reconciler.policy import parse_config
from reconciler.policy.nodes import MAX_BYTES
from reconciler.report.loglines import render_entry

T = TypeVar("T")
INVENTORY_SECONDS = 60.0
"""For each connection of whatever an inventory needs: it is the loop's thread that waits."""
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class NoConfig(UsageError):
    """There is no Config in the place where it was looked for."""


def load_config(path: Path) -> Config:
    """Reads Config; raises UsageError when there is none, InvalidInput with all its problems."""
    try:
        # A mounted ConfigMap is a link to a file; a device or a pipe would never end.
        if not path.is_file() and path.exists():
            raise UsageError(f"Config {path} is no file", hint="give its place with --config")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NoConfig(
            f"Config {path} can't be read: {error.strerror}",
            hint="give its place with --config; deploy/README.md shows one",
        ) from error
    return replace(parse_config(str(path), data), own_namespace=own_namespace())


def under_former_name(config: Config, cluster: str | None) -> Config:
    """Config as it was when the cluster was called so: branches, URLs and passwords follow from
    the name. Raises UsageError for a name that Config knows nothing of."""
    if cluster in (None, config.cluster.name):
        return config
    if cluster != config.cluster.renamed_from:
        raise UsageError(
            f"--cluster {cluster} is neither cluster.name nor cluster.renamedFrom of Config",
            hint="give a Config with the name of the cluster whose recovery points they are:"
            " docs/recovery.md",
        )
    return replace(config, cluster=replace(config.cluster, name=cluster, renamed_from=""))


def program() -> str:
    """Program and version, as records name their writer."""
    return f"backstay {version('backstay')}"


def in_pod() -> bool:
    """Whether this process runs in a cluster."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def own_namespace() -> str:
    """Backstay's own namespace: the pod's, or the default on a laptop."""
    named = os.environ.get("BACKSTAY_NAMESPACE")
    if named:
        return named
    if _NAMESPACE_FILE.is_file():
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    return naming.DEFAULT_NAMESPACE


def cache_folder() -> Path:
    """Where git and restic keep what can be fetched again; nobody else may read it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("BACKSTAY_CACHE_DIR") or Path(base) / "backstay" / "client")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def largest_fetch() -> int:
    """Bytes that a manifest repository may send for one question; raises UsageError."""
    given = os.environ.get(FETCH_VARIABLE, "")
    if not given:
        return LARGEST_FETCH
    if not re.fullmatch(r"[1-9][0-9]{0,8}", given):
        raise UsageError(f"{FETCH_VARIABLE} is not a number of MiB: {given}", hint="8192 is 8 GiB")
    return int(given) << 20


class NoCluster(Refused):
    """None was named, and there is none where kubectl would look."""


@contextmanager
def without_config(other_way: str) -> Iterator[None]:
    """For a command that has another way where there is no Config; empty: it has none."""
    try:
        yield
    except NoConfig as error:
        if not other_way:
            raise
        raise NoConfig(error.message, hint=f"{error.hint}; or {other_way}") from error


@contextmanager
def without_a_cluster(other_way: str) -> Iterator[None]:
    """For a command that has another way where there is no cluster: its hint says which."""
    try:
        yield
    except NoCluster as error:
        raise NoCluster(error.message, hint=f"{error.hint}; or {other_way}") from error


def cluster(kubeconfig: Path | None, context: str | None = None) -> KubeClient:
    """The cluster that was named, as kubectl would find it; the pod's own one inside a pod."""
    if kubeconfig is None and not in_pod():
        named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
        kubeconfig = Path(named) if named else Path.home() / ".kube" / "config"
        if not kubeconfig.is_file():
            missing = "is no file" if kubeconfig.exists() else "does not exist"
            raise NoCluster(f"no cluster: {kubeconfig} {missing}", hint="give --kubeconfig")
    return KubeClient.connect(kubeconfig, context, version=version("backstay"))


def resolver(reader: ports.ClusterReader | None) -> CredentialsResolver:
    """Finds the keys of Secrets; without a cluster only folders and variables."""
    return CredentialsResolver(reader=reader, namespace=own_namespace())


def _git_credentials(
    credentials: Credentials | None, resolve: CredentialsResolver
) -> GitCredentials:
    if credentials is None:
        return GitCredentials()
    found = resolve.resolve(credentials)
    return parse_credentials(found.data, found.source)


def policy_source(config: Config, resolve: CredentialsResolver) -> PolicySource:
    """Where policies come from: a Git repository or a folder."""
    return open_source(config, resolve, workdir=cache_folder() / "git")


def manifest_store(
    config: Config,
    resolve: CredentialsResolver,
    *,
    deadline: float = NETWORK_SECONDS,
    writes: bool = False,
    restores: bool = False,
) -> GitManifestStore:
    """The Git repository that captures go to; ``deadline``: seconds that a connection may take.

    Who ``writes`` signs, and who ``restores`` asks for signatures, where Config has a key for it;
    other readers need not have it.
    """
    store = config.manifest_store
    return GitManifestStore(
        store.url,
        author_name=store.author.name,
        author_email=store.author.email,
        credentials=_git_credentials(store.credentials, resolve),
        workdir=cache_folder() / "git",
        deadline=deadline,
        largest_fetch=largest_fetch(),
        signing_key=_of_signing_key(config, resolve, parse_signing_key) if writes else None,
        trusted=_of_signing_key(config, resolve, parse_trusted) if restores else None,
    )


def _of_signing_key(
    config: Config, resolve: CredentialsResolver, parse: Callable[[Mapping[str, bytes], str], T]
) -> T | None:
    name = config.manifest_store.signing_key
    if not name:
        return None
    found = resolve.resolve(config.credentials_of(name))
    return parse(found.data, found.source)


def inventory_of(config: Config) -> InventoryConfig:
    """Where Config wants the inventory; raises UsageError where it says nothing of one."""
    if config.inventory is None:
        raise UsageError(
            "Config has no inventory.url",
            hint="give --inventory PATH|URL, or let the controller publish one: docs/inventory.md",
        )
    return config.inventory


def inventory_store(
    inventory: InventoryConfig, resolve: CredentialsResolver, author: Author | None = None
) -> GitManifestStore:
    """The Git repository of an inventory; what does not answer within a minute is away."""
    author = author or Author()
    return GitManifestStore(
        inventory.url,
        author_name=author.name,
        author_email=author.email,
        credentials=_git_credentials(inventory.credentials, resolve),
        # A folder of its own: it may be the manifest store's URL too.
        workdir=cache_folder() / "inventory",
        deadline=INVENTORY_SECONDS,
        largest_fetch=largest_fetch(),
    )


def keyring(config: Config, resolve: CredentialsResolver) -> SecretKeyring:
    """Opens restic repositories."""
    return SecretKeyring(config, resolve, cache=cache_folder() / "restic")


def clock() -> SystemClock:
    """The real time."""
    return SystemClock()


def reporter(output: str = "") -> ports.Reporter:
    """Words and a bar on a terminal, JSON lines on stderr elsewhere.

    A command with ``output`` has one format per stream: its errors are as its lines are.
    """
    if output != "json" and sys.stderr.isatty():
        from reconciler.adapters.terminal import TerminalReporter

        return TerminalReporter(render_entry)
    return JsonLines(render=render_entry) if output == "text" else JsonLines()


@contextmanager
def stop_on_signals(tell: Callable[[], object] = lambda: None) -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second one ends the process as usual.

    ``tell`` is called after it was set, inside the handler: it must be safe there.
    """
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, _frame: object) -> None:
        stopped.set()
        tell()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
