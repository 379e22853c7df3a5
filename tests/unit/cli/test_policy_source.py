"""Config → the source that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.foldersource import FolderPolicySource
from reconciler.cli import policysource
from reconciler.model.config import Config
from reconciler.model.errors import Incomplete, Refused
from tests.unit.policy.yamltexts import HEAD, config

SIGNERS = b"ann@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJustATest\n"
TEXT = """\
kind: Config
cluster: {name: prod-eu}
policySource:
  url: %s
  path: policies
%smanifestStore:
  url: ssh://git@git.example.org/manifests.git
image: registry.example.org/backstay:1
"""


def make_config(url: str, *more: str) -> Config:
    """A Config with this policy source."""
    return config(HEAD + TEXT % (url, "".join(f"  {line}\n" for line in more)))


def resolver(mounted: Path, secrets: Mapping[str, Mapping[str, bytes]]) -> CredentialsResolver:
    """Secrets as they are mounted into the controller."""
    for name, data in secrets.items():
        folder = mounted / name
        folder.mkdir(parents=True)
        for key, value in data.items():
            (folder / key).write_bytes(value)
    return CredentialsResolver(reader=None, namespace="backstay-system", mounted=mounted)


def test_a_plain_folder_and_the_worktree_of_git_sync_are_read_as_they_lie_there(
    tmp_path: Path,
) -> None:
    place = tmp_path / "with space"
    (place / "policies").mkdir(parents=True)
    (place / "policies/shop.yaml").write_bytes(b"x")
    (place / ".git").write_text("gitdir: elsewhere\n")
    url = f"file://{tmp_path}/with%20space"
    keys = resolver(tmp_path / "mounted", {})
    with policysource.open_source(make_config(url), keys, workdir=tmp_path) as source:
        assert isinstance(source, FolderPolicySource)
        assert dict(source.fetch(None).files) == {"policies/shop.yaml": b"x"}


def test_a_folder_that_is_not_there_is_waited_for_and_one_without_a_path_is_not(
    tmp_path: Path,
) -> None:
    keys = resolver(tmp_path / "mounted", {})
    with pytest.raises(Incomplete, match="there is no folder"):
        policysource.open_source(make_config(f"file://{tmp_path}/none"), keys, workdir=tmp_path)
    with pytest.raises(Refused, match="names no folder"):
        policysource.open_source(make_config("file://host/path"), keys, workdir=tmp_path)


def test_a_folder_has_no_signature(tmp_path: Path) -> None:
    keys = resolver(tmp_path / "mounted", {"who": {"allowed_signers": SIGNERS}})
    asked = make_config(f"file://{tmp_path}", "verify: {secretRef: {name: who}}")
    with pytest.raises(Refused, match="verify needs a Git repository"):
        policysource.open_source(asked, keys, workdir=tmp_path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "has no allowed_signers"),
        ({"identity": b"x"}, "has no allowed_signers"),
        ({"allowed_signers": b"# nobody\n\n"}, "allows nobody"),
        ({"allowed_signers": SIGNERS + b"ann ssh-ed25519\n"}, "line 2 of allowed_signers"),
        ({"allowed_signers": b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n"}, "line 1 of"),
        ({"allowed_signers": b"-----BEGIN OPENSSH PRIVATE KEY-----\n"}, "line 1 of"),
    ],
)
def test_signers_that_allow_nobody_are_no_leave_for_everybody(
    tmp_path: Path, data: dict[str, bytes], says: str
) -> None:
    keys = resolver(tmp_path / "mounted", {"who": data})
    asked = make_config("https://git.example.org/p.git", "verify: {secretRef: {name: who}}")
    with pytest.raises(Refused, match=says) as caught:
        policysource.open_source(asked, keys, workdir=tmp_path)
    assert "Secret backstay-system/who" in caught.value.message
    assert "OPENSSH" not in caught.value.message + caught.value.hint


def test_the_keys_that_a_source_is_made_of(tmp_path: Path) -> None:
    secrets = {"git": {"bearerToken": b"t"}, "who": {"allowed_signers": SIGNERS}}
    keys = resolver(tmp_path / "mounted", secrets)
    url = "https://git.example.org/p.git"
    assert policysource.read_keys(make_config(url), keys) == ()
    both = make_config(url, "secretRef: {name: git}", "verify: {secretRef: {name: who}}")
    assert policysource.read_keys(both, keys) == (secrets["git"], secrets["who"])
    (tmp_path / "mounted/who/allowed_signers").write_bytes(b"another")
    assert policysource.read_keys(both, keys)[1] == {"allowed_signers": b"another"}


def test_signers_may_lie_elsewhere_where_secrets_cant_be_read(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/allowed_signers").write_bytes(SIGNERS)
    text = HEAD + TEXT % ("https://h/p.git", "  verify: {secretRef: {name: who}}\n")
    asked = config(text + f"secrets: {{who: {{file: {tmp_path}/keys}}}}\n")
    keys = resolver(tmp_path / "mounted", {})
    assert policysource.read_keys(asked, keys) == ({"allowed_signers": SIGNERS},)
    with policysource.open_source(asked, keys, workdir=tmp_path / "work"):
        pass


def test_a_folder_that_the_disk_refuses_to_look_at_is_an_error_with_a_way_on(
    tmp_path: Path,
) -> None:
    # A name that is too long stands for a folder that may not be entered, which root always may.
    there = make_config(f"file://{tmp_path}/{'x' * 300}")
    with pytest.raises(Refused, match="can't be read") as caught:
        policysource.open_source(there, resolver(tmp_path / "mounted", {}), workdir=tmp_path)
    assert "enter" in caught.value.hint
