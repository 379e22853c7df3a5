"""docs/purge.md, typed: a value leaves the whole history, and runs, readers and restores go on."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitrewrite import HistoryRewriter
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.capture.purging import Purge
from reconciler.cli import main
from reconciler.cli.deliver import Delivering, Tools
from reconciler.engine.bundling import NotPushed
from reconciler.engine.purging import Person, purge_branch
from reconciler.engine.reanchor import accept_rewrite, look_at_rewrite
from reconciler.engine.run import execute_run
from reconciler.model.config import ClusterConfig
from reconciler.model.errors import Refused, Transient
from reconciler.model.run import Outcome
from tests.integration.engine.git_world import GitWorld
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, SYSTEM, manifest

PAGE = (Path(__file__).parents[3] / "docs" / "purge.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
URL = "ssh://git@git.example.org/captures.git"
LEAK = "correct horse battery"
PURGED = f"refs/backstay/purged/{BRANCH}"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitWorld]:
    """A run, and one that has captured the value."""
    monkeypatch.chdir(tmp_path)
    made = GitWorld(tmp_path)
    for number, colour in enumerate(("green", f"say {LEAK}"), 1):
        capture(made, number, colour)
    (tmp_path / "leaked.txt").write_text(f"{LEAK}\n")
    yield made
    for store in made.opened:
        store.close()


def capture(world: GitWorld, number: int, colour: str) -> None:
    world.cluster.put(manifest("ConfigMap", "settings", data={"colour": colour}))
    assert world.run(number).record.outcome is Outcome.COMPLETED


def tip(world: GitWorld) -> str:
    return world.git("rev-parse", BRANCH).strip()


def messages(world: GitWorld, name: str) -> list[str]:
    """Author, times and message of each commit, newest first."""
    return world.git("log", "-z", "--format=%an %ae %at %cn %ct %B", name).split("\0")


def wait_as_bundle(world: GitWorld, number: int, colour: str) -> None:
    """A run that can't push in the end."""
    world.cluster.put(manifest("ConfigMap", "settings", data={"colour": colour}))
    store = Away(
        local_url(world.server), author_name="B", author_email="b@example.org",
        credentials=GitCredentials(), workdir=world.folder / f"away{number}", allow_local=True,
    )  # fmt: skip
    world.opened.append(store)
    late = execute_run(world.request(number), world.ports(store=store))
    assert isinstance(late.error, NotPushed), late.error


class Away(GitManifestStore):
    """A server that is not there any more when the policy's branch is to be pushed."""

    def push(self, tips: Mapping[str, str]) -> None:
        """As the port says."""
        if BRANCH in tips:
            raise Transient("connection refused")
        super().push(tips)


def type_line(world: GitWorld, line: str, variables: dict[str, str]) -> tuple[int, str]:
    """One line of the page: its exit code and what it prints."""
    # Not the bare path: git would take over the folder as it is, with what nothing leads to.
    line = line.replace(URL, f"file://{world.server}")
    words = shlex.split(line)
    if words[:2] == ["backstay", "adopt"]:
        # The verb's own wiring asks a cluster; this is what it calls.
        assert (words[2], words[4], len(words)) == ("--rewritten", "--tip", 6), line
        found = look_at_rewrite(
            world.git_store(), world.cluster, CLUSTER, words[3],
            new=variables.get(words[5].lstrip("$"), words[5]), namespace=SYSTEM,
        )  # fmt: skip
        accept_rewrite(world.cluster, found, namespace=SYSTEM)
        return 0, found.mark
    if words[:2] == ["backstay", "deliver"]:
        tools = Tools(
            store=world.git_store(), keyring=world.keyring, reporter=world.log, clock=world.clock
        )
        identity = world.cluster.identity()
        policy = next((word for word in words[2:] if not word.startswith("-")), "")
        delivering = Delivering(tools, ClusterConfig(CLUSTER), identity, "text")
        return delivering.deliver(policy, only_plan="--plan" in words, yes=True), ""
    if words[0] == "backstay":
        return main.run([variables.get(word.lstrip("$"), word) for word in words[1:]]), ""
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, env={**os.environ, **variables},
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_page_typed(world: GitWorld, capsys: pytest.CaptureFixture[str]) -> None:
    for number, colour in enumerate((f"{LEAK}!", "blue", "red"), 3):
        capture(world, number, colour)
    old, before = tip(world), messages(world, BRANCH)
    points = [world.git("show", f"{BRANCH}~{back}:_run.yaml") for back in range(5)]
    stays = world.git("rev-parse", f"{BRANCH}~4").strip()
    variables: dict[str, str] = {"OLD": old}
    typed = iter(COMMANDS)
    for line in ("deliver --plan", "deliver shop"):
        assert next(typed) == f"backstay {line}"
        assert type_line(world, f"backstay {line}", variables) == (0, "")
    assert "No run of shop waits." in capsys.readouterr().out
    clone, purge = next(typed), next(typed)
    assert type_line(world, clone, variables)[0] == 0
    assert type_line(world, purge, variables) == (0, "")
    told = capsys.readouterr().out
    assert told.startswith("shop: taken out of 2 versions of 1 files\n  shop/configmap/settings.y")
    assert f"the history is new since {stays}; the old tip is {old}" in told
    new = re.findall(rf"([0-9a-f]{{40}}):refs/heads/{BRANCH}\n", told)[-1]
    variables["NEW"] = new
    assert told.endswith(f"\n  backstay adopt --rewritten shop --tip {new}\n")
    assert tip(world) == old, "nothing was pushed"
    for line in typed:
        code, out = type_line(world, line, variables)
        printed = out + capsys.readouterr().out
        if "grep" in line:
            assert (code, printed) == (1, "0\n"), line
        elif line.endswith("--clone fresh.git"):
            assert code == 3, printed
            assert f"not proven  rewritten: commit {new} says that 4 commits" in printed
        else:
            assert code == 0, (line, printed)
        if "push" in line:
            _the_history_is_what_it_was(world, stays, before, points)
    _an_auditor_reads_it(variables, capsys)
    assert LEAK not in world.git("cat-file", "--batch-all-objects", "--batch")
    _runs_go_on(world, variables, capsys)


