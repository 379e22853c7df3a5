"""A history that is made anew: what the runs signed is signed again, and nobody else's commit."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters import gitwalk
from reconciler.adapters.gitcommit import write_object
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitprocess import GitFolder
from reconciler.adapters.gitresign import Signing
from reconciler.adapters.gitrewrite import HistoryRewriter
from reconciler.adapters.gitsigning import SigningKey, parse_signing_key, parse_trusted
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.capture.purging import Purge
from reconciler.engine.purging import Person, Purged, purge_branch
from reconciler.model.errors import Refused
from reconciler.model.store import Write
from tests.rig.signing import Signer

WHEN = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
BRANCH = "clusters/prod/shop"
PLACE = "shop/configmap/a.yaml"
LEAK = "correct horse battery"


class World:
    """A branch with commits of the robot, of a stranger, and of one before there was a key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "clone.git"
        self.robot, self.eve = Signer(folder, "robot"), Signer(folder, "eve")
        subprocess.run(["git", "init", "-q", "--bare", self.clone], check=True)
        self.ids: list[str] = []
        for signer, text in (
            (self.robot, b"a: clean\n"),
            (None, f"a: {LEAK}\n".encode()),
            (self.robot, f"b: {LEAK}\n".encode()),
            (self.eve, b"a: eve\n"),
            (None, b"a: nobody\n"),
            (self.robot, b"a: mended\n"),
        ):
            self._commit(signer, text)
        self.git = GitFolder(self.clone, None, deadline=60)
        self.allowed = folder / "allowed"
        self.allowed.write_bytes(self.robot.line() + b"\n")

    def key_of(self, signer: Signer) -> SigningKey:
        """As it comes out of a Secret."""
        return parse_signing_key({"identity": signer.key.read_bytes()}, signer.name)

    def _commit(self, signer: Signer | None, text: bytes) -> None:
        with GitManifestStore(
            local_url(self.clone), author_name="B", author_email="b@example.org",
            credentials=GitCredentials(), workdir=self.folder / "work", allow_local=True,
            signing_key=self.key_of(signer) if signer else None,
        ) as store:  # fmt: skip
            tip = store.tip(BRANCH)
            made = store.commit(BRANCH, tip, [Write(PLACE, text)], "one\n", when=WHEN)
            store.push({BRANCH: made})
            self.ids.append(made)

    def purge(self, signing: Signing | None, tip: str = "") -> Purged:
        """Takes the value out."""
        person = Person(author=b"x <x@example.org>", reason="x")
        with HistoryRewriter(self.clone, signing) as rewriter:
            made = purge_branch(
                rewriter, "shop", BRANCH, tip or self.ids[-1], Purge([LEAK]), person, now=WHEN
            )
        assert made is not None
        return made

    def faults(self, tip: str) -> list[str]:
        """What is wrong with each signature, oldest commit first."""
        done = self.git.run("rev-list", "--reverse", tip, what="list")
        return [
            why
            for _, why in gitwalk.check_signatures(
                self.git, done.stdout.decode().split(), self.allowed
            )
        ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("signed"))


def test_what_was_signed_is_signed_again_and_nothing_else(world: World) -> None:
    key = world.key_of(world.robot)
    trusted = parse_trusted({"identity": key.private}, "robot")
    before = world.faults(world.ids[-1])
    nobody, foreign = "it is not signed", "it is signed with a key that is not allowed"
    assert before == ["", nobody, "", foreign, nobody, ""]
    made = world.purge(Signing(key, trusted))
    assert (made.signed, made.after) == (2, world.ids[0])
    # Eve's commit is not vouched for, and its own signature fits no more; the mark is signed.
    assert world.faults(made.new) == ["", nobody, "", nobody, nobody, "", ""]
    shown = world.git.run("log", "--format=%s %at %ct %an", made.new, what="show").stdout
    old = world.git.run("log", "--format=%s %at %ct %an", world.ids[-1], what="show").stdout
    assert shown.splitlines()[1:] == old.splitlines()
    texts = world.git.run("log", "-p", made.new, what="show").stdout.decode()
    assert LEAK not in texts
    assert "purged-by-backstay" in texts
    world.git.run("fsck", "--strict", what="check")


def test_without_a_key_they_are_unsigned(world: World) -> None:
    made = world.purge(None)
    assert made.signed == 0
    assert world.faults(made.new) == ["", *["it is not signed"] * 6]


def test_a_key_that_can_not_sign_makes_nothing(world: World) -> None:
    broken = SigningKey("Secret backstay-signing", b"-----BEGIN OPENSSH PRIVATE KEY-----\nno\n")
    trusted = parse_trusted({"identity": world.robot.key.read_bytes()}, "robot")
    before = world.git.references("refs/")
    with pytest.raises(Refused, match="ssh-keygen can't sign with identity of Secret backstay-s"):
        world.purge(Signing(broken, trusted))
    assert world.git.references("refs/") == before


def test_a_signed_commit_and_its_twin_are_no_way_to_stop_it_with_a_fault(world: World) -> None:
    """Without their signatures both are one commit, so that there is one less than before."""
    signed = world.ids[-1]
    raw = world.git.run("cat-file", "commit", signed, what="read").stdout
    head, _, rest = raw.partition(b"\n\n")
    lines = head[: head.index(b"\ngpgsig ")]
    twin = write_object(world.git, "commit", lines + b"\n\n" + rest)
    tree, *_ = lines.split(b"\n")
    who = next(line for line in lines.split(b"\n") if line.startswith(b"committer "))
    parents = f"parent {signed}\nparent {twin}\n".encode()
    author = who.replace(b"committer", b"author", 1)
    body = tree + b"\n" + parents + author + b"\n" + who + b"\n\nmerge\n"
    merge = write_object(world.git, "commit", body)
    key = world.key_of(world.robot)
    with pytest.raises(Refused, match=f"^{merge} is a merge"):
        world.purge(Signing(key, parse_trusted({"identity": key.private}, "robot")), merge)
    made = world.purge(None, merge)
    assert LEAK not in world.git.run("log", "-p", made.new, what="show").stdout.decode()
