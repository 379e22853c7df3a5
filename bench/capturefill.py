"""A cluster full of mixed small objects, for `bench.capture`."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from reconciler.adapters.kube import KubeClient
from tests.rig.cluster import providers

NAMESPACE = "bench"
FEW = ("few-0", "few-1", "few-2")
"""What the policy of three namespaces selects: ten objects each."""
CHANGED = 100


def fill(kubeconfig: Path, objects: int, namespaces: int) -> None:
    """Mixed small objects: ConfigMaps, Secrets, Services, Deployments without pods, Roles.

    ``namespaces`` in all, each with what the cluster's controllers would put into it: they rest.
    """
    others = [f"other-{number}" for number in range(namespaces - 1 - len(FEW))]
    spaces = [NAMESPACE, *(FEW if namespaces > len(FEW) else ()), *others]
    meta = {"apiVersion": "v1", "kind": "Namespace"}
    _create(kubeconfig, ({**meta, "metadata": {"name": name}} for name in spaces))
    _create(kubeconfig, (given for name in spaces for given in _given(name)))
    _create(kubeconfig, (_object(number, NAMESPACE) for number in range(objects)))
    few = (name for name in FEW if name in spaces)
    _create(kubeconfig, (_object(number, name) for name in few for number in range(10)))


def _given(namespace: str) -> Iterator[dict[str, Any]]:
    """What every namespace has of the cluster's controllers."""
    account = {"name": "default", "namespace": namespace}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
    published = {"name": "kube-root-ca.crt", "namespace": namespace}
    text = "-----BEGIN CERTIFICATE-----\n" + ("M" * 64 + "\n") * 16
    data = {"ca.crt": f"{text}-----END CERTIFICATE-----\n"}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": published, "data": data}


def rest(provider: providers.Provider) -> None:
    """Lets the cluster's controllers do nothing any more.

    Tens of thousands of new objects give them work for many minutes, most of it of no use here.
    """
    if isinstance(provider, providers.Built):
        for service in ("kube-controller-manager", "kube-scheduler"):
            provider.instance.control.stop(service)


def _create(kubeconfig: Path, objects: Iterable[dict[str, Any]]) -> None:
    """By raw requests over eight connections; what is there already stays as it is."""
    todo = iter(objects)
    taking = threading.Lock()

    def work() -> None:
        connection = connect(kubeconfig)
        while True:
            with taking:
                one = next(todo, None)
            if one is None:
                return
            connection.request("POST", _path_of(one), json.dumps(one))
            answer = connection.getresponse()
            told = answer.read()
            if answer.status not in {201, 409}:
                raise RuntimeError(f"HTTP {answer.status}: {told[:300]!r}")

    with futures.ThreadPoolExecutor(8) as several:
        for made in [several.submit(work) for _ in range(8)]:
            made.result()


def _path_of(one: Mapping[str, Any]) -> str:
    """Where an object of its kind is made."""
    api, namespace = one["apiVersion"], one["metadata"].get("namespace")
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/{'apis' if '/' in api else 'api'}/{api}{where}/{one['kind'].lower()}s"


def change(kubeconfig: Path) -> None:
    """Another label for `CHANGED` objects."""
    client = KubeClient.connect(kubeconfig)
    for number in range(0, 5 * CHANGED, 5):
        labels = {"at": str(time.time_ns())}
        metadata = {"name": f"o{number}", "namespace": NAMESPACE, "labels": labels}
        client.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def _object(number: int, namespace: str) -> dict[str, Any]:
    metadata = {"name": f"o{number}", "namespace": namespace, "labels": {"n": f"{number % 7}"}}
    kind = number % 5
    if kind == 0:
        data = {f"key-{i}": f"value {i} of {number}\nand a line\n" for i in range(8)}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    if kind == 1:
        text = {"password": f"secret-{number}", "user": "bench"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": text}
    if kind == 2:
        service: dict[str, Any] = {
            "selector": {"app": f"o{number}"},
            "ports": [{"port": 80}],
            "clusterIP": "None",
        }
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}
    if kind == 3:
        rules: list[dict[str, list[str]]] = [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
        ]
        api = "rbac.authorization.k8s.io/v1"
        return {"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": rules}
    pod: dict[str, Any] = {"containers": [{"name": "c", "image": "localhost/none:1", "env": [
        {"name": f"E{i}", "value": str(i)} for i in range(6)]}]}  # fmt: skip
    labels = {"app": f"o{number}"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def connect(kubeconfig: Path) -> http.client.HTTPSConnection:
    """One connection of http.client, as the kubeconfig's user."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    with tempfile.TemporaryDirectory() as folder:

        def kept(section: dict[str, Any], key: str) -> str:
            if key in section:
                return str(section[key])
            path = Path(folder) / key
            path.write_bytes(base64.b64decode(section[f"{key}-data"]))
            return str(path)

        context = ssl.create_default_context(cafile=kept(cluster, "certificate-authority"))
        context.load_cert_chain(kept(user, "client-certificate"), kept(user, "client-key"))
    address = urlsplit(cluster["server"])
    return http.client.HTTPSConnection(str(address.hostname), address.port, context=context)
