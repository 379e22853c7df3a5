"""Objects with a credential in each place that has a default rule, and lookalikes without one.

``VALUE`` stands where the credential is; a test puts in what it wants.
"""

from __future__ import annotations

import base64
from typing import Any

from reconciler.capture import redactrules
from tests.unit.capture.objects import live

VALUE = "hUnter-2%s"
KEY_BLOCK = "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n"
Case = tuple[str, dict[str, Any], str, str]


def pod_spec(**container: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": "web:1", **container}]}


def workload(**container: Any) -> dict[str, Any]:
    return live("web", spec={"template": {"spec": pod_spec(**container)}})


def env(name: str, value: str) -> dict[str, Any]:
    return {"env": [{"name": "MODE", "value": "fast"}, {"name": name, "value": value}]}


def config(**data: str) -> dict[str, Any]:
    return live("settings", data=data)


def noted(**annotations: str) -> dict[str, Any]:
    return live("x", metadata={"annotations": annotations})


def probe(**handler: Any) -> dict[str, Any]:
    return workload(livenessProbe=handler)


def custom(**spec: Any) -> dict[str, Any]:
    return live("x", spec=spec)


R = redactrules
_POD = "spec.template.spec.containers[web]"
_ENV = f"{_POD}.env[%s].value"
_CRON = {"jobTemplate": {"spec": {"template": {"spec": pod_spec(**env("API_KEY", VALUE))}}}}
_CRON_FIELD = "spec.jobTemplate.spec.template.spec.containers[web].env[API_KEY].value"
_DOCKER = '{"auths": {"r.example.org": {"auth": "%s"}}}'

CASES: tuple[Case, ...] = (
    *(
        ("deployment.apps", workload(**env(name, VALUE)), _ENV % name, R.ENV)
        for name in (
            *("DB_PASSWORD", "POSTGRES_PASSWORD", "MYSQL_ROOT_PASSWORD", "dbPassword", "DB_PASS"),
            *("API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "CLIENT_SECRET", "PGPASSWORD"),
            *("JWT_SECRET", "ENCRYPTION_KEY", "AZURE_STORAGE_KEY", "SECRET_KEY_BASE", "apiToken"),
            *("PASSPHRASE", "SMTP_PWD", "SENTRY_DSN", "AUTH_KEY", "PASSWORD_1"),
        )
    ),
    (
        "statefulset.apps",
        workload(**env("URL", f"postgres://shop:{VALUE}@db:5432/shop")),
        _ENV % "URL",
        R.ENV,
    ),
    ("daemonset.apps", workload(**env("KEY_FILE", KEY_BLOCK % VALUE)), _ENV % "KEY_FILE", R.ENV),
    ("cronjob.batch", live("nightly", spec=_CRON), _CRON_FIELD, R.ENV),
    (
        "pod",
        live("web", spec=pod_spec(**env("TOKEN", VALUE))),
        "spec.containers[web].env[TOKEN].value",
        R.ENV,
    ),
    (
        "deployment.apps",
        workload(args=["serve", f"--password={VALUE}"]),
        f"{_POD}.args[1]",
        R.ARGUMENTS,
    ),
    ("deployment.apps", workload(args=["--api-token", VALUE]), f"{_POD}.args[1]", R.ARGUMENTS),
    (
        "deployment.apps",
        workload(command=["curl", "-u", f"me:{VALUE}"]),
        f"{_POD}.command[2]",
        R.ARGUMENTS,
    ),
    (
        "deployment.apps",
        workload(command=["mysql", f"-p{VALUE}"]),
        f"{_POD}.command[1]",
        R.ARGUMENTS,
    ),
    (
        "deployment.apps",
        workload(command=["sh", "-c", f"export TOKEN='{VALUE}'; serve"]),
        f"{_POD}.command[2]",
        R.ARGUMENTS,
    ),
    (
        "deployment.apps",
        probe(exec={"command": ["redis-cli", "--pass-word", "--password", VALUE]}),
        f"{_POD}.livenessProbe.exec.command[3]",
        R.ARGUMENTS,
    ),
    (
        "deployment.apps",
        probe(httpGet={"httpHeaders": [{"name": "Authorization", "value": f"Bearer {VALUE}"}]}),
        f"{_POD}.livenessProbe.httpGet.httpHeaders[Authorization].value",
        R.HEADERS,
    ),
    (
        "deployment.apps",
        workload(lifecycle={"preStop": {"exec": {"command": ["bye", f"token={VALUE}"]}}}),
        f"{_POD}.lifecycle.preStop.exec.command[1]",
        R.ARGUMENTS,
    ),
    ("configmap", config(password=VALUE), "data.password", R.CONFIG_NAME),
    ("configmap", config(**{"db.password": VALUE}), "data['db.password']", R.CONFIG_NAME),
    ("configmap", config(id_rsa=VALUE), "data.id_rsa", R.CONFIG_NAME),
    ("configmap", config(**{"tls.key": KEY_BLOCK % VALUE}), "data['tls.key']", R.CONFIG_TEXT),
    ("configmap", config(ini=f"[db]\nuser=shop\npassword = {VALUE}\n"), "data.ini", R.CONFIG_TEXT),
    ("configmap", config(json=f'{{"db": {{"password": "{VALUE}"}}}}'), "data.json", R.CONFIG_TEXT),
    ("configmap", config(xml=f"<db><password>{VALUE}</password></db>"), "data.xml", R.CONFIG_TEXT),
    ("configmap", config(docker=_DOCKER % VALUE), "data.docker", R.CONFIG_TEXT),
    (
        "configmap",
        config(netrc_=f"machine x login y password {VALUE}\n"),
        "data.netrc_",
        R.CONFIG_TEXT,
    ),
    (
        "configmap",
        live("keys", binaryData={"app.p12": VALUE}),
        "binaryData['app.p12']",
        R.CONFIG_NAME,
    ),
    (
        "configmap",
        live(
            "sh.helm.release.v1.x", metadata={"labels": {"owner": "helm"}}, data={"release": VALUE}
        ),
        "data.release",
        R.HELM,
    ),
    (
        "storageclass.storage.k8s.io",
        live("fast", namespace="", parameters={"restuserkey": "u", "secretKey": VALUE}),
        "parameters.secretKey",
        R.PARAMETERS,
    ),
    (
        "persistentvolume",
        live("v", namespace="", spec={"csi": {"volumeAttributes": {"password": VALUE}}}),
        "spec.csi.volumeAttributes.password",
        R.PARAMETERS,
    ),
    (
        "validatingwebhookconfiguration.admissionregistration.k8s.io",
        live(
            "v",
            namespace="",
            webhooks=[{"name": "a", "clientConfig": {"url": f"https://u:{VALUE}@h"}}],
        ),
        "webhooks[a].clientConfig.url",
        R.URL,
    ),
    (
        "persistentvolume",
        live("v", namespace="", spec={"mountOptions": ["ro", f"user=me,password={VALUE}"]}),
        "spec.mountOptions[1]",
        R.PARAMETERS,
    ),
    (
        "storageclass.storage.k8s.io",
        live("cifs", namespace="", mountOptions=[f"password={VALUE}"]),
        "mountOptions[0]",
        R.PARAMETERS,
    ),
    (
        "httproute.gateway.networking.k8s.io",
        custom(set=[{"name": "Authorization", "value": f"Basic {VALUE}"}]),
        "spec.set[Authorization].value",
        R.CUSTOM,
    ),
    ("kafka.example.org", custom(auth={"password": VALUE}), "spec.auth.password", R.CUSTOM),
    (
        "kafka.example.org",
        custom(auth={"password": {"value": VALUE}}),
        "spec.auth.password.value",
        R.CUSTOM,
    ),
    ("kafka.example.org", custom(pin={"password": 4711}), "spec.pin.password", R.CUSTOM),
    (
        "application.argoproj.io",
        custom(parameters=[{"name": "db.password", "value": VALUE}]),
        "spec.parameters[db.password].value",
        R.CUSTOM,
    ),
    ("application.argoproj.io", custom(repo=f"https://u:{VALUE}@git"), "spec.repo", R.CUSTOM),
    ("release.example.org", custom(values=f"db:\n  password: {VALUE}\n"), "spec.values", R.CUSTOM),
    ("job.example.org", custom(args=["--token", VALUE]), "spec.args[1]", R.CUSTOM),
    ("db.example.org", custom(passwords={"root": VALUE}), "spec.passwords.root", R.CUSTOM),
    (
        "db.example.org",
        custom(credentials={"type": "S3v4", "username": "A1_b", "root": VALUE}),
        "spec.credentials.root",
        R.CUSTOM,
    ),
    ("sopssecret.example.org", custom(stringData={"a": VALUE}), "spec.stringData.a", R.CUSTOM),
    ("sopssecret.example.org", live("x", stringData={"a": VALUE}), "stringData.a", R.CUSTOM),
    (
        "x.example.org",
        custom(selector={"note": f"token={VALUE}"}),
        "spec.selector.note",
        R.CUSTOM,
    ),
    ("machine.cluster.x-k8s.io", custom(sshPassword=VALUE), "spec.sshPassword", R.CUSTOM),
    (
        "service",
        noted(**{"example.org/api-token": VALUE}),
        "metadata.annotations['example.org/api-token']",
        R.ANNOTATION,
    ),
    (
        "ingress.networking.k8s.io",
        noted(**{"kubernetes.io/change-cause": f"kubectl set env deploy/x PASSWORD={VALUE}"}),
        "metadata.annotations['kubernetes.io/change-cause']",
        R.ANNOTATION,
    ),
    (
        "secret",
        noted(**{"example.org/password": VALUE}),
        "metadata.annotations['example.org/password']",
        R.ANNOTATION,
    ),
)

TOKENS = (
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "glpat-" + "x1Y2z" * 4,
    "xoxb-" + "1234567890-abc",
    "sk_live_" + "a1B2c3D4" * 3,
    "npm_" + "a1B2" * 9,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
    "https://" + "0123456789abcdef" * 2 + "@sentry.example.org/1",
    "shop:$apr1$" + "abcdefgh$ijkl",
    "AGE-SECRET-KEY-1" + "QQQQ",
    "PuTTY-User-Key-File-3: ssh-ed25519",
    "AccountName=x;AccountKey=" + base64.b64encode(b"k" * 32).decode() + ";",
    "https://x.blob.core.example.org/c?sv=1&sig=" + "aB3%2B" * 8,
)

INNOCENT: tuple[tuple[str, dict[str, Any]], ...] = (
    *(
        ("deployment.apps", workload(**env(name, value)))
        for name, value in (
            ("TOKEN_URL", "https://idp.example.org/token"),
            ("PASSWORD_FILE", "/run/secrets/password"),
            ("SECRET_NAME", "db-credentials"),
            ("MAX_TOKENS", "4096"),
            ("ALLOW_EMPTY_PASSWORD", "yes"),
            ("DB_PASSWORD", "$(FROM_ELSEWHERE)"),
            ("DB_PASSWORD", ""),
            ("ACCESS_TOKEN_TTL", "15m"),
            ("TOKEN", "/var/run/secrets/tokens/app"),
            ("SORT_KEY", "created"),
            ("KEYCLOAK_REALM", "shop"),
            ("COMPASS", "north"),
            ("BYPASS", "10.0.0.0/8"),
            ("AUTHOR", "me"),
            ("PUBLIC_KEY", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"),
            ("DATABASE_URL", "postgres://shop:$(DB_PASSWORD)@db/shop"),
        )
    ),
    (
        "deployment.apps",
        workload(args=["--password-file", "/etc/pw", "--token-ttl=1h", "-p", "80"]),
    ),
    ("deployment.apps", workload(args=["--password", "$(PASSWORD)", "--secret-name=db"])),
    ("deployment.apps", workload(command=["mkdir", "-p", "/data"], args=["-u", "root"])),
    ("configmap", config(ini="[db]\npassword = ${DB_PASSWORD}\n", html="<p>the password</p>")),
    ("configmap", config(doc="Set your password in the form. Tokens are sent by mail.\n")),
    (
        "configmap",
        config(**{"ca.crt": "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"}),
    ),
    ("configmap", config(yaml="secretName: shop-tls\ntokenExpirationSeconds: 3600\n")),
    ("configmap", config(yaml="passwordSecretRef:\n  name: db\n  key: password\n")),
    ("kafka.example.org", custom(tls={"secret": "kafka-tls"}, tokenTTL="15m", secretName="x-tls")),
    ("kafka.example.org", custom(passwordFrom={"secretKeyRef": {"name": "db", "key": "password"}})),
    (
        "externalsecret.external-secrets.io",
        custom(data=[{"secretKey": "DB_PASSWORD", "remoteRef": {"key": "prod/db"}}]),
    ),
    ("sealedsecret.bitnami.com", custom(encryptedData={"password": "AgBy3i4OJSWK+PiTySY"})),
    (
        "x.example.org",
        custom(matchLabels={"token": "A1_b"}, tolerations=[{"key": "token", "value": "abcDEF1"}]),
    ),
    ("x.example.org", custom(credentials={"source": "Secret", "secretRef": {"name": "A1_b"}})),
    ("kafka.example.org", custom(tokens=5, password=None, secret=True)),
    ("policy.example.org", custom(manifests={"secrets": "Restic"}, token="IfNotPresent")),
    (
        "ingress.networking.k8s.io",
        noted(**{"nginx.ingress.kubernetes.io/auth-secret": "shop/basic-auth"}),
    ),
    ("deployment.apps", noted(**{"checksum/secret": "0123456789abcdef" * 4})),
    ("deployment.apps", noted(**{"vault.hashicorp.com/agent-inject-token": "true"})),
    (
        "role.rbac.authorization.k8s.io",
        live("r", rules=[{"resources": ["secrets"], "verbs": ["get"]}]),
    ),
    (
        "customresourcedefinition.apiextensions.k8s.io",
        live(
            "x",
            namespace="",
            spec={"schema": {"password": {"type": "string", "description": "token: x"}}},
        ),
    ),
)
