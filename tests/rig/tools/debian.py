"""Packages of Debian, from wherever this machine gets its own.

No server is named here: URIs and keyring come from the machine's apt sources, only the suite is
replaced. apt verifies signatures as always; it works on lists and folders of its own, so a user
without root can do it and the machine's apt is left as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rig.tools.cache import cache_folder, locked

APT = Path("/etc/apt")
POLICY = Path("/usr/sbin/policy-rc.d")


class ToolError(Exception):
    """A program could not be had: what happened, and what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}\n  {hint}")


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where this machine gets Debian's main archive from."""

    uris: tuple[str, ...]
    signed_by: str

    def sources(self, suite: str) -> str:
        """Return the apt source (deb822) for another suite of the same archive."""
        lines = ["Types: deb", f"URIs: {' '.join(self.uris)}", f"Suites: {suite}"]
        lines += ["Components: main", *([f"Signed-By: {self.signed_by}"] if self.signed_by else [])]
        return "\n".join(lines) + "\n"


def _release() -> dict[str, str]:
    path = Path("/etc/os-release")
    lines = path.read_text().splitlines() if path.exists() else []
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


def is_debian() -> bool:
    """Tell whether this machine is Debian and has apt."""
    return _release().get("ID") == "debian" and shutil.which("apt-get") is not None


def codename() -> str:
    """Return this machine's own suite, `bookworm` say."""
    return _release().get("VERSION_CODENAME", "")


def mirror(folder: Path = APT, suite: str | None = None) -> Mirror:
    """Return the archive that serves this machine's own suite; raise ToolError without one."""
    wanted = suite or codename()
    for entry in _entries(folder):
        has = (entry.get("suites", "").split(), entry.get("components", "").split())
        if "deb" in entry.get("types", "").split() and wanted in has[0] and "main" in has[1]:
            return Mirror(tuple(entry["uris"].split()), entry.get("signed-by", ""))
    raise ToolError(f"no apt source for {wanted} main in {folder}", hint="is this machine Debian?")


def _entries(folder: Path) -> Iterator[Mapping[str, str]]:
    parts = folder / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        for block in path.read_text().split("\n\n"):
            yield _stanza(block)
    for path in [folder / "sources.list", *sorted(parts.glob("*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else []:
            if line.startswith("deb "):
                yield _one_line(line)


def _stanza(block: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            fields[name] += "\n" + line
        else:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
    return fields


def _one_line(line: str) -> dict[str, str]:
    rest = line.removeprefix("deb ").strip()
    options: dict[str, str] = {}
    if rest.startswith("["):
        inner, _, rest = rest[1:].partition("]")
        options = dict(word.partition("=")[::2] for word in inner.split())
    words = rest.split()
    if len(words) < 3:
        return {}
    fields = {"types": "deb", "uris": words[0], "suites": words[1]}
    fields["components"] = " ".join(words[2:])
    return fields | {"signed-by": options.get("signed-by", "")}


def unpack(
    packages: Sequence[str], suite: str, into: Path, *, source: Mirror | None = None
) -> None:
    """Unpack the packages (not what they depend on) of a suite into a folder; no root needed.

    They come from `source`, by default this machine's own archive, and only with a good signature.
    """
    with locked(f"apt-{suite}"), tempfile.TemporaryDirectory() as folder:
        apt = ["apt-get", "-q", *_private_apt(suite, source or mirror())]
        _run([*apt, "update"], cwd=folder)
        _run([*apt, "download", *packages], cwd=folder)
        into.mkdir(parents=True, exist_ok=True)
        for archive in sorted(Path(folder).glob("*.deb")):
            _run(["dpkg-deb", "-x", str(archive), str(into)], cwd=folder)


def _private_apt(suite: str, source: Mirror) -> list[str]:
    """Make apt's own folders for a suite; return the options that make it use nothing else."""
    root = cache_folder() / "apt" / suite
    for name in ("sources", "lists/partial", "archives/partial"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "sources" / "backstay.sources").write_text(source.sources(suite))
    (root / "status").touch()
    options = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": f"{root}/sources",
        "Dir::State": str(root),
        "Dir::State::Lists": f"{root}/lists",
        "Dir::State::Status": f"{root}/status",
        "Dir::Cache": str(root),
        "Dir::Cache::Archives": f"{root}/archives",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",  # root's cache folder is closed to apt's own user
        "APT::Update::Error-Mode": "any",
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def install(packages: Sequence[str]) -> None:
    """Install packages of this machine's own suite, as root; no service is started."""
    if os.geteuid() != 0 or not is_debian():
        raise ToolError(
            f"missing: {' '.join(packages)}", hint="install them; only root on Debian gets them"
        )
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    with locked("apt-install"), _no_services():
        _run([*command, "update"])
        _run([*command, "install", "-y", "--no-install-recommends", *packages])


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep a package from starting its service, unless the machine has a policy of its own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _run(argv: Sequence[str], *, cwd: str | None = None) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-10:])
        raise ToolError(f"{argv[0]} {argv[-1]} ended with {done.returncode}", hint=last)
