"""``backstay plan --base`` on real Git repositories: branches, forks, shallow clones."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.gitrevisions import GitRevisions
from reconciler.adapters.policytree import Limits
from reconciler.cli import main
from reconciler.model.errors import Refused
from reconciler.plan.inventoryfiles import render_inventory
from tests.rig.policyrepo import PolicyRepository
from tests.unit.plan.change_world import FILES, SHOP, edited, inventory
from tests.unit.policy.yamltexts import CONFIG

IDENTITY = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
PRUNED = 'exclude: ["*-preview", shop]'


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *arguments],
        cwd=folder, check=True, capture_output=True, text=True, timeout=60, env=os.environ,
    )  # fmt: skip
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / "policies" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the branches main and change, on the second."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    write(folder, FILES)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Policies")
    git(folder, "checkout", "--quiet", "-b", "change")
    write(folder, edited(shop=('exclude: ["*-preview"]', PRUNED)))
    git(folder, "commit", "--quiet", "--all", "--message", "Leave the shop out")
    return folder


def plan(folder: Path, *arguments: str) -> int:
    return main.run(["plan", "--repository", str(folder), "--path", "policies", *arguments])


def test_two_branches(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--base", "main", "--head", "change", "-o", "json"]
    assert plan(clone, *asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert any("grants" in note and "give --config" in note for note in document["notes"])
    assert document["base"] == f"main@sha1:{git(clone, 'rev-parse', 'main')}"
    assert document["head"] == f"change@sha1:{git(clone, 'rev-parse', 'change')}"
    (lost,) = [one for one in document["findings"] if one["id"] == "coverage-lost"]
    assert (lost["namespace"], lost["file"], lost["line"]) == ("shop", "policies/shop.yaml", 9)
    assert plan(clone, *asked, "--detailed-exitcode") == 2
    capsys.readouterr()
    assert plan(clone, "--base", "change", "--head", "change", "--detailed-exitcode") == 0
    assert capsys.readouterr().out.endswith("nothing changes for the backups\n")


def test_without_a_head_the_work_tree_is_planned(
    clone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "policies" / "shop.yaml").unlink()
    (clone / "policies" / "linked.yaml").symlink_to("/etc/passwd")
    monkeypatch.chdir(clone / "policies")
    assert main.run(["plan", "--base", "main", "--path", "policies", "-o", "json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert document["head"] == "the work tree"
    assert "policy-removed" in [one["id"] for one in document["findings"]]
    (problem,) = document["problems"]
    assert problem["file"] == "policies/linked.yaml"
    assert problem["message"] == "a symbolic link is not followed"


def test_a_folder_that_is_gone_has_one_answer(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(clone, "rm", "--quiet", "-r", "policies")
    git(clone, "commit", "--quiet", "--message", "Drop the folder")
    assert plan(clone, "--base", "main", "--head", "change", "-o", "json") == 0
    document = json.loads(capsys.readouterr().out)
    told = {one["policy"]: one for one in document["findings"] if one["id"] == "policy-removed"}
    assert {one["severity"] for one in told.values()} == {"warning"}
    assert told["shop"]["message"] == (
        "policy shop is removed: once the folder is there again, its CronJob goes; recovery points,"
        " manifests and snapshots stay"
    )
    (lost,) = [one for one in document["findings"] if one["id"] == "coverage-lost"]
    assert lost["severity"] == "error"
    assert lost["message"].endswith(
        "policy shop is removed; nothing is deleted as long as the folder is gone"
    )
    assert "the folder policies is gone: nothing is deleted as long as it is" in document["notes"]
    assert plan(clone, "--base", "main", "-o", "json") == 0  # nor is it in the work tree
    again = json.loads(capsys.readouterr().out)
    assert again["findings"] == document["findings"]


def test_no_name_of_a_file_hides_a_policy(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is planned are the policies that the controller would parse, whatever the file."""
    write(clone, {"backstay.yaml": SHOP.replace("{name: shop}", "{name: hidden}")})
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message", "Hide one")
    assert plan(clone, "--base", "main", "--head", "change", "-o", "json") == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert ["BackupPolicy", "hidden", "policies/backstay.yaml"] in [
        [one["kind"], one["name"], one["file"]] for one in changes
    ]


