"""The verbs that read the past, typed on a plain clone of a real repository: no cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.capture.paths import cluster_branch
from reconciler.capture.retained import HeldRun, Retained, path_of, render_retained
from reconciler.cli import main
from reconciler.model.store import Write
from tests.integration.git.conftest import Executed
from tests.integration.git.history_world import (
    BRANCH,
    CLUSTER,
    RUNS,
    WEB,
    HistoryWorld,
    make_history,
    open_store,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> HistoryWorld:
    return make_history(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> HistoryWorld:
    """The same after maintenance, which holds the first and the last run."""
    world = make_history(tmp_path_factory.mktemp("kept"))
    held = Retained(
        policy="shop",
        tip=world.commits[-1],
        at=datetime(2026, 11, 22, tzinfo=UTC),
        retention={"keepLast": 2},
        held=(HeldRun(RUNS[0], ("shop",)), HeldRun(RUNS[5], ("shop",))),
    )
    home = cluster_branch(CLUSTER)
    with open_store(world.server, world.folder / "keeping") as store:
        file = Write(path_of("shop"), render_retained(held))
        store.push({home: store.commit(home, None, [file], "Keep\n", when=held.at)})
    world.git("fetch", "--quiet", where=world.clone)
    return world


class Command:
    """Types a command on the clone."""

    def __init__(self, world: HistoryWorld, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it prints on stdout."""
        got = main.run([*arguments, "--clone", str(self.world.clone)])
        out, self.err = self._capsys.readouterr()
        assert got == code, (got, self.err)
        return out

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What it prints as JSON."""
        document: dict[str, Any] = json.loads(self(*arguments, "-o", "json", code=code))
        assert document["formatVersion"] == 1
        return document


@pytest.fixture
def backstay(world: HistoryWorld, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(world, capsys)


def test_a_difference_as_a_person_says_it(backstay: Command) -> None:
    out = backstay("diff", f"{RUNS[0]}", "shop", code=1)
    assert out.splitlines() == [
        f"from {RUNS[0]} (2026-11-20T01:17:03Z, Completed, {backstay.world.commits[0][:10]})",
        f"to   {RUNS[5]} (2026-11-20T06:17:03Z, Completed, {backstay.world.commits[5][:10]})",
        "",
        "~ shop/deployment.apps/web",
        "    spec.template.spec.containers[name=web].image: web:1 → web:2",
        "    spec.template.spec.containers[name=web].ports[name=http].containerPort: 80 → 8080",
        "    spec.template.spec.containers: order name=web, name=side → name=side, name=web",
        "~ shop/secret/db",
        "    data.password: changed (Git has a fingerprint of the value only)",
        "",
        "0 added, 0 removed, 2 changed",
    ]


RECORD = ["ls-tree _run.yaml", "cat-file"]
"""A record is found by its path: the rest of the tree, maybe 50,000 names, is not listed."""
BLOBS = ["cat-file", "cat-file"]
"""How large they are, then what they hold."""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # The newest commit is looked at first: somebody else may have made it.
        (("log", "shop", "-n", "2"), [*RECORD, "log", "log"]),
        (("show", "run", RUNS[3]), ["log", *RECORD]),
        (("show", "run", "shop"), ["log", *RECORD]),
        (("diff", RUNS[0], RUNS[2]), ["log", *RECORD, *RECORD, "ls-tree", "ls-tree", *BLOBS]),
        (
            ("diff", RUNS[0], RUNS[2], "--kind", "secret"),
            ["log", *RECORD * 2, "ls-tree", "ls-tree"],
        ),
        (("log", "shop", "--object", "shop/secret/db"), ["log", "log", "ls-tree shop/", *BLOBS]),
        (
            ("blame", "shop", "deployment", "web"),
            ["log", "log", *RECORD, "ls-tree shop/", *BLOBS],
        ),
    ],
)
def test_processes_that_a_verb_starts(
    backstay: Command, executed: Executed, words: tuple[str, ...], expected: list[str]
) -> None:
    """As many over a year of runs as over six: most of a short command is their start."""
    main.run([*words, "--clone", str(backstay.world.clone)])
    found = [f"{argv[1]} {argv[-1]}".removesuffix(" --") for argv in executed()]
    shown = [one if one.startswith("ls-tree") else one.partition(" ")[0] for one in found]
    assert sorted(shown) == sorted(["for-each-ref", *expected])


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("log", "shop", "-n", "2"), ["cat-file", "ls-tree"]),
        (("show", "run", RUNS[3]), ["cat-file", "ls-tree"]),
        (("show", "run", RUNS[3], WEB.removesuffix(".yaml")), []),
        (("diff", RUNS[0], RUNS[2]), []),
    ],
)
def test_what_expired_is_read_once(
    world: HistoryWorld, kept: HistoryWorld, executed: Executed,
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], more: list[str],
) -> None:  # fmt: skip
    """By the names of one small tree, and where something expired one process more."""

    def processes(found: HistoryWorld) -> Counter[str]:
        main.run([*words, "--clone", str(found.clone)])
        return Counter(argv[1] for argv in executed())

    before = processes(world)
    assert "expired" not in capsys.readouterr().out
    assert processes(kept) - before == Counter(more)
    told = ": expired; Git has its manifests" in capsys.readouterr().out
    assert told == (words == ("show", "run", RUNS[3]))


def test_the_log_tells_what_expired(kept: HistoryWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """Not of a Failed run, which never held anything."""
    assert main.run(["log", "shop", "--clone", str(kept.clone)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "expired" in line] == list(RUNS[3:0:-1])


def test_gaps_and_failed_runs_are_told(backstay: Command) -> None:
    out = backstay("diff", "shop^", code=1)
    assert f"note: {RUNS[3]} could not read podtemplates: 403 forbidden: nothing is known" in out
    assert "- shop/configmap/extra\n" in out
    assert backstay("diff", RUNS[4], code=2) == ""
    assert "stored nothing that can be restored" in backstay.err


def test_points_by_time_and_by_commit(backstay: Command) -> None:
    first, third = backstay.world.commits[0][:8], backstay.world.commits[2][:8]
    assert backstay("diff", f"shop@{RUNS[0]}", RUNS[1]).endswith("no differences\n")
    found = backstay.json("diff", first, third, code=1)
    assert (found["from"]["run"], found["to"]["run"]) == (RUNS[0], RUNS[2])
    found = backstay.json("diff", "2026-11-20T01:30:00Z", "shop@2026-11-20T04:00:00Z", code=1)
    assert (found["from"]["run"], found["to"]["run"]) == (RUNS[0], RUNS[2])
    backstay("diff", "2026-11-20", code=2)
    assert "of which policy?" in backstay.err


def test_a_part_of_it(backstay: Command) -> None:
    found = backstay.json("diff", RUNS[0], RUNS[3], "--kind", "secret", code=1)
    (secret,) = found["objects"]
    assert (secret["path"], secret["fields"][0]["hidden"]) == ("shop/secret/db.yaml", True)
    assert found["summary"] == {"added": 0, "removed": 0, "changed": 1}
    assert backstay.json("diff", RUNS[0], RUNS[3], "-n", "_cluster", code=3)["objects"] == []
    assert backstay.json("diff", RUNS[0], RUNS[3], "--kind", "secrets", code=1) == found
    assert "hmac-sha256" not in backstay("diff", RUNS[0], RUNS[3], "-o", "markdown", code=1)


@pytest.mark.parametrize(
    "words",
    [
        ("nobody",),
        ("shop", "nobody"),
        ("shop@-9000d",),
        (RUNS[0], RUNS[1], "-n", "nix"),
        (RUNS[0], RUNS[1], "--kind", "deploy"),
    ],
)
def test_errors_are_no_differences(backstay: Command, words: tuple[str, ...]) -> None:
    backstay("diff", *words, code=2)
    assert backstay.err.startswith("error: ")


def test_the_versions_of_an_object(backstay: Command) -> None:
    out = backstay("log", "shop", "--object", "shop/deployment/web")
    heads = [line.split() for line in out.splitlines() if line[:4] == "2026"]
    assert [(run, what) for _, run, _, what in heads] == [
        *((RUNS[5], "changed"), (RUNS[2], "changed"), (RUNS[0], "added"))
    ]
    assert "    spec.template.spec.containers[name=web].image: web:1 → web:2\n" in out
    found = backstay.json("log", "shop", "--object", "shop/configmap/extra", "-n", "1")
    assert [(one["run"], one["change"]) for one in found["versions"]] == [(RUNS[5], "removed")]
    found = backstay.json("log", "shop", "--object", "shop/secret/db", "--until", "2026-11-20")
    assert found["versions"][0]["fields"][0]["new"] == "(hidden)"


def test_runs_by_time_and_by_namespace(backstay: Command) -> None:
    def runs(*words: str) -> list[str]:
        return [one["run"] for one in backstay.json("log", *words)["runs"]]

    assert runs("shop") == runs() == list(RUNS[::-1])
    since, until = "2026-11-20T02:00:00Z", "2026-11-20T04:00:00Z"
    assert runs("shop", "--since", since, "--until", until) == [RUNS[2], RUNS[1]]
    assert runs("--since", "2026-11-21") == []
    assert runs("shop", "--namespace", "shop", "-n", "2") == [RUNS[5], RUNS[4]]
    assert runs("shop", "--namespace", "shop", "--since", "2026-11-21") == []
    backstay("log", "shop", "--namespace", "other", code=2)
    assert "hint: the newest runs captured: shop" in backstay.err
    backstay("log", "--cluster", "prod-us", code=2)
    assert "--cluster prod-us has no runs" in backstay.err
    (newest,) = backstay.json("log", "shop", "--namespace", "shop", "-n", "1")["runs"]
    assert newest["objects"] == {"captured": 3, "created": 0, "changed": 1, "deleted": 1}


def test_since_when_a_field_is_so(backstay: Command) -> None:
    found = backstay.json("blame", "shop", "deployment", "web")
    since = {one["field"]: one["run"] for one in found["fields"]}
    here = "spec.template.spec.containers[name=web]"
    assert since[f"{here}.image"] == since[f"{here}.ports[name=http].containerPort"] == RUNS[2]
    assert {since["kind"], since[f"{here}.name"], since[f"{here}.ports[name=http].name"]} == {
        RUNS[0]
    }
    found = backstay.json("blame", "shop/deployment.apps/web", "--at", RUNS[1])
    assert {one["run"] for one in found["fields"]} == {RUNS[0]}
    out = backstay("blame", "shop", "secret", "db")
    assert f" 2026-11-20T04:17:03Z  {RUNS[3]}  data.password: (hidden)\n" in out
    backstay("blame", "shop", "deploy", "web", code=1)
    assert "of that name there is: shop/deployment.apps/web" in backstay.err
    backstay("show", "run", "shop", "shop/deploy/web", code=1)
    assert "of that name there is: shop/deployment.apps/web" in backstay.err
    backstay("blame", "shop", "configmap", "extra", code=1)
    backstay("blame", "shop", "configmap", "extra", "--policy", "shop", code=1)
    assert "backstay log shop --object shop/configmap/extra" in backstay.err


def test_a_manifest_as_it_was(backstay: Command) -> None:
    out = backstay("show", "run", RUNS[0], "shop/deployment/web")
    assert "image: web:1\n" in out
    assert out == backstay.world.git("show", f"{backstay.world.commits[0]}:{WEB}")
    found = backstay.json("show", "run", "shop^", "shop/configmap/extra")
    assert (found["run"], found["manifest"]["data"]) == (RUNS[3], {"a": "1"})
    backstay("show", "run", "shop", "shop/configmap/extra", code=1)
    assert "it is not there" in backstay.err


def test_what_was_left_out(backstay: Command) -> None:
    out = backstay("show", "run", backstay.world.commits[3], "--left-out")
    assert "not known: podtemplates: 403 forbidden\n" in out
    assert out.splitlines()[2].split() == ["shop", "pod", "2", "made", "by", "its", "owner"]
    assert backstay("show", "run", RUNS[4]).startswith(f"Run      {RUNS[4]}\nOutcome  Failed\n")


def test_a_shallow_clone_says_where_it_ends(
    world: HistoryWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "shallow"
    url = f"file://{world.server}"
    world.git("clone", "--quiet", "--no-checkout", "--depth=2", url, str(target))
    # A clone of one branch without its HEAD: the branch is named.
    world.git("fetch", "--quiet", "--depth=2", "origin", f"{BRANCH}:{BRANCH}", where=target)
    assert main.run(["blame", "shop", "secret", "db", "--clone", str(target)]) == 0
    out = capsys.readouterr().out
    assert f"^2026-11-20T05:17:03Z  {RUNS[4]}  type: Opaque\n" in out
    assert "^ or before: this clone's history begins there\n" in out
    assert main.run(["show", "run", RUNS[0], "--clone", str(target)]) != 0
    assert "this clone is shallow" in capsys.readouterr().err


def test_a_partial_clone_says_what_it_lacks(
    world: HistoryWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "partial"
    world.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{world.server}"
    world.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", url, str(target))
    assert main.run(["diff", RUNS[0], "shop", "--clone", str(target)]) == 2
    assert "git fetch --refetch --no-filter" in capsys.readouterr().err


READ = """
import sys
from reconciler.cli import main
clone, *commands = sys.argv[1:]
for command in commands:
    print("code", main.run([*command.split(), "--clone", clone]))
print(*sorted(sys.modules))
"""
NOT_TO_READ = {"git", "gitdb", "pydantic", "ruamel", "kubernetes", "urllib3", "cryptography"}
NOT_TO_READ |= {"rich", "orjson", "asyncio", "traceback"}


def test_reading_a_clone_loads_neither_gitpython_nor_the_classes_of_policies(
    world: HistoryWorld,
) -> None:
    """Also while it is done: half of the time that these commands take is what they load."""
    commands = ["log shop", "show run shop", "show run shop shop/deployment/web", "diff shop^ shop"]
    told = subprocess.run(
        [sys.executable, "-c", READ, str(world.clone), *commands],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert [line for line in told if line.startswith("code ")] == ["code 0"] * 3 + ["code 1"]
    loaded = set(told[-1].split())
    assert not NOT_TO_READ & {name.partition(".")[0] for name in loaded}
    assert "reconciler.capture.record" in loaded
    assert not loaded & {"reconciler.model.policy", "reconciler.adapters.gitpythonrepo"}
