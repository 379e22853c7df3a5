"""A real restic, a repository in a folder, and a real S3 server for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.resticrepo import ResticRepository
from reconciler.model.volumes import RepositoryAccess
from tests.rig import cheapkeys, tools
from tests.rig.servers import seaweedfs

PASSWORD = "marker-password-4bd1f0"


@dataclass(frozen=True, slots=True)
class Restic:
    """Opens repositories with the restic that the image ships."""

    binary: str
    cache: Path

    def open(
        self,
        url: str | Path,
        *,
        password: str = PASSWORD,
        keys: seaweedfs.Keys | None = None,
        patience: float = 5.0,
        copy_patience: float = 900.0,
        timeout: float = 600.0,
    ) -> ResticRepository:
        """The backend for one repository."""
        environment = {"RESTIC_PASSWORD": password, **(keys.environment() if keys else {})}
        access = RepositoryAccess(
            name="main", namespace="shop", url=str(url), secret="s", environment=environment
        )
        return ResticRepository(
            access,
            cache_dir=self.cache,
            retry_lock="1s",
            patience=patience,
            copy_patience=copy_patience,
            timeout=timeout,
            binary=self.binary,
        )


@pytest.fixture(scope="session")
def binary() -> str:
    """restic as the image has it."""
    return str(tools.restic_path())


@pytest.fixture
def restic(binary: str, tmp_path: Path) -> Restic:
    """Repositories with a cache of their own."""
    return Restic(binary, tmp_path / "cache")


@pytest.fixture(scope="session")
def template(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository, made once, whose password is cheap to check."""
    folder = tmp_path_factory.mktemp("template")
    Restic(binary, folder / "cache").open(folder / "repository").initialise()
    cheapkeys.cheapen(folder / "repository", PASSWORD)
    return folder / "repository"


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """The folder of a repository that was just made."""
    return Path(shutil.copytree(template, tmp_path / "repository"))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweedfs.SeaweedFS]:
    """A server for all tests; each takes its own bucket."""
    with seaweedfs.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[Callable[[], seaweedfs.SeaweedFS]]:
    """Starts a server that the test may kill, freeze and start again in the same folder."""
    folder = tmp_path / "s3"
    yield lambda: seaweedfs.start(folder)
    server = seaweedfs.load(folder)
    if server is not None:
        server.kill()
