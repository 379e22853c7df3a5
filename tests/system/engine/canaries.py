"""More than two hundred distinct secrets, one in each place of an object that can hold one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from reconciler.model.redaction import RedactRule
from tests.fakes.cluster import FakeCluster
from tests.unit.capture.redactable import KEY_BLOCK
from tests.unit.engine.run_world import manifest

CUSTOM = "example.org/v1/Broker"
_NAMES = (
    *("DB_PASSWORD", "PGPASSWORD", "MYSQL_ROOT_PASSWORD", "dbPassword", "SMTP_PASS", "PASSPHRASE"),
    *(
        "API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "CLIENT_SECRET",
        "JWT_SECRET",
        "apiToken",
    ),
    *("ENCRYPTION_KEY", "SECRET_KEY_BASE", "SESSION_KEY", "AUTH_TOKEN", "ACCESS_TOKEN_1"),
)
_TEXTS = (
    "postgres://shop:{}@db:5432/shop",
    "amqps://u:{}@mq/%2f",
    KEY_BLOCK.replace("%s", "{}"),
    "[db]\npassword = {}\n",
    '{{"db": {{"password": "{}"}}}}',
    "db:\n  password: {}\n",
    "<c><password>{}</password></c>",
    "export API_TOKEN='{}'\n",
    "Authorization: Bearer {}",
    "machine example.org login me password {}\n",
    "Server=db;User=sa;Pwd={};",
    '{{"auths": {{"r.example.org": {{"auth": "{}"}}}}}}',
    "https://example.org/hook?token={}",
)
_ARGUMENTS = (
    ["--password={}"],
    ["--api-token", "{}"],
    ["-Dspring.datasource.password={}"],
    ["redis://:{}@cache:6379"],
    ["curl", "-u", "me:{}", "https://example.org"],
    ["mysql", "-p{}"],
    ["sh", "-c", "login --password {} && serve"],
    ["-H", "Authorization: Bearer {}"],
)
_PODS = ("v1/Pod", "apps/v1/Deployment", "apps/v1/StatefulSet", "apps/v1/DaemonSet", "batch/v1/Job")
_NOTED = (
    *("ConfigMap", "Service", "ServiceAccount", "PersistentVolumeClaim", "LimitRange"),
    *("networking.k8s.io/v1/Ingress", "rbac.authorization.k8s.io/v1/Role", CUSTOM),
)
OWN_RULES = (
    RedactRule(name="codes", kinds=("broker.example.org",), paths=("spec.users[*]", "spec.code.*")),
    RedactRule(name="motd", kinds=("configmaps",), paths=("data['motd.txt']", "binaryData.motd")),
    RedactRule(name="notes", kinds=("*",), paths=("metadata.annotations['example.org/code']",)),
    RedactRule(
        name="modes",
        kinds=("*.apps", "pod"),
        paths=("spec.template.spec.containers[*].env[PLACE].value", "spec.containers[c].args[*]"),
    ),
)
"""Of the policy: no default rule takes what stands there for a credential."""
WHOLE_VERSIONS = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
    "objectset.rio.cattle.io/applied",
    "banzaicloud.com/last-applied",
    "kopf.zalando.org/last-handled-configuration",
)


class Canaries:
    """Makes secrets and puts them into a cluster; ``planted``: where → secret."""

    def __init__(self, seed: str = "canary") -> None:
        self._seed = seed
        self.planted: dict[str, bytes] = {}
        self.of_secrets: set[str] = set()
        """Those that stand in Secrets."""

    def make(self, where: str) -> str:
        """A new one: nothing that is like it is anywhere else."""
        assert where not in self.planted
        made = f"Cnry{hashlib.sha256(f'{self._seed} {where}'.encode()).hexdigest()[:22]}x"
        self.planted[where] = made.encode()
        return made

    def plant(self, cluster: FakeCluster) -> None:
        """All of them into namespace ``shop``, and around it."""
        for number, found in enumerate(self._objects()):
            found["metadata"].setdefault("name", f"c{number}")
            cluster.put(found)

    def _objects(self) -> Iterator[dict[str, Any]]:
        before = set(self.planted)
        yield from self._secrets()
        self.of_secrets = set(self.planted) - before
        yield from self._workloads()
        yield from self._config_maps()
        yield from self._custom()
        yield from self._annotated()
        yield from self._cluster_scoped()
        yield from self._by_own_rules()

    def _secrets(self) -> Iterator[dict[str, Any]]:
        types = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "example.org/own")
        for kind in types:
            data = {key: _coded(self.make(f"{kind} {key}")) for key in ("password", "x", "tls.key")}
            yield manifest("Secret", f"s-{kind.split('/')[-1].lower()}", type=kind, data=data)
        inner = _coded(f"u:{self.make('a registry')}")
        self.planted["a registry, encoded"] = inner.encode()
        auths = json.dumps({"auths": {"r": {"auth": inner}}})
        kind = "kubernetes.io/dockerconfigjson"
        yield manifest("Secret", "registry", type=kind, data={".dockerconfigjson": _coded(auths)})
        chart = json.dumps({"config": {"password": self.make("Helm's values")}}).encode()
        release = _coded(_coded(gzip.compress(chart, mtime=0)))
        kind = "helm.sh/release.v1"
        yield manifest("Secret", "sh.helm.release.v1.a.v1", type=kind, data={"release": release})
        copied = self.make("a Secret's value in its annotation")
        notes = {"note": f"it is {copied}", "example.org/token": self.make("a Secret's annotation")}
        notes |= {name: json.dumps({"x": self.make(f"Secret, {name}")}) for name in WHOLE_VERSIONS}
        notes["example.org/code"] = self.make("own rule, a Secret's annotation")
        metadata = {"annotations": notes}
        yield manifest("Secret", "noted", metadata=metadata, data={"a": _coded(copied)})

    def _workloads(self) -> Iterator[dict[str, Any]]:
        for number, kind in enumerate(_PODS):
            for field in ("containers", "initContainers"):
                env = [{"name": n, "value": self.make(f"{kind} {field} {n}")} for n in _NAMES[::2]]
                pod = {field: [{"name": "c", "image": "x", "env": env}]}
                yield _workload(kind, f"env-{number}-{field.lower()}", pod)
        texts = [
            {"name": f"T{n}", "value": text.format(self.make(f"env {text}"))}
            for n, text in enumerate(_TEXTS)
        ]
        yield _workload(_PODS[1], "texts", {"containers": [{"name": "c", "env": texts}]})
        for number, words in enumerate(_ARGUMENTS):
            for field in ("args", "command"):
                filled = [w.format(self.make(f"{field} {words}")) if "{" in w else w for w in words]
                container: dict[str, Any] = {"name": "c", field: filled}
                yield _workload(_PODS[1], f"{field}-{number}", {"containers": [container]})
        for where in ("livenessProbe", "readinessProbe", "startupProbe"):
            command = ["check", f"--token={self.make(f'{where} exec')}"]
            header = {"name": "X-Api-Key", "value": self.make(f"{where} header")}
            handlers: dict[str, dict[str, Any]] = {
                "e": {"exec": {"command": command}},
                "h": {"httpGet": {"httpHeaders": [header]}},
            }
            for kind, handler in handlers.items():
                container = {"name": "c", where: handler}
                name = f"{where.lower()}-{kind}"
                yield _workload(_PODS[2], name, {"containers": [container]})
        attributes = {"password": self.make("inline volume")}
        volume = {"name": "v", "csi": {"driver": "d", "volumeAttributes": attributes}}
        yield _workload(_PODS[3], "inline", {"containers": [], "volumes": [volume]})
        noted = _workload(_PODS[1], "noted", {"containers": []})
        notes = {"example.org/api-token": self.make("template's annotation")}
        noted["spec"]["template"]["metadata"] = {"annotations": notes}
        yield noted
        pod = {"containers": [{"name": "c", "env": [_pair(_NAMES[0], self.make("CronJob"))]}]}
        spec = {"jobTemplate": {"spec": {"template": {"spec": pod}}}}
        yield manifest("batch/v1/CronJob", "nightly", spec=spec)
        status = {"conditions": [{"message": f"password={self.make('a status')}"}]}
        yield manifest("apps/v1/Deployment", "told", spec={}, status=status)

    def _config_maps(self) -> Iterator[dict[str, Any]]:
        named = {name: self.make(f"ConfigMap key {name}") for name in _NAMES}
        yield manifest("ConfigMap", "named", data=named)
        for number, text in enumerate(_TEXTS):
            data = {"some.file": text.format(self.make(f"ConfigMap {text}"))}
            yield manifest("ConfigMap", f"text-{number}", data=data)
        stores = {f"a.{end}": _coded(self.make(f"binaryData {end}")) for end in ("p12", "jks")}
        yield manifest("ConfigMap", "stores", binaryData=stores)
        metadata = {"labels": {"owner": "helm"}}
        release = {"release": self.make("Helm's release")}
        yield manifest("ConfigMap", "sh.helm.release.v1.b.v1", metadata=metadata, data=release)

    def _custom(self) -> Iterator[dict[str, Any]]:
        auth = {name: self.make(f"custom {name}") for name in _NAMES}
        yield manifest(CUSTOM, "fields", spec={"auth": auth, "users": [auth]})
        pairs = [_pair(name, self.make(f"pair {name}")) for name in _NAMES]
        yield manifest(CUSTOM, "pairs", spec={"parameters": pairs})
        for number, text in enumerate(_TEXTS):
            config = text.format(self.make(f"custom {text}"))
            yield manifest(CUSTOM, f"text-{number}", spec={"deep": [{"config": config}]})
        spec = {"password": {"value": self.make("inline value")}}
        yield manifest(CUSTOM, "inline", spec=spec, status={"token": self.make("custom status")})

    def _annotated(self) -> Iterator[dict[str, Any]]:
        for number, kind in enumerate(_NOTED):
            notes = {"example.org/api-token": self.make(f"annotation of {kind}")}
            notes |= {name: self.make(f"{kind} {name}") for name in WHOLE_VERSIONS}
            cause = f"kubectl set env PASSWORD={self.make(f'cause {kind}')}"
            notes["kubernetes.io/change-cause"] = cause
            yield manifest(kind, f"noted-{number}", metadata={"annotations": notes})

    def _by_own_rules(self) -> Iterator[dict[str, Any]]:
        users = [
            {
                "name": self.make("own rule, an item's name"),
                "pin": self.make("own rule, its field"),
            },
            {"name": "ann", "pins": [self.make(f"own rule, item {number}") for number in range(3)]},
        ]
        code = {"front": self.make("own rule, any key")}
        yield manifest(CUSTOM, "coded", spec={"users": users, "code": code})
        data = {"motd.txt": f"Open with {self.make('own rule, a text')} and close.\n"}
        binary = {"motd": _coded(self.make("own rule, binaryData"))}
        yield manifest("ConfigMap", "motd", data=data, binaryData=binary)
        for number, kind in enumerate(("Service", "PersistentVolumeClaim")):
            notes = {"example.org/code": self.make(f"own rule, annotation of {kind}")}
            yield manifest(kind, f"coded-{number}", metadata={"annotations": notes})
        env = [_pair("PLACE", self.make("own rule, env"))]
        yield _workload(_PODS[1], "placed", {"containers": [{"name": "c", "env": env}]})
        words = ["serve", self.make("own rule, args")]
        yield _workload(_PODS[0], "told", {"containers": [{"name": "c", "args": words}]})

    def _cluster_scoped(self) -> Iterator[dict[str, Any]]:
        parameters = {"secretKey": self.make("StorageClass"), "type": "fast"}
        yield manifest("storage.k8s.io/v1/StorageClass", "fast", "", parameters=parameters)
        url = f"https://u:{self.make('webhook')}@h.example.org"
        hooks = [{"name": "a", "clientConfig": {"url": url}}]
        kind = "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration"
        yield manifest(kind, "check", "", webhooks=hooks)
        notes = {"example.org/password": self.make("Namespace")}
        yield manifest("Namespace", "shop", "", metadata={"name": "shop", "annotations": notes})


def _coded(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _pair(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _workload(kind: str, name: str, pod: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = pod if kind == "v1/Pod" else {"template": {"spec": pod}}
    return manifest(kind, name, spec=spec)
