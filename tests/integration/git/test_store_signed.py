"""Every commit of a store with a signing key is signed, as git itself and ssh-keygen see it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitsignature import AllowedSigners
from reconciler.adapters.gitsigning import (
    CommitSigner,
    SigningKey,
    parse_signing_key,
    parse_trusted,
)
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.cli import wiring
from reconciler.cli.doctor import World
from reconciler.model.errors import Bug, NotSupported, Refused
from reconciler.model.store import Write
from reconciler.policy import parse_config
from tests.integration.git.conftest import Executed
from tests.rig.policyrepo import PolicyRepository
from tests.rig.signing import Signer
from tests.unit.policy.yamltexts import CONFIG

WHEN = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
BRANCH = "clusters/prod/shop"
FILES = [Write("shop/configmap/a.yaml", b"a: 1\n"), Write("_run.yaml", b"kind: Run\n")]
MESSAGE = "Back up shop\n\nÄ line.\n\nBackstay-Policy: shop\n"
OpenStore = Callable[..., GitManifestStore]


@pytest.fixture
def robot(tmp_path: Path) -> Signer:
    """The key of the runs."""
    return Signer(tmp_path, "robot")


@pytest.fixture
def key(robot: Signer) -> SigningKey:
    """As it comes out of its Secret."""
    return parse_signing_key({"identity": robot.key.read_bytes()}, "Secret backstay-signing")


@pytest.fixture
def remote(tmp_path: Path) -> PolicyRepository:
    """An empty repository on this machine."""
    return PolicyRepository(tmp_path / "captures.git")


@pytest.fixture
def open_store(remote: PolicyRepository, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens stores on it, each with a folder of its own."""
    opened: list[GitManifestStore] = []

    def start(key: SigningKey | None, trusted: AllowedSigners | None = None) -> GitManifestStore:
        opened.append(
            GitManifestStore(
                remote.url,
                author_name="Backstay",
                author_email="backstay@example.org",
                credentials=GitCredentials(),
                workdir=tmp_path / f"work{len(opened)}",
                allow_local=True,
                signing_key=key,
                trusted=trusted,
            )
        )
        return opened[-1]

    yield start
    for store in opened:
        store.close()


