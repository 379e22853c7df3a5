"""Only what an allowed signer signed is read: real keys of ssh-keygen, and real tampering."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitsignature import parse_signers
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.model.errors import Refused
from reconciler.model.store import Descends
from tests.integration.git.conftest import Executed
from tests.integration.git.test_store_cache import commands
from tests.rig.policyrepo import PolicyRepository
from tests.rig.signing import Signer

GOOD = {"policies/shop.yaml": b"kind: BackupPolicy\n"}
OpenSource = Callable[[bytes], GitPolicySource]


@pytest.fixture
def repository(tmp_path: Path) -> PolicyRepository:
    """A policy repository without a commit."""
    return PolicyRepository(tmp_path / "policies.git")


@pytest.fixture
def ann(tmp_path: Path) -> Signer:
    """Who is allowed."""
    return Signer(tmp_path, "ann")


@pytest.fixture
def eve(tmp_path: Path) -> Signer:
    """Who is not."""
    return Signer(tmp_path, "eve")


@pytest.fixture
def open_source(repository: PolicyRepository, tmp_path: Path) -> Iterator[OpenSource]:
    """Opens sources on it that believe the signers of a text; one at a time, with one cache."""
    opened: list[GitPolicySource] = []

    def start(signers: bytes) -> GitPolicySource:
        if opened:
            opened.pop().close()
        opened.append(
            GitPolicySource(
                repository.url,
                ref="main",
                path="policies",
                credentials=GitCredentials(),
                workdir=tmp_path / "work",
                allow_local=True,
                signers=parse_signers({"allowed_signers": signers}, "Secret signers"),
            )
        )
        return opened[-1]

    yield start
    for source in opened:
        source.close()


def test_what_an_allowed_signer_signed_is_read(
    repository: PolicyRepository, ann: Signer, open_source: OpenSource
) -> None:
    first = ann.push(repository, GOOD)
    source = open_source(b"# the team\n\n" + ann.line('namespaces="git"') + b"\n")
    assert source.fetch(None).revision == first
    second = ann.push(repository, GOOD | {"policies/b.yaml": b"1"})
    fetched = source.fetch(first)
    assert (fetched.revision, fetched.descends) == (second, Descends.YES)
    assert set(fetched.files) == {"policies/shop.yaml", "policies/b.yaml"}


def test_a_signature_is_asked_for_once_for_each_revision(
    repository: PolicyRepository, ann: Signer, open_source: OpenSource, executed: Executed
) -> None:
    revision = ann.push(repository, GOOD)
    source = open_source(ann.line())
    executed()
    source.fetch(None)
    assert commands(executed).count("verify-commit") == 1
    source.fetch(revision)
    assert commands(executed) == ["ls-remote"]


def test_unsigned_and_foreign_commits_are_not_read_and_the_next_good_one_is(
    repository: PolicyRepository, ann: Signer, eve: Signer, open_source: OpenSource
) -> None:
    good = ann.push(repository, GOOD)
    source = open_source(ann.line())
    source.fetch(None)
    repository.push(GOOD | {"policies/evil.yaml": b"1"})
    for _ in range(2):
        with pytest.raises(Refused, match="not applied: it is not signed") as unsigned:
            source.fetch(good)
        assert "commit -S" in unsigned.value.hint
    bad = eve.push(repository, GOOD | {"policies/evil.yaml": b"2"})
    with pytest.raises(Refused) as foreign:
        source.fetch(good)
    said = foreign.value.message
    assert f"signed with the ED25519 key {eve.fingerprint}, which Secret signers does not" in said
    assert bad.rpartition(":")[2][:12] in said
    fixed = ann.push(repository, GOOD)
    assert source.fetch(good).revision == fixed


def test_a_restart_does_not_make_an_unsigned_commit_good(
    repository: PolicyRepository, ann: Signer, open_source: OpenSource
) -> None:
    repository.push(GOOD)
    for _ in range(2):
        with pytest.raises(Refused, match="it is not signed"):
            open_source(ann.line()).fetch(None)


def test_a_signer_who_is_taken_out_is_believed_no_more(
    repository: PolicyRepository, ann: Signer, eve: Signer, open_source: OpenSource
) -> None:
    ann.push(repository, GOOD)
    assert open_source(ann.line() + b"\n" + eve.line()).fetch(None).files
    with pytest.raises(Refused, match="does not allow"):
        open_source(eve.line()).fetch(None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ('valid-before="20200101"', "was valid only before the commit"),
        ('valid-after="20990101"', "becomes valid only after the commit"),
        ('namespaces="file"', "is for other things than git"),
        ('valid-before="20990101"', ""),
        ('valid-after="20200101",namespaces="git,file"', ""),
    ],
)
def test_the_limits_of_a_key(
    repository: PolicyRepository, ann: Signer, open_source: OpenSource, options: str, says: str
) -> None:
    ann.push(repository, GOOD, when="2026-11-21T04:17:03Z")
    source = open_source(ann.line(options))
    if not says:
        assert dict(source.fetch(None).files) == GOOD
        return
    with pytest.raises(Refused, match=says) as caught:
        source.fetch(None)
    # Of a key for another purpose ssh-keygen says no more.
    assert ann.fingerprint in caught.value.message or "namespaces" in options
    assert "Secret signers" in caught.value.message


def signed(repository: PolicyRepository, ann: Signer) -> tuple[str, str]:
    """A signed commit and the text of its object."""
    sha = ann.push(repository, GOOD).rpartition(":")[2]
    return sha, repository.git("cat-file", "commit", sha)


def store(repository: PolicyRepository, text: str) -> None:
    """A commit object with this text becomes the tip."""
    data = f"{text}\n".encode()
    repository.move(repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=data))


def test_a_signature_on_another_tree_is_not_believed(
    repository: PolicyRepository, ann: Signer, open_source: OpenSource
) -> None:
    sha, text = signed(repository, ann)
    evil = repository.push({"policies/evil.yaml": b"1"}).rpartition(":")[2]
    before, after = (repository.git("rev-parse", f"{commit}^{{tree}}") for commit in (sha, evil))
    store(repository, text.replace(before, after))
    with pytest.raises(Refused, match="does not fit what it signs"):
        open_source(ann.line()).fetch(None)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Change policies", "Change something", "does not fit what it signs"),
        (" U1NIU0lH", " AAAAAAAA", "does not fit what it signs"),
        ("BEGIN SSH SIGNATURE", "BEGIN PGP SIGNATURE", "signed with PGP, and only SSH"),
        ("BEGIN SSH SIGNATURE", "BEGIN SIGNED MESSAGE", "signed with SIGNED, and only SSH"),
        ("gpgsig ", "gpgsig-sha256 ", "it is not signed"),
        ("gpgsig ", "x-gpgsig ", "it is not signed"),
    ],
)
def test_a_commit_that_was_changed_after_it_was_signed(
    repository: PolicyRepository,
    ann: Signer,
    open_source: OpenSource,
    old: str,
    new: str,
    says: str,
) -> None:
    _, text = signed(repository, ann)
    assert old in text
    store(repository, text.replace(old, new, 1))
    with pytest.raises(Refused, match=says):
        open_source(ann.line()).fetch(None)


def test_a_tag_stands_for_the_commit_that_it_names(
    repository: PolicyRepository, ann: Signer, tmp_path: Path
) -> None:
    sha = ann.push(repository, GOOD).rpartition(":")[2]
    repository.git("tag", "-a", "-m", "one", "v1", sha)
    unsigned = repository.push(GOOD).rpartition(":")[2]
    repository.git(
        "-c", "gpg.format=ssh", "-c", f"user.signingKey={ann.key}", "tag", "-s", "-m", "2", "v2",
        unsigned,
    )  # fmt: skip
    for tag, good in (("v1", True), ("v2", False)):
        with GitPolicySource(
            repository.url,
            ref=f"refs/tags/{tag}",
            path="policies",
            credentials=GitCredentials(),
            workdir=tmp_path / tag,
            allow_local=True,
            signers=parse_signers({"allowed_signers": ann.line()}, "Secret signers"),
        ) as source:
            if good:
                assert dict(source.fetch(None).files) == GOOD
                continue
            with pytest.raises(Refused, match="it is not signed"):
                source.fetch(None)
