"""The image is small, has nothing to build with, runs as nobody on a read-only file system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.image import Image, ensure_image
from tests.rig.image.buildah import buildah, container_name, remove_abandoned
from tests.rig.image.inputs import PROJECT, copy_inputs
from tests.rig.image.mounted import mounted, run_read_only
from tests.rig.image.size import MB, config, layers
from tests.rig.tools.cache import cache_folder, locked

LARGEST = 450 * MB
UNWANTED = ("pip*", "gcc*", "cc", "make", "uv", "curl", "wget", "sudo", "apt-key")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what the image is made of, so that it stays the same while these tests run."""
    folder = tmp_path_factory.mktemp("project")
    copy_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def image(project: Path) -> Image:
    """Build the image, or find it."""
    return ensure_image(project)


@pytest.fixture(scope="module")
def root(image: Image) -> Iterator[Path]:
    """Mount the image's root file system."""
    with mounted(image) as folder:
        yield folder


def test_image_is_smaller_than_promised(image: Image) -> None:
    """Unpacked, with everything; docs/image.md says where it goes."""
    assert sum(layer.size for layer in layers(image.archive)) < LARGEST


def test_the_page_tells_the_truth_about_the_size(image: Image) -> None:
    """The total in docs/image.md is the measured one, give or take a tenth."""
    page = (PROJECT / "docs/image.md").read_text()
    told = re.search(r"\*\*([\d.]+)\*\* \| \*\*all\*\*", page)
    assert told is not None
    measured = sum(layer.size for layer in layers(image.archive)) / MB
    assert float(told[1]) == pytest.approx(measured, rel=0.1)


def test_image_is_found_again(project: Path, image: Image) -> None:
    """Same inputs, same name, no second build; the archive lies in the cache."""
    assert re.fullmatch(r"localhost/backstay:[0-9a-f]{16}", image.name)
    assert image.archive.is_relative_to(cache_folder())
    before = image.archive.stat().st_ino
    assert ensure_image(project) == image
    assert image.archive.stat().st_ino == before


def test_a_change_of_code_renews_the_last_layer_only(project: Path, image: Image) -> None:
    """Another name, but a node that has the old image gets a layer of few megabytes."""
    code = project / "reconciler" / "__init__.py"
    text = code.read_text()
    code.write_text(text + "# changed\n")
    try:
        changed = ensure_image(project)
    finally:
        code.write_text(text)
    old, new = layers(image.archive), layers(changed.archive)
    assert [layer.digest for layer in new[:-1]] == [layer.digest for layer in old[:-1]]
    assert new[-1].digest != old[-1].digest
    assert new[-1].size < 10 * MB


def test_user_has_no_rights_and_an_entry(image: Image, root: Path) -> None:
    """A numeric user (Kubernetes must see that it is not root), known to ssh by name."""
    settings = config(image.archive)
    assert settings["User"] == "65532:65532"
    assert settings["Entrypoint"] == ["tini", "--", "backstay"]
    assert "HOME=/tmp" in settings["Env"]
    passwd = (root / "etc/passwd").read_text()
    assert "backstay:x:65532:65532:Backstay:/tmp:" in passwd


def test_nothing_to_build_or_download_with_is_left(root: Path) -> None:
    """No pip, compiler or downloader, no package lists, no cache, nothing of the build."""
    folders = ("usr/bin", "usr/local/bin", "opt/backstay/bin")
    found = [path for folder in folders for name in UNWANTED for path in (root / folder).glob(name)]
    assert found == []
    assert not list(root.glob("opt/backstay/lib/python3.*/site-packages/pip"))
    assert not [path for path in (root / "var/lib/apt/lists").rglob("*") if path.is_file()]
    assert not [path for path in (root / "var/cache/apt").rglob("*") if path.is_file()]
    assert not (root / "etc/pip.conf").exists()
    assert [path.name for path in (root / "opt").iterdir()] == ["backstay"]


def test_no_program_gives_rights(root: Path) -> None:
    """Nothing of ours is writable for its user, and nothing in /opt is set-uid."""
    for path in (root / "opt").rglob("*"):
        if not path.is_symlink():
            assert path.lstat().st_mode & 0o6022 == 0, path
            assert path.lstat().st_uid == 0, path


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("backstay", "--version"), r"backstay \d+\.\d+"),
        (("git", "--version"), r"git version 2\.(4[7-9]|[5-9]\d)"),
        (("restic", "version"), r"restic 0\.(18|19|[2-9]\d)"),
        (("python", "-c", "import pwd, os; print(pwd.getpwuid(os.getuid())[0])"), "backstay"),
        (("python", "-c", "import kubernetes.client, git; print('clients')"), "clients"),
    ],
)
def test_programs_run_on_a_read_only_root(
    image: Image, root: Path, argv: tuple[str, ...], expected: str
) -> None:
    """Each program that a role starts answers, though nothing can be written."""
    done = run_read_only(image, root, *argv)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(expected, done.stdout)


def test_process_1_hands_on_signals_and_exit_codes(image: Image, root: Path) -> None:
    """What stands before backstay is not noticed: neither by the kubelet nor by backstay."""
    before = config(image.archive)["Entrypoint"]
    said = run_read_only(image, root, *before, "--version")
    assert (said.returncode, said.stdout[:9]) == (0, "backstay ")
    assert run_read_only(image, root, *before, "no-such-verb").returncode == 2
    ends = "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
    # Short sleeps: a signal that comes just before a long wait would not end it.
    told = f"{ends}; os.kill(os.getppid(), signal.SIGTERM); [time.sleep(0.1) for _ in range(500)]"
    assert run_read_only(image, root, *before[:-1], "python", "-c", told).returncode == 7


def test_root_is_read_only_in_these_tests(image: Image, root: Path) -> None:
    """The tests above would not notice a writable root file system; this one does."""
    done = run_read_only(image, root, "touch", "/tmp/x")
    assert "Read-only file system" in done.stderr


def test_code_is_compiled(image: Image, root: Path) -> None:
    """Python finds byte code that it takes without looking at the source's time."""
    code = "import reconciler.model.run as m; print(m.__cached__)"
    cached = run_read_only(image, root, "python", "-c", code).stdout.strip()
    header = (root / cached.lstrip("/")).read_bytes()[:8]
    assert header[4:] == b"\x01\x00\x00\x00"  # PEP 552: hash-based, not checked


def test_what_killed_processes_left_is_removed(image: Image) -> None:
    """A container of a dead process or of a build that was killed goes; one of a live one stays."""
    never = 1 << 30  # no process gets such a number; that of one that ended, another one may get
    names = [f"backstay-{never}-00000000", "debian-working-container", container_name()]
    for name in names:
        buildah("from", "--pull-never", "--name", name, image.name)
    try:
        with locked("image"):
            remove_abandoned()
        left = buildah("containers", "--format", "{{.ContainerName}}").split()
        assert [name in left for name in names] == [False, False, True]
    finally:
        buildah("rm", names[2])
