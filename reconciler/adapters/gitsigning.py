"""Signs commits with an SSH key, as ``git commit -S`` with ``gpg.format=ssh`` does.

OpenSSH makes the signature; here stands where it goes: a header of the commit, behind the others,
its later lines indented by one space (gitformat-signature(5)). The key is one for this alone: it
need not open any server, and lies in a file that only we can read while the store is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from reconciler.adapters import process
from reconciler.adapters.gitcredentials import check_identity, write_private
from reconciler.adapters.gitenvironment import make_environment
from reconciler.adapters.gitsignature import KEY as SIGNERS
from reconciler.adapters.gitsignature import AllowedSigners, parse_signers
from reconciler.model.errors import Bug, Refused

KEY = "identity"
_NAMESPACE = "git"
_SECONDS = 30.0
_ARMOUR = b"-----BEGIN SSH SIGNATURE-----"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private SSH key, and the name of where it was found."""

    source: str
    private: bytes = field(repr=False)


def parse_signing_key(data: Mapping[str, bytes], where: str) -> SigningKey:
    """The data of a Secret → the key; raises Refused where it holds none that can be used."""
    private = data.get(KEY, b"")
    if not private:
        raise Refused(
            f"{where} has no {KEY}, and commits are to be signed with it",
            hint="make a key for this alone: `ssh-keygen -t ed25519 -N '' -f identity`",
        )
    check_identity(private, where)
    return SigningKey(where, private.rstrip() + b"\n")


def parse_trusted(data: Mapping[str, bytes], where: str) -> AllowedSigners:
    """The data of a Secret → whose commits are restored: the key's own, and allowed signers.

    One of both is enough, so a restore after the loss of the cluster needs no private key.
    """
    lines = [data.get(SIGNERS, b"")]
    if data.get(KEY):
        lines.append(b"backstay " + _public(parse_signing_key(data, where)))
    elif not lines[0]:
        raise Refused(
            f"{where} has neither {KEY} nor {SIGNERS}, and commits of runs must be signed",
            hint=f"give it {SIGNERS}, a line `backstay ssh-ed25519 AAAA…`: docs/signing.md",
        )
    return parse_signers({SIGNERS: b"\n".join(lines)}, where)


def _public(key: SigningKey) -> bytes:
    openssh = key.private.startswith(b"-----BEGIN OPENSSH ")
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        public = load(key.private, None).public_key()
        return public.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # What it says may quote the key.
        raise Refused(
            f"{KEY} of {key.source} is no key that can be read",
            hint="make a key for this alone: `ssh-keygen -t ed25519 -N '' -f identity`",
        ) from error


class CommitSigner:
    """Signs raw commits; ``file`` is where the key lies for ssh-keygen."""

    def __init__(self, key: SigningKey, file: Path) -> None:
        self._key = key
        self._file = write_private(file, key.private)

    def sign(self, commit: bytes) -> bytes:
        """A commit object without a signature → the same with one. One process."""
        head, separator, message = commit.partition(b"\n\n")
        if not separator or b"\ngpgsig" in head:
            raise Bug("only a commit without a signature can be signed")
        done = process.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", _NAMESPACE, "-f", str(self._file)],
            env=make_environment(),
            cwd=self._file.parent,
            stdin=commit,
            deadline=_SECONDS,
        )
        if done.code != 0 or not done.stdout.startswith(_ARMOUR):
            # What ssh-keygen says names the file at most; the key itself it never shows.
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Refused(
                f"ssh-keygen can't sign with {KEY} of {self._key.source}"
                + (f": {said[-1]}" if said else ""),
                hint="make a key for this alone: `ssh-keygen -t ed25519 -N '' -f identity`",
            )
        # A repository of SHA-256 has a header of its own name.
        tree = head.partition(b"\n")[0].removeprefix(b"tree ")
        name = b"gpgsig" if len(tree) == 40 else b"gpgsig-sha256"
        lines = done.stdout.rstrip(b"\n").split(b"\n")
        return head + b"\n" + name + b" " + b"\n ".join(lines) + separator + message
