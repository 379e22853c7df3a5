"""Where the adapter gets its server, its trust and its token from."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from reconciler.adapters.kube import KubeClient
from reconciler.adapters.kubeconfig import ClientAccess
from reconciler.adapters.kubepod import in_cluster
from reconciler.adapters.kubetransport import Transport
from reconciler.model.errors import Refused, Transient
from tests.fakes.kubekinds import kind
from tests.integration.kube.server import Clock, Reply, Server, serving
from tests.integration.kube.test_http import kubeconfig


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for 127.0.0.1 and the certificate that proves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "ca.crt", folder / "tls.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """Return one certificate for all tests."""
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(trust: tuple[ssl.SSLContext, Path]) -> Iterator[Server]:
    """Return a server with TLS."""
    with serving(trust[0]) as server:
        server.replies = [Reply(404)]
        yield server


def ask(client: KubeClient) -> None:
    """One request."""
    assert client.get(kind("Namespace"), "x") is None
    client.close()


def test_a_certificate_that_proves_itself(
    server: Server, trust: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    data = base64.b64encode(trust[1].read_bytes()).decode()
    extra = {"certificate-authority-data": data}
    file = kubeconfig(tmp_path / "config", server.url, **extra)
    ask(KubeClient.connect(file, clock=Clock()))
    assert server.requests[0].headers["authorization"] == "Bearer s3cr3t-token"


def test_a_certificate_of_somebody_else(server: Server, tmp_path: Path) -> None:
    _, other = certificate(tmp_path)
    file = kubeconfig(tmp_path / "config", server.url, **{"certificate-authority": str(other)})
    clock = Clock()
    with pytest.raises(Refused, match="certificate can't be verified"):
        ask(KubeClient.connect(file, clock=clock))
    assert clock.slept == []
    assert server.requests == []


def test_a_pods_token_is_read_again(
    server: Server, trust: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    host, port = server.url.removeprefix("https://").split(":")
    clock = Clock()
    found = in_cluster(token=token, ca=trust[1], environ=pod(host, port))
    client = KubeClient(Transport(found, clock=clock, user_agent="x"), clock=clock)
    ask(client)
    token.write_text("second")
    ask(client)
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer first", "Bearer second"]
    for broken in ("", "sëcond", "two\nlines"):
        token.write_text(broken)
        with pytest.raises(Refused) as caught:
            ask(client)
        assert "lines" not in str(caught.value)
    token.unlink()
    with pytest.raises(Refused, match="can't be read"):
        ask(client)


def pod(host: str = "10.0.0.1", port: str = "443") -> dict[str, str]:
    """What the kubelet puts into a container's environment."""
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}


def test_a_pods_address_may_be_ipv6(trust: tuple[ssl.SSLContext, Path]) -> None:
    found = in_cluster(token=trust[1], ca=trust[1], environ=pod("fd00::1"))
    assert found.host == "https://[fd00::1]:443"


@pytest.mark.parametrize("broken", ["host", "port", "token", "no token", "ca", "no ca"])
def test_a_pod_without_a_service_account(broken: str, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("token", "ca")}
    for name, file in files.items():
        if broken != f"no {name}":
            file.write_text("" if broken == name else "x")
    environ = {key: value for key, value in pod().items() if broken not in key.lower()}
    with pytest.raises(Refused, match="not a pod with a service account"):
        in_cluster(**files, environ=environ)


@pytest.mark.parametrize("spared", ["", "127.0.0.1"])
def test_a_pods_requests_go_through_the_proxy_of_its_environment(
    spared: str,
    server: Server,
    trust: tuple[ssl.SSLContext, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as proxy:
        proxy.replies = [Reply(502)]
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", spared)
        (tmp_path / "token").write_text("t0ken")
        host, port = server.url.removeprefix("https://").split(":")
        found = in_cluster(token=tmp_path / "token", ca=trust[1], environ=pod(host, port))
        client = KubeClient(Transport(found, clock=Clock(), user_agent="x"), clock=Clock())
        with nullcontext() if spared else pytest.raises(Transient, match="ProxyError"):
            ask(client)
    assert bool(server.requests) == bool(spared)


def test_neither_kubeconfig_nor_pod() -> None:
    with pytest.raises(Refused, match="no kubeconfig was given"):
        KubeClient.connect()


@pytest.mark.parametrize(
    ("text", "context", "told"),
    [
        ("", None, "is no kubeconfig"),
        ("not: a kubeconfig", None, "is no kubeconfig"),
        ("{", None, "is no kubeconfig"),
        ("\x00", None, "is no kubeconfig"),
        ("clusters: [", None, "is no kubeconfig"),
        ("clusters: []", None, "can't be used"),
        (None, "nowhere", "nowhere"),
    ],
)
def test_a_kubeconfig_that_is_none(
    text: str | None, context: str | None, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    if text is None:
        kubeconfig(file, "https://127.0.0.1:1")
    else:
        file.write_text(text)
    with pytest.raises(Refused, match=told) as caught:
        KubeClient.connect(file, context)
    assert str(file) in caught.value.message


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        KubeClient.connect(tmp_path / "nothing")


def test_a_login_plugin_that_fails(tmp_path: Path) -> None:
    file = tmp_path / "config"
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "/nonexistent/plugin",
        "interactiveMode": "Never",
    }
    kubeconfig(file, "https://127.0.0.1:1")
    text = file.read_text().replace('{"token": "s3cr3t-token"}', f'{{"exec": {plugin}}}')
    file.write_text(text)
    with pytest.raises(Refused, match=r"login plugin failed: .*/nonexistent/plugin") as caught:
        KubeClient.connect(file)
    assert str(file) in caught.value.message


@pytest.mark.parametrize("error", [ConfigException("no id-token"), ApiException(0, "SSLError")])
def test_credentials_that_can_not_be_renewed(error: Exception) -> None:
    def renew(_configuration: Configuration) -> None:
        raise error

    configuration = Configuration(host="https://127.0.0.1:1", api_key={"BearerToken": "old"})
    configuration.refresh_api_key_hook = renew
    clock = Clock()
    transport = Transport(ClientAccess(configuration), clock=clock, user_agent="x")
    with pytest.raises(Refused, match=f"no credentials: {type(error).__name__}"):
        ask(KubeClient(transport, clock=clock))
    assert clock.slept == []