def verify(remote: PolicyRepository, sha: str, signers: Path) -> str:
    """What `git verify-commit` says with exit code 0, else its error."""
    done = subprocess.run(
        ["git", "-C", remote.path, "-c", "gpg.format=ssh",
         "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", sha],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stderr if done.returncode == 0 else f"failed: {done.stderr}"


def test_git_finds_every_commit_signed_also_one_that_was_put_on_another_parent(
    open_store: OpenStore, remote: PolicyRepository, robot: Signer, key: SigningKey, tmp_path: Path
) -> None:
    store, other = open_store(key), open_store(None)
    first = store.commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
    second = store.commit(BRANCH, first, [Write("b", b"b")], "Two\n", when=WHEN)
    moved = store.reparent(second, first)
    assert moved == second, "an Ed25519 signature is the same each time"
    store.push({BRANCH: second})
    theirs = other.commit("clusters/prod/_cluster", None, FILES, "Theirs\n", when=WHEN)
    other.push({"clusters/prod/_cluster": theirs})
    orphan = store.reparent(second, None)
    store.push({"clusters/prod/wiki": orphan})

    signers = tmp_path / "signers"
    signers.write_bytes(robot.line() + b"\n")
    for sha in (first, second, orphan):
        assert f'Good "git" signature for {robot.name}@example.org' in verify(remote, sha, signers)
    assert verify(remote, theirs, signers).startswith("failed")
    signers.write_bytes(Signer(tmp_path, "eve").line() + b"\n")
    assert verify(remote, first, signers).startswith("failed")
    assert remote.git("fsck", "--strict") == ""


def test_what_is_signed_is_what_was_to_be_committed(
    open_store: OpenStore, remote: PolicyRepository, key: SigningKey
) -> None:
    plain = open_store(None).commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
    store = open_store(key)
    signed = store.commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
    assert signed != plain
    store.push({BRANCH: signed})
    assert remote.git("log", "-1", "--format=%an <%ae> %at %cn %ct%n%B", signed) == (
        "Backstay <backstay@example.org> 1795234623 Backstay 1795234623\n" + MESSAGE.rstrip("\n")
    )
    assert [found.trailers for found in store.log(BRANCH)] == [{"Backstay-Policy": "shop"}]
    assert store.read(signed, ["_run.yaml"]) == {"_run.yaml": b"kind: Run\n"}


def test_the_key_is_in_no_argument_and_gone_with_the_store(
    open_store: OpenStore, key: SigningKey, executed: Executed, tmp_path: Path
) -> None:
    store = open_store(key)
    executed()
    store.commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
    [file] = tmp_path.glob("work*/**/signing-key")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    ran = executed()
    programs = [Path(argv[0]).name for argv in ran]
    assert programs == ["git", "git", "ssh-keygen", "git"], "three processes more than without"
    body = key.private.decode().splitlines()[1:-1]
    assert not [line for argv in ran for line in body if line in " ".join(argv)]
    assert repr(key) == "SigningKey(source='Secret backstay-signing')"
    store.close()
    assert not list(tmp_path.glob("work*/**/signing-key"))


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ({}, Refused, "Secret s has no identity"),
        ({"identity": b""}, Refused, "Secret s has no identity"),
        ({"identity": b"ssh-ed25519 AAAA"}, Refused, "no private SSH key"),
        ({"identity": b"-----BEGIN ENCRYPTED PRIVATE KEY-----"}, NotSupported, "is encrypted"),
    ],
    ids=["no key", "an empty key", "a public key", "a password"],
)
def test_what_is_no_key_is_refused_before_anything_runs(
    data: dict[str, bytes], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        parse_signing_key(data, "Secret s")


def test_a_key_that_ssh_keygen_can_not_read_makes_no_commit(open_store: OpenStore) -> None:
    text = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
    store = open_store(parse_signing_key({"identity": text}, "Secret s"))
    with pytest.raises(Refused, match="can't sign with identity of Secret s") as caught:
        store.commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
    assert "AAAA" not in str(caught.value)
    assert "ssh-keygen -t ed25519" in caught.value.hint


def test_nothing_is_signed_twice(key: SigningKey, tmp_path: Path) -> None:
    signer = CommitSigner(key, tmp_path / "key")
    body = b"tree " + b"0" * 40 + b"\nauthor A <a@b> 0 +0000\n\nText\n"
    signed = signer.sign(body)
    assert signed.startswith(body.partition(b"\n\n")[0] + b"\ngpgsig -----BEGIN SSH SIGNATURE")
    with pytest.raises(Bug):
        signer.sign(signed)
    longer = signer.sign(body.replace(b"0" * 40, b"0" * 64, 1))
    assert b"\ngpgsig-sha256 -----BEGIN SSH SIGNATURE" in longer


def test_only_what_somebody_trusted_signed_is_restored(
    open_store: OpenStore, robot: Signer, key: SigningKey, tmp_path: Path
) -> None:
    eve = Signer(tmp_path, "eve")
    eves = parse_signing_key({"identity": eve.key.read_bytes()}, "Secret eve")
    made = {"mine": key, "theirs": eves, "unsigned": None}
    pushed = {}
    for name, signing in made.items():
        maker = open_store(signing)
        pushed[name] = maker.commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
        maker.push({f"clusters/prod/{name}": pushed[name]})

    own, line = {"identity": robot.key.read_bytes()}, {"allowed_signers": robot.line() + b"\n"}
    both = own | {"allowed_signers": eve.line()}
    for data, trusts_eve in ((own, False), (line, False), (both, True)):
        store = open_store(None, parse_trusted(data, "Secret backstay-signing"))
        for name in pushed:
            store.tip(f"clusters/prod/{name}")
        store.vouch(pushed["mine"])
        if trusts_eve:
            store.vouch(pushed["theirs"])
        else:
            with pytest.raises(Refused, match="is not restored: it is signed with the ED25519 key"):
                store.vouch(pushed["theirs"])
        with pytest.raises(Refused, match="is not restored: it is not signed") as caught:
            store.vouch(pushed["unsigned"])
        assert "take manifestStore.signingKey out" in caught.value.hint
    open_store(None).vouch(pushed["unsigned"])


def test_a_key_in_the_older_format_is_trusted_too(tmp_path: Path) -> None:
    file = tmp_path / "rsa"
    kind = ("-t", "rsa", "-b", "2048", "-m", "PEM")
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-f", file], check=True)
    public = Path(f"{file}.pub").read_bytes().split()[1]
    assert public in parse_trusted({"identity": file.read_bytes()}, "Secret s").text
    for data, says in (
        ({}, "has neither identity nor allowed_signers"),
        ({"identity": b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END"}, "no key that can"),
    ):
        with pytest.raises(Refused, match=says) as caught:
            parse_trusted(data, "Secret s")
        assert "AAAA\n" not in str(caught.value)


def test_who_writes_signs_and_who_reads_needs_no_key(
    robot: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    git, signing = tmp_path / "git", tmp_path / "signing"
    git.mkdir()
    signing.mkdir()
    (git / "identity").write_bytes(robot.key.read_bytes())
    (git / "known_hosts").write_text("git.example.org ssh-ed25519 AAAA\n")
    text = CONFIG.replace("secretRef: {name: git}", f"file: {git}").replace(
        "manifestStore: {", "manifestStore: {signingKey: {name: backstay-signing}, "
    )
    text += f"secrets: {{backstay-signing: {{file: {signing}}}}}\n"
    config = parse_config("backstay.yaml", text.encode())
    resolve = CredentialsResolver(reader=None, namespace="backstay-system")
    with wiring.manifest_store(config, resolve) as store:
        assert store.commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Refused, match=f"folder {signing}.*identity"):
        wiring.manifest_store(config, resolve, writes=True)
    with World(config, None, None) as world:
        doctor = world.open_ports(lambda: False)
        assert doctor.store() is not None, "doctor reads, and asks for the key by itself"
        with pytest.raises(Refused, match=f"folder {signing}.*identity"):
            doctor.signing()
    (signing / "identity").write_bytes(robot.key.read_bytes())
    with wiring.manifest_store(config, resolve, writes=True) as store:
        sha = store.commit(BRANCH, None, FILES, MESSAGE, when=WHEN)
        [folder] = (tmp_path / "cache").glob("git/manifests-*/repository.git")
        shown = subprocess.run(
            ["git", "-C", folder, "cat-file", "commit", sha], capture_output=True, check=True
        )
    assert b"\ngpgsig -----BEGIN SSH SIGNATURE" in shown.stdout
