"""An access to the API server that a kubeconfig gives, by the official client with its plugins.

Nothing is read from the environment but proxies. The default kubeconfig of a person is never picked
up by itself.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import load_kube_config

from reconciler.adapters.kubetransport import THREADS, cut, no_credentials
from reconciler.model.errors import Refused


class ClientAccess:
    """See `reconciler.adapters.kubetransport.Access`."""

    def __init__(self, configuration: Any) -> None:
        """``configuration``: the official client's, with host, TLS and credentials set."""
        configuration.retries = False  # we retry; nothing below us may wait or follow redirects
        configuration.connection_pool_maxsize = THREADS
        self._configuration = configuration
        self._client: Any = None
        self.host = str(configuration.host)

    def pool(self) -> urllib3.PoolManager:
        """See `Access`."""
        self._client = ApiClient(self._configuration)
        found: urllib3.PoolManager = self._client.rest_client.pool_manager
        return found

    def authorize(self, headers: dict[str, str], method: str, url: str, body: bytes | None) -> None:
        """See `Access`; a login plugin may be asked, and raise what it likes."""
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], url, method, body)
        except (ConfigException, ApiException) as error:
            raise no_credentials(self.host, f"{type(error).__name__}: {error}") from error

    def configuration(self) -> Any:
        """See `Access`."""
        return self._configuration


def from_kubeconfig(path: Path, context: str | None) -> ClientAccess:
    """The access that one kubeconfig file gives. Raises Refused."""
    configuration = Configuration()
    try:
        with _told_by_plugin() as told_by_plugin:
            load_kube_config(
                config_file=str(path),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
    except Exception as error:  # a login plugin or the YAML reader may raise anything
        if not path.is_file():
            raise Refused(
                f"kubeconfig {path}: there is no such file",
                hint="give --kubeconfig, or run inside the cluster",
            ) from error
        if not _has_clusters(path):
            raise Refused(
                f"{path} is no kubeconfig",
                hint="it is YAML with clusters, users and contexts, as kubectl config view shows",
            ) from error
        told = str(error) if isinstance(error, ConfigException) else type(error).__name__
        raise Refused(
            f"kubeconfig {path}: can't be used: {cut(told)}",
            hint="compare with: kubectl --kubeconfig FILE config view --minify",
        ) from error
    if told_by_plugin:
        raise Refused(
            f"kubeconfig {path}: its login plugin failed: {cut('; '.join(told_by_plugin))}",
            hint="log in again the way this cluster wants it, then try: kubectl get namespaces",
        )
    return ClientAccess(configuration)


def _has_clusters(path: Path) -> bool:
    """Whether a file looks like a kubeconfig at all."""
    try:
        found = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(found, dict) and "clusters" in found


@contextlib.contextmanager
def _told_by_plugin() -> Iterator[list[str]]:
    """Catches what the official client only logs: a login plugin that failed, after which it goes
    on without credentials."""
    told: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        told.append(record.getMessage())
        return False

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        yield told
    finally:
        root.removeFilter(keep)