def _an_auditor_reads_it(variables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["verify", "shop", "--no-repositories", "--clone", "fresh.git"]
    contains = ["--contains", variables["OLD"]]
    # Whoever may push can write such a commit: alone it explains nothing.
    assert main.run([*words, *contains]) == 1
    assert "is in no branch that was looked at" in capsys.readouterr().out
    assert main.run([*words, "--rewritten", variables["NEW"][:39]]) == 2
    assert "give all 40 (or 64) digits" in capsys.readouterr().err
    assert main.run([*words, "--rewritten", variables["NEW"], *contains]) == 3
    out = capsys.readouterr().out
    assert f"was rewritten: commit {variables['NEW']} says that it takes the place" in out
    assert f"proven      rewritten: as you know: commit {variables['NEW']}" in out


def _the_history_is_what_it_was(
    world: GitWorld, stays: str, before: list[str], points: list[str]
) -> None:
    assert world.git("rev-parse", f"{BRANCH}~5").strip() == stays
    assert messages(world, f"{BRANCH}~1") == before
    assert [world.git("show", f"{BRANCH}~{back}:_run.yaml") for back in range(1, 6)] == points
    texts = [world.git("show", f"{BRANCH}~{back}:shop/configmap/settings.yaml") for back in (3, 4)]
    assert [text.split("colour: ")[1] for text in texts] == [
        '"purged-by-backstay!"\n', "say purged-by-backstay\n",
    ]  # fmt: skip


def _runs_go_on(
    world: GitWorld, variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No alarm, a chain that is proven since, and a point from before that can be restored."""
    world.cluster.put(manifest("ConfigMap", "settings", data={"colour": "white"}))
    result = world.run(6)
    assert (result.record.outcome, result.record.warnings) == (Outcome.COMPLETED, ())
    assert world.git("rev-parse", f"{BRANCH}~").strip() == variables["NEW"]
    clone = ["verify", "shop", "--no-repositories", "--clone", str(world.clone())]
    assert main.run([*clone, "--rewritten", variables["NEW"]]) == 0, capsys.readouterr().out
    world.lose_shop()
    world.restored(at=RUN_IDS[1])
    (settings,) = (
        one for one in world.cluster.all("ConfigMap") if one["metadata"]["name"] == "settings"
    )
    assert settings["data"] == {"colour": "say purged-by-backstay"}


def purge_clone(world: GitWorld) -> str:
    """The new tip in a new clone of today."""
    type_line(world, f"rm -rf captures.git; git clone -q --bare {URL} captures.git", {})
    words = ["--clone", "captures.git", "--value", "leaked.txt", "--reason", "x"]
    assert main.run(["purge", "shop", *words]) == 0
    command = ["git", "-C", "captures.git", "rev-parse", PURGED]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_waits_is_delivered_first_and_purged_with_the_rest(
    world: GitWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_as_bundle(world, 3, f"late {LEAK}")
    for line in COMMANDS[:2]:
        assert type_line(world, line, {}) == (0, "")
    assert f"{RUN_IDS[2]}: on its branch" in capsys.readouterr().out
    purge_clone(world)
    assert "taken out of 2 versions of 1 files" in capsys.readouterr().out


def test_a_bundle_of_before_does_not_bring_it_back(world: GitWorld) -> None:
    capture(world, 3, "mended")
    wait_as_bundle(world, 4, f"late {LEAK}")
    world.cluster.put(manifest("ConfigMap", "settings", data={"colour": "mended"}))
    clone, old = world.folder / "c.git", tip(world)
    type_line(world, f"git clone -q --bare {URL} {clone}", {})
    person = Person(author=b"x <x@example.org>", reason="x")
    with HistoryRewriter(clone) as rewriter:
        # By the clock of the runs: the command's own is this machine's.
        made = purge_branch(
            rewriter, "shop", BRANCH, old, Purge([LEAK]), person, now=world.clock.now()
        )
    assert made is not None
    assert type_line(world, f"git -C {clone} push -qf origin {made.new}:{BRANCH}", {})[0] == 0
    type_line(world, f"backstay adopt --rewritten shop --tip {made.new}", {})
    (told,) = world.run(5).record.warnings
    assert told.startswith(f"run {RUN_IDS[3]} waits as a bundle and can't be delivered: its run be")
    assert world.git("rev-parse", f"{BRANCH}~").strip() == made.new
    assert LEAK not in world.git("log", "-p", BRANCH)


def test_a_push_after_a_run_in_between_is_refused(world: GitWorld) -> None:
    new, old = purge_clone(world), tip(world)
    latest = world.run(3).commit
    push = next(line for line in COMMANDS if "force-with-lease" in line)
    code, told = type_line(world, push, {"OLD": old, "NEW": new})
    assert code == 1
    assert "stale info" in told
    assert tip(world) == latest


def test_nobody_is_believed_but_a_rewrite_of_what_is_remembered(world: GitWorld) -> None:
    new, old = purge_clone(world), tip(world)
    latest = world.run(3).commit
    subprocess.run(["git", "-C", "captures.git", "push", "-q", "--force", "origin",
                    f"{new}:refs/heads/{BRANCH}"], check=True, capture_output=True)  # fmt: skip
    with pytest.raises(Refused, match="does not say that it takes the place") as caught:
        type_line(world, f"backstay adopt --rewritten shop --tip {new}", {})
    assert latest in caught.value.message
    alarm = world.run(4).record.warnings[0]
    assert alarm.startswith(f"branch {BRANCH} was rewound or replaced: its tip was commit {latest}")
    assert old not in world.git("rev-list", BRANCH).split()


def test_without_the_value_nothing_is_made(
    world: GitWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.folder / "leaked.txt").write_text("nobody ever said this\n")
    type_line(world, f"git clone -q --bare {URL} captures.git", {})
    words = ["purge", "--clone", "captures.git", "--value", "leaked.txt", "--reason", "x"]
    assert main.run([*words, "-o", "json"]) == 0
    assert '"lookedAt": ["shop"], "purged": []' in capsys.readouterr().out
    assert main.run(words) == 0
    assert capsys.readouterr().out == "shop: nothing of it is in its history\n"


def test_what_can_not_be_purged_is_refused_and_nothing_is_made(
    world: GitWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = world.git("rev-parse", f"{BRANCH}^{{tree}}").strip()
    blob = world.git("rev-parse", f"{BRANCH}:_run.yaml").strip()
    entries = world.git("ls-tree", tree) + f"100644 blob {blob}\t{LEAK}\n"
    named = subprocess.run(
        ["git", "-C", str(world.server), "mktree"], input=entries.encode(), capture_output=True,
        check=True,
    ).stdout.decode().strip()  # fmt: skip
    person = ("-c", "user.name=x", "-c", "user.email=x@example.org", "commit-tree", "-p", BRANCH)
    for what, message, held in (("message", f"by hand: {LEAK}", tree), ("name", "by hand", named)):
        hand = world.git(*person, "-m", message, held).strip()
        clone = f"rm -rf c.git; git clone -q --bare {URL} c.git; git -C c.git fetch -q"
        world.git("update-ref", "refs/heads/hand", hand)
        type_line(world, f"{clone} origin +hand:refs/heads/{BRANCH}", {})
        words = ["purge", "--clone", "c.git", "--value", "leaked.txt", "--reason", "x"]
        assert main.run(words) == 1
        assert f"the value is in the {what} of a" in capsys.readouterr().err
        assert type_line(world, f"git -C c.git rev-parse -q --verify {PURGED}", {})[0] == 1


def test_a_value_that_a_record_must_say_is_refused_and_nothing_is_made(
    world: GitWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "url: s3:https://s3.example.org/" in world.git("show", f"{BRANCH}:_run.yaml")
    (world.folder / "leaked.txt").write_text("s3.example.org")
    type_line(world, f"git clone -q --bare {URL} c.git", {})
    assert main.run(["purge", "--clone", "c.git", "--value", "leaked.txt", "--reason", "x"]) == 1
    told = capsys.readouterr().err
    assert "the value stands in the record of a run, and without it _run.yaml (" in told
    assert type_line(world, f"git -C c.git rev-parse -q --verify {PURGED}", {})[0] == 1


def test_a_clone_that_is_cut_off_is_refused(
    world: GitWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--value", "leaked.txt", "--reason", "x"]
    type_line(world, f"git clone -q --bare --depth 1 --no-single-branch {URL} shallow.git", {})
    assert main.run(["purge", "--clone", "shallow.git", *words]) == 1
    assert "is cut off" in capsys.readouterr().err
    world.git("config", "uploadpack.allowFilter", "true")
    type_line(world, f"git clone -q --bare --filter=blob:none {URL} part.git", {})
    assert main.run(["purge", "--clone", "part.git", *words]) == 1
    assert "lacks some of its objects" in capsys.readouterr().err