def test_what_the_base_got_meanwhile_is_told(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(clone, "checkout", "--quiet", "main")
    write(clone, {"new.yaml": SHOP.replace("{name: shop}", "{name: new}").replace("shop", "lab")})
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message", "Another policy")
    assert plan(clone, "--base", "main", "--head", "change") == 0
    said = capsys.readouterr().out
    assert "policy new is removed" in said
    assert "note: change does not contain all of main" in said
    assert plan(clone, "--base", "main", "--head", "change", "--merge-base") == 0
    said = capsys.readouterr().out
    assert "is removed" not in said
    assert "does not contain" not in said


def test_a_shallow_clone_without_the_base_says_how_to_fetch_it(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=change", f"file://{clone}", "ci")
    assert plan(tmp_path / "ci", "--base", "origin/main", "--head", "HEAD") == 1
    said = capsys.readouterr().err
    assert "error: origin/main is not in the clone" in said
    fetch = "git fetch --depth=1 origin +refs/heads/main:refs/remotes/origin/main"
    assert f"hint: fetch it: {fetch}\n" in said
    assert plan(tmp_path / "ci", "--base", "main") == 1
    assert f"hint: fetch it: {fetch}, and say origin/main" in capsys.readouterr().err
    git(tmp_path / "ci", *fetch.split()[1:])
    assert plan(tmp_path / "ci", "--base", "main") == 1
    assert "hint: did you mean origin/main?" in capsys.readouterr().err
    assert plan(tmp_path / "ci", "--base", "origin/main", "--head", "HEAD") == 0
    said = capsys.readouterr().out
    assert "[coverage-lost], policies/shop.yaml:9" in said
    assert "this shallow clone can't tell" in said
    missing = "1" * 40
    assert plan(tmp_path / "ci", "--base", missing) == 1
    assert f"git fetch --depth=1 origin {missing}" in capsys.readouterr().err
    assert plan(tmp_path / "ci", "--base", missing[:7]) == 1
    said = capsys.readouterr().err
    assert "hint: give the whole id (40 digits)" in said
    assert "refs/heads" not in said


def test_a_merge_base_in_a_shallow_clone_says_how_to_deepen_it(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(clone, "switch", "--quiet", "main")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Something else")
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=change", f"file://{clone}", "ci")
    asked = ("--base", "origin/main", "--head", "HEAD", "--merge-base")
    assert plan(tmp_path / "ci", *asked) == 1
    fetch = "git fetch --unshallow origin +refs/heads/main:refs/remotes/origin/main"
    assert f"hint: fetch it: {fetch}\n" in capsys.readouterr().err
    # Somebody fetched only its newest commit:
    shallow = "fetch --depth=1 origin +refs/heads/main:refs/remotes/origin/main"
    git(tmp_path / "ci", *shallow.split())
    assert plan(tmp_path / "ci", *asked) == 1
    said = capsys.readouterr().err
    assert "error: a shallow clone can't tell where head left base" in said
    assert "hint: fetch its history: git fetch --unshallow origin, or fetch-depth: 0" in said
    git(tmp_path / "ci", *fetch.split()[1:])
    assert plan(tmp_path / "ci", *asked) == 0
    assert "[coverage-lost]" in capsys.readouterr().out


def test_a_hint_never_makes_a_whole_clone_shallow(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "clone", "--quiet", "--single-branch", "--branch=change", f"file://{clone}", "ci")
    assert plan(tmp_path / "ci", "--base", "origin/main", "--head", "HEAD") == 1
    fetch = "git fetch origin +refs/heads/main:refs/remotes/origin/main"
    assert f"hint: fetch it: {fetch}\n" in capsys.readouterr().err
    assert plan(tmp_path / "ci", "--base", "1" * 40) == 1
    assert f"hint: fetch it: git fetch origin {'1' * 40}\n" in capsys.readouterr().err
    assert plan(tmp_path / "ci", "--base", "1234567") == 1
    assert "hint: give the whole id (40 digits)" in capsys.readouterr().err


def test_a_forks_tree_is_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Links, a submodule, a huge file and a tree of many names; nothing is checked out."""
    bare = PolicyRepository(tmp_path / "bare.git")
    bare.push({f"policies/{name}": text.encode() for name, text in FILES.items()})
    fork = PolicyRepository(bare.path, branch="fork")
    blob = fork.blob(FILES["main.yaml"].encode())
    fork.push_entries(
        [
            (f"100644 blob {blob}", "policies/main.yaml"),
            (f"120000 blob {fork.blob(b'/etc/passwd')}", "policies/shop.yaml"),
            (f"160000 commit {'1' * 40}", "policies/sub"),
            (f"100644 blob {fork.blob(b'#' * (300 << 10))}", "policies/huge.yaml"),
            (f"100644 blob {fork.blob(b'*.yaml filter=evil')}", ".gitattributes"),
            (f"100755 blob {fork.blob(b'exit 1')}", "policies/.hidden.yaml"),
        ]
    )
    fork.git("config", "filter.evil.smudge", f"touch {tmp_path}/was-here")
    before = sorted(path.name for path in bare.path.iterdir())
    assert plan(bare.path, "--base", "main", "--head", "fork", "-o", "json") == 4
    assert sorted(path.name for path in bare.path.iterdir()) == before
    document = json.loads(capsys.readouterr().out)
    told = {one["file"]: one["message"] for one in document["problems"]}
    assert told == {
        "policies/shop.yaml": "a symbolic link is not followed",
        "policies/sub": "a submodule is not followed",
        "policies/huge.yaml": "larger than 256 KiB and not read",
    }
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize("revision", ["--upload-pack=x", "main:policies", ":/text", "a..b", "a b"])
def test_what_is_no_revision_never_reaches_git(
    clone: Path, revision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(clone, f"--base={revision}") == 1
    assert "is no revision" in capsys.readouterr().err


def test_usage(clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["plan", "--head", "change"]) == 2
    assert "there is no --base to compare with" in capsys.readouterr().err
    assert main.run(["plan", "--repository", str(clone), "--base", "main", "--path", "no"]) == 2
    said = capsys.readouterr().err
    assert "in neither revision there is a folder no\nhint: --path names a folder: the one" in said
    file = ["--base", "main", "--path", "policies/shop.yaml"]
    assert main.run(["plan", "--repository", str(clone), *file]) == 2
    said = capsys.readouterr().err
    assert "there is a folder policies/shop.yaml\nhint: --path names a folder: --path pol" in said
    outside = tmp_path / "outside"
    outside.mkdir()
    assert main.run(["plan", "--repository", str(outside), "--base", "main"]) == 1
    assert "is in no Git repository" in capsys.readouterr().err


def test_each_work_tree_has_its_own_head(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(clone, "worktree", "add", "--quiet", str(tmp_path / "second"), "main")
    assert plan(tmp_path / "second", "--base", "HEAD", "--head", "change", "-o", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["base"] == f"HEAD@sha1:{git(clone, 'rev-parse', 'main')}"


def test_every_form_and_what_to_fail_on(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--base", "main", "--head", "change"]
    assert plan(clone, *asked, "-o", "markdown") == 0
    assert capsys.readouterr().out.startswith("<!-- backstay-plan - -->\n### Backstay: ")
    assert plan(clone, *asked, "-o", "github") == 0
    lost = "::error file=policies/shop.yaml,line=9,title=coverage-lost::"
    assert lost in capsys.readouterr().out
    for words, code in {"note,error": 1, "coverage-lost": 2, "retention-shortened": 0}.items():
        assert plan(clone, *asked, "--fail-on", words) == code
    assert "--fail-on coverage-lost needs the cluster's inventory" in capsys.readouterr().err
    assert plan(clone, *asked, "--fail-on", "error", "--detailed-exitcode") == 1
    assert plan(clone, *asked, "--fail-on", "retention-shortened", "--detailed-exitcode") == 2
    capsys.readouterr()
    assert plan(clone, *asked, "--fail-on", "coverage") == 2
    said = capsys.readouterr().err
    assert "--fail-on coverage is no finding" in said
    assert "coverage-lost" in said


def test_an_inventory_in_a_folder(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "inventory"
    for name, data in render_inventory(inventory()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    asked = ["--base", "main", "--head", "change", "--inventory", str(folder), "-o", "json"]
    assert plan(clone, *asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cluster"] == "prod-eu"
    assert document["protected"] == {
        "before": {"namespaces": 3, "claims": 3}, "after": {"namespaces": 2, "claims": 2},
    }  # fmt: skip
    (lost,) = document["findings"]
    assert lost["message"].startswith("namespace shop, with 1 claim, loses protection: policy shop")
    assert plan(clone, *asked, "--fail-on", "coverage-lost") == 1
    assert plan(clone, *asked, "--cluster", "other") == 2
    assert plan(clone, "--base", "main", "--cluster", "other") == 2


def test_the_config_of_another_cluster_is_not_held_against_an_inventory(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in render_inventory(inventory()).items():
        path = tmp_path / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace("prod-eu", "prod-us") + "sharedKeyInTenants: true\n")
    asked = ["--base", "main", "--head", "change", "--inventory", str(tmp_path / "inventory")]
    asked += ["--config", str(other), "-o", "json"]
    assert plan(clone, *asked) == 2
    assert "is of cluster prod-eu, not of prod-us" in capsys.readouterr().err
    assert plan(clone, *asked, "--cluster", "prod-eu") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cluster"] == "prod-eu"
    assert [one["id"] for one in document["findings"]] == ["coverage-lost"]
    assert document["notes"] == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(entries=3), "has more than 3 entries"),
        (Limits(listing=100), "has more than 100000 entries, or 0 MiB of names"),
        (Limits(files=2), "has 4 policy files of 0 MiB; 2 of 64 MiB are allowed"),
        (Limits(total_size=500), "4 policy files"),
    ],
)
def test_a_tree_that_grows_too_far_is_refused(clone: Path, limits: Limits, message: str) -> None:
    with GitRevisions(clone, limits=limits) as found:
        sha = found.commit("change")
        with pytest.raises(Refused, match=message):
            found.files("change", sha, "policies")


def test_folders_too_deep_for_the_controller_are_refused_here_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = PolicyRepository(tmp_path / "bare.git")
    files = {f"policies/{name}": text.encode() for name, text in FILES.items()}
    bare.push(files)
    fork = PolicyRepository(bare.path, branch="fork")
    fork.push(files | {"policies/.x/" + "a/" * 257 + "f": b"x"})
    assert plan(bare.path, "--base", "main", "--head", "fork") == 1
    assert "has folders more than 256 deep" in capsys.readouterr().err


def test_a_partial_clone_is_never_completed_behind_the_back(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(clone, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{clone}", "ci.git")
    assert plan(tmp_path / "ci.git", "--base", "main", "--head", "change") == 1
    said = capsys.readouterr().err
    assert "lacks some of its objects" in said
    assert "git fetch --refetch --no-filter" in said
