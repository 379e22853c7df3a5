"""Opens the policy source that Config names: a Git repository, or a folder of this machine.

``file://`` may name either. What has a ``.git`` folder, or is bare, is a repository, and what was
committed to ``ref`` counts; a folder that git-sync publishes has a file of that name and is read
as it lies there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import unquote

from reconciler import ports
from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.foldersource import FolderPolicySource
from reconciler.adapters.gitcredentials import GitCredentials, parse_credentials
from reconciler.adapters.gitsignature import AllowedSigners, parse_signers
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError, Incomplete, Refused
from reconciler.model.store import PolicyFiles

_LOCAL = "file://"


class PolicySource(ports.PolicySource, Protocol):
    """The port, as something that is opened and closed."""

    def close(self) -> None:
        """Lets go of what it holds."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Unopened:
    """A source that can't be opened now, because of its keys, say: fetching tells why.

    So a Secret that is gone or wrong is a source that fails, like a server that refuses it: the
    policies in force are shown with it, and Config is good all the same.
    """

    def __init__(self, why: BackstayError) -> None:
        self._why = why

    def fetch(self, last: str | None) -> PolicyFiles:  # noqa: ARG002 - as the port has it
        """Raises what kept it from being opened."""
        raise self._why


def read_keys(config: Config, resolve: CredentialsResolver) -> tuple[Mapping[str, bytes], ...]:
    """The keys of all Secrets that the source needs: where they changed it is opened anew."""
    source = config.policy_source
    needed = [source.credentials] if source.credentials else []
    if source.signers:
        needed.append(config.credentials_of(source.signers))
    return tuple(resolve.resolve(credentials).data for credentials in needed)


def open_source(config: Config, resolve: CredentialsResolver, *, workdir: Path) -> PolicySource:
    """The source, ready to fetch; ``workdir`` is for clones. The caller closes it."""
    source = config.policy_source
    local = source.url.startswith(_LOCAL)
    if local and not _is_repository(folder := _folder(source.url)):
        if source.signers:
            raise Refused(
                f"policySource.verify needs a Git repository, and {folder} is none",
                hint="remove verify, or let policySource.url name the repository",
            )
        return FolderPolicySource(folder, ref=source.ref, path=source.path)
    return GitPolicySource(
        source.url,
        ref=source.ref,
        path=source.path,
        credentials=_credentials(config, resolve),
        workdir=workdir,
        allow_local=local,
        signers=_signers(config, resolve),
    )


def _folder(url: str) -> Path:
    path = unquote(url.removeprefix(_LOCAL))
    if not path.startswith("/") or "\0" in path:
        raise Refused(
            f"policySource.url {url} names no folder", hint="write file:///, and an absolute path"
        )
    return Path(path)


def _is_repository(folder: Path) -> bool:
    try:
        folder.stat()
        bare = (folder / "objects").is_dir() and (folder / "HEAD").is_file()
        return bare or (folder / ".git").is_dir()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Incomplete(
            f"there is no folder {folder}",
            hint="whoever publishes it (git-sync, a mount) has not yet, or the path is wrong",
        ) from error
    except OSError as error:
        raise Refused(
            f"{folder} can't be read: {error.strerror or error}",
            hint="let the user that runs this read the folder and enter all above it",
        ) from error


def _credentials(config: Config, resolve: CredentialsResolver) -> GitCredentials:
    credentials = config.policy_source.credentials
    if credentials is None:
        return GitCredentials()
    found = resolve.resolve(credentials)
    return parse_credentials(found.data, found.source)


def _signers(config: Config, resolve: CredentialsResolver) -> AllowedSigners | None:
    if not config.policy_source.signers:
        return None
    found = resolve.resolve(config.credentials_of(config.policy_source.signers))
    return parse_signers(found.data, found.source)
