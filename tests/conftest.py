"""What every test gets: a tier from its directory, time limits, a clean environment, golden files.

A unit test has two seconds of this process' CPU: how much else the machine has to do is no bug.
The limits by the clock are for what hangs.

The environment is cleaned in two steps. What could point a test at somebody's real Git, cluster or
backups goes for the whole session, before any fixture starts. HOME and proxies go around each test
only: fixtures of the session may have to build things first, and need them for that.
"""

from __future__ import annotations

import difflib
import gc
import os
import re
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.rig.groups import Groups
from tests.rig.sampling import sampled
from tests.rig.tools.cache import cache_folder

TESTS = Path(__file__).parent
# Seconds per test. A cluster test's limit leaves out fixtures: the first may build Kubernetes.
LIMITS = {"unit": 60, "contract": 300, "integration": 300, "system": 300, "cluster": 1800}
UNIT_CPU_LIMIT = 2
# A property is many tests, and the first one of a clean checkout builds hypothesis' Unicode tables.
PROPERTY_CPU_LIMIT = 20
FOREIGN = re.compile(
    r"GIT_.*|KUBECONFIG|KUBERNETES_.*|RESTIC_.*|AWS_.*|SSH_AUTH_SOCK|SSH_ASKPASS|BACKSTAY_(?!TEST_|CACHE$|STATE$).*"
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy")

# No deadline per example: there is a limit per test, and a busy machine is not a bug.
hypothesis.settings.register_profile("backstay", deadline=None, print_blob=True)
hypothesis.settings.load_profile("backstay")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that rewrites golden files."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the tests produce to tests/golden/ in place of comparing",
    )
    parser.addoption(
        "--sample",
        action="store_true",
        help="of tests that try one thing at every place, try some (tests/rig/sampling.py)",
    )


class FailuresAtOnce:
    """Shows a failure when it happens, not only at the end: the cluster tier takes many minutes."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print all that is known of it; the workers' reports come here as well."""
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if not report.failed or terminal is None:
            return
        terminal.ensure_newline()
        terminal.section(f"{report.when} of {report.nodeid} failed", "-", red=True)
        terminal.line(report.longreprtext)
        for title, text in report.sections:
            terminal.section(title, "-")
            terminal.line(text.rstrip())


def pytest_configure(config: pytest.Config) -> None:
    """Forget the caller's Git, cluster and repositories before anything can use them."""
    config.addinivalue_line("markers", "one_in(n): one in n of a file's is tried with --sample")
    if config.getoption("dist", "no") == "loadfile" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config))
    # Without byte code each process that a test starts compiles all of Backstay anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    os.environ["BACKSTAY_CACHE"] = str(cache_folder())  # while HOME is still the caller's
    for name in [name for name in os.environ if FOREIGN.fullmatch(name)]:
        del os.environ[name]
    os.environ.update(
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_TERMINAL_PROMPT="0",
        LC_ALL="C.UTF-8",
        TZ="UTC",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups | None:
    """Give the cluster tier, which is run with `--dist loadfile`, our groups."""
    return Groups(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave thousands of tests, which live to the end, out of each search for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test the marker and the time limit of the directory it lies in."""
    if config.getoption("--sample"):
        items[:], left = sampled(items)
        config.hook.pytest_deselected(items=left)
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if tier not in LIMITS:
            raise pytest.UsageError(f"{item.nodeid}: tests belong in tests/{{{','.join(LIMITS)}}}/")
        item.add_marker(tier)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMITS[tier], func_only=tier == "cluster"))


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Fail what computes for longer than that."""
    begin = time.process_time()
    yield
    took = time.process_time() - begin
    assert took <= seconds, f"{took:.1f} s of CPU, {seconds} s allowed in tests/unit"


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Hold each unit test to its CPU time."""
    if pyfuncitem.get_closest_marker("unit") is None:
        return (yield)
    is_property = getattr(pyfuncitem.obj, "is_hypothesis_test", False)
    with cpu_limit(PROPERTY_CPU_LIMIT if is_property else UNIT_CPU_LIMIT):
        return (yield)


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_home(_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty HOME and no proxy."""
    monkeypatch.setenv("HOME", str(_home))
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Golden:
    """Compares a result with its golden file, or writes it when pytest got `--update-golden`."""

    def __init__(self, folder: Path, *, update: bool) -> None:
        self._folder = folder
        self._update = update

    def __call__(self, name: str, text: str | bytes) -> None:
        """Fail with a diff unless `text` is, byte for byte, what `tests/golden/<name>` holds."""
        path = self._folder / name
        got = text.encode() if isinstance(text, str) else text
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(got)
            return
        if not path.exists():
            pytest.fail(f"no golden file {name}: look at the result, then run --update-golden")
        want = path.read_bytes()
        if got != want:
            diff = difflib.unified_diff(
                want.decode(errors="backslashreplace").splitlines(keepends=True),
                got.decode(errors="backslashreplace").splitlines(keepends=True),
                f"golden/{name}",
                "this run",
            )
            pytest.fail(f"{name} differs (wanted? run --update-golden)\n{''.join(diff)}")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return `golden(name, text)`, which compares with `tests/golden/<name>`."""
    return Golden(TESTS / "golden", update=bool(request.config.getoption("--update-golden")))
