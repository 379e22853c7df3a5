"""Whether a commit is signed by somebody whom the installation allows: OpenSSH's signatures.

The allowed signers come from a Secret, in the format of ssh-keygen(1), section ALLOWED SIGNERS, and
never from the repository that they are for. git checks the signature with ssh-keygen; here stands
what may be asked of it, and what its answers mean. Only the tip is asked about: its signature
covers its tree, and with it everything that is read.

A key's time limits (``valid-before``) are held against the date that the commit gives itself, so
whoever has a stolen key can write a date at which it was valid: a stolen key is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.adapters.gitnames import check_sha
from reconciler.adapters.gitprocess import GitFolder
from reconciler.model.errors import BackstayError, Refused

KEY = "allowed_signers"
_LARGEST_COMMIT = 1 << 20
_KEY_TYPES = re.compile(r"(?:^|\s)(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+\s+AAAA[A-Za-z0-9+/=]+(?:\s|$)")
_SIGNED_BY = re.compile(r'Good "git" signature .*?with (\S+) key (SHA256:\S+)')
_LIMITS = (
    ("key has expired", "was valid only before the commit"),
    ("key is not yet valid", "becomes valid only after the commit"),
    ("not permitted for use in signature namespace", "is for other things than git"),
)


@dataclass(frozen=True, slots=True)
class AllowedSigners:
    """Lines of the file, and the name of where they were found."""

    source: str
    text: bytes = field(repr=False)


def parse_signers(data: Mapping[str, bytes], where: str) -> AllowedSigners:
    """The data of a Secret → whom to believe; raises Refused, naming a line that is none."""
    text = data.get(KEY, b"").decode("utf-8", "replace")
    found = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _KEY_TYPES.search(line) is None or _KEY_TYPES.match(line):
            raise Refused(
                f"line {number} of {KEY} of {where} is no allowed signer",
                hint="write: ann@example.org ssh-ed25519 AAAA… (see `man ssh-keygen`)",
            )
        found += 1
    if not found:
        raise Refused(
            f"{where} has no {KEY}" if KEY not in data else f"{KEY} of {where} allows nobody",
            hint=f"add the key {KEY}: one line per person, `ann@example.org ssh-ed25519 AAAA…`",
        )
    return AllowedSigners(where, text.encode())


def signer_configuration(signers: Path) -> tuple[tuple[str, str], ...]:
    """What git needs to know to check SSH signatures against a file of allowed signers."""
    return (
        ("gpg.format", "ssh"),
        ("gpg.ssh.allowedSignersFile", str(signers)),
        ("gpg.ssh.program", "ssh-keygen"),
        ("gpg.minTrustLevel", "fully"),
        # Whatever the commit says of itself, no other program is asked.
        ("gpg.program", "false"),
        ("gpg.openpgp.program", "false"),
        ("gpg.x509.program", "false"),
    )


class SignatureCheck:
    """Asks git about commits; ``file`` is where the signers are written for ssh-keygen."""

    def __init__(self, signers: AllowedSigners, file: Path) -> None:
        self._signers = signers
        self._file = file

    def check(self, repository: GitFolder, sha: str, name: str) -> None:
        """Raises Refused unless an allowed signer signed this commit of the ref ``name``."""
        # A tag stands for the commit that it names; what it says itself is not asked.
        peeled = repository.run(
            "rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}", what="find the commit"
        )
        sha = check_sha(peeled.stdout.decode().strip())
        self.check_commit(
            repository,
            sha,
            f"{name} of {repository.shown} is now {sha[:12]}, which is not applied",
            hint="sign with `git commit -S` and gpg.format=ssh; a merge made by the forge is"
            " signed by the forge's key, if at all",
        )

    def check_commit(self, repository: GitFolder, sha: str, what: str, *, hint: str) -> None:
        """The same for a commit; ``what`` begins the error, ``hint`` is for one without."""
        kind = self._kind_of_signature(repository, sha)
        if kind != "SSH":
            known = f"signed with {kind}, and only SSH signatures are known"
            raise Refused(f"{what}: it is {known if kind else 'not signed'}", hint=hint)
        self._file.write_bytes(self._signers.text)
        done = repository.run(
            "verify-commit",
            "--raw",
            sha,
            what="check a signature",
            accept=(0, 1),
            configuration=signer_configuration(self._file),
        )
        if done.code != 0:
            raise self._explain(what, done.stderr.decode("utf-8", "replace"))

    def _kind_of_signature(self, repository: GitFolder, sha: str) -> str:
        """``SSH``, another kind, or nothing."""
        done = repository.run(
            "cat-file", "commit", sha, what="read a commit", max_stdout=_LARGEST_COMMIT
        )
        head = done.stdout.partition(b"\n\n")[0]
        found = re.search(rb"^gpgsig -----BEGIN (\w+) ", head, re.MULTILINE)
        return found[1].decode("ascii", "replace") if found else ""

    def _explain(self, what: str, stderr: str) -> BackstayError:
        source = self._signers.source
        if "cannot run ssh-keygen" in stderr:
            return Refused("ssh-keygen is not installed", hint="install openssh-client")
        who = _SIGNED_BY.search(stderr)
        key = f"the {who[1]} key {who[2]}" if who else "a key"
        signed = f"{what}: it is signed with {key}"
        for phrase, says in _LIMITS:
            if phrase in stderr:
                return Refused(
                    f"{signed}, which in {source} {says}",
                    hint=f"sign again with a key that is valid, or correct {KEY}",
                )
        if who is None:
            return Refused(
                f"{what}: its signature does not fit what it signs",
                hint="it was changed after it was signed; find out who pushed it",
            )
        return Refused(
            f"{signed}, which {source} does not allow",
            hint=f"if you trust this key, add its line to {KEY}; if not, find out who pushed it",
        )
