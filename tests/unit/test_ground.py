"""The ground holds: a clean environment, tiers by directory, checks that find what is wrong."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from scripts.checks import alone, fragments, lengths
from tests.conftest import Golden, cpu_limit

PROJECT = Path(__file__).parents[2]
KINDS = {"added", "fixed"}


def test_environment_is_scrubbed() -> None:
    """Nothing of the caller's Git, cluster or repositories is left; Git reads no configuration."""
    left = {name for name in os.environ if name.startswith(("KUBE", "RESTIC_", "AWS_", "SSH_A"))}
    # Set by the adapter when it is imported.
    ours = {"GIT_PYTHON_REFRESH", "GIT_PYTHON_GIT_EXECUTABLE"}
    git = {name for name in os.environ if name.startswith("GIT_")} - ours
    assert left == set()
    assert git == {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_TERMINAL_PROMPT"}
    assert not any(name.lower().endswith("_proxy") for name in os.environ)


def test_home_is_empty_of_the_callers_files() -> None:
    """HOME lies below pytest's own folder and has nothing in it."""
    assert list(Path.home().iterdir()) == []
    assert "pytest" in str(Path.home())


def test_tier_and_limit_come_from_the_directory(request: pytest.FixtureRequest) -> None:
    """A test in tests/unit is `unit`, and ends after a minute if it hangs."""
    assert request.node.get_closest_marker("unit") is not None
    assert request.node.get_closest_marker("timeout").args == (60,)


def test_a_unit_test_may_wait_for_its_turn_and_not_compute() -> None:
    """The limit is on CPU time, of which a sleep takes none."""
    with cpu_limit(0.05):
        time.sleep(0.1)
    with pytest.raises(AssertionError, match=r"0\.01 s allowed"), cpu_limit(0.01):
        sum(range(3_000_000))


def test_golden_compares_and_updates(tmp_path: Path) -> None:
    """A missing or different golden file fails, with a diff; updating writes it."""
    compare = Golden(tmp_path, update=False)
    with pytest.raises(pytest.fail.Exception, match=r"no golden file a/b\.txt"):
        compare("a/b.txt", "one\n")
    Golden(tmp_path, update=True)("a/b.txt", "one\n")
    compare("a/b.txt", "one\n")
    with pytest.raises(pytest.fail.Exception, match=r"-one\n\+two"):
        compare("a/b.txt", b"two\n")


def test_long_files_and_functions_are_found() -> None:
    """The line after the limit is the first that is too much."""
    body = "    x = 1\n"
    fits = "def short():\n" + body * 69
    assert list(lengths.problems(Path("a.py"), fits)) == []
    assert list(lengths.problems(Path("a.py"), fits + body)) == [
        "a.py:1: short has 71 lines, 70 allowed"
    ]
    assert list(lengths.problems(Path("a.go"), "\n" * 500)) == []
    assert list(lengths.problems(Path("a.go"), "\n" * 501)) == ["a.go: 501 lines, 500 allowed"]


@pytest.mark.parametrize(
    "text",
    [
        "/wo" + "rk/x",
        "see /ro" + "ot/.ssh",
        "../sha" + "red/facts",
        "https://pyp" + "i.org/simple",
        "http://deb.debi" + "an.org/debian",
        "GOPROXY=https://proxy.gola" + "ng.org",
        "# TO" + "DO: later",
    ],
)
def test_what_ties_us_to_a_machine_is_found(text: str) -> None:
    """Paths of a machine, registries and unfinished work are named with file and line."""
    found = list(alone.problems(Path("a"), f"fine\n{text}\n"))
    assert len(found) == 1
    assert found[0].startswith("a:2: ")


@pytest.mark.parametrize(
    "text", ["docker.io/library/debian:trixie-slim", "/networks/work", "a root/leaf", "framework/"]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """An image's canonical name and ordinary paths are no problem."""
    assert list(alone.problems(Path("a"), text)) == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("plan-shows-why.added.md", "The plan shows why.\n", ""),
        ("Plan.added.md", "The plan.\n", "name it"),
        ("plan.new.md", "The plan.\n", "kind new is not one of added, fixed"),
        ("plan.fixed.md", " \n", "empty"),
        ("plan.fixed.md", "One.\n\nTwo.\n", "one paragraph"),
        ("plan.fixed.md", "- One.\n", "plain sentences"),
        ("plan.fixed.md", "One\n", "full stop"),
    ],
)
def test_malformed_fragments_are_found(name: str, text: str, complaint: str) -> None:
    """Each rule of changelog.d/README.md has its message."""
    found = " ".join(fragments.problems(Path("changelog.d") / name, text, KINDS))
    assert complaint in found
    assert bool(found) == bool(complaint)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "AGENTS.md", "docs/image.md"])
def test_pages_name_files_that_exist(page: str) -> None:
    """A tour through files that are gone helps nobody."""
    text = (PROJECT / page).read_text()
    named = set(re.findall(r"\b(?:reconciler|tests|scripts|docs)/[\w/.-]*\w", text))
    assert named
    assert {name for name in named if not (PROJECT / name).exists()} == set()


def test_every_invariant_is_explained() -> None:
    """AGENTS.md has I1 to I14."""
    text = (PROJECT / "AGENTS.md").read_text()
    assert re.findall(r"^- \*\*I(\d+)\*\*", text, re.MULTILINE) == [str(n) for n in range(1, 15)]
