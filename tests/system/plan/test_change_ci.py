"""The workflows of docs/ci.md: valid YAML, and their scripts do what the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.finding import FINDINGS
from reconciler.plan.inventoryfiles import render_inventory
from tests.integration.plan.test_change_from_git import clone, git
from tests.integration.plan.test_change_history import add_detour
from tests.unit.plan.change_world import inventory
from tests.unit.policy.yamltexts import CONFIG

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/ci.md").read_text()
BLOCKS = [
    yaml.safe_load(text)
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
]
STEPS: list[dict[str, Any]] = BLOCKS[0]["jobs"]["plan"]["steps"]
SCRIPT: str = BLOCKS[1]["backup plan"]["script"][0]
BRANCH: str = BLOCKS[2]["backup plan of a branch"]["script"][0]

DOCKER = """#!/bin/sh
while [ "$1" != plan ]; do shift; done
exec backstay "$@"
"""
GH = """#!/bin/sh
case "$*" in
  auth*) ;;
  *--paginate*) cat "$FOUND" ;;
  *) echo "$*" >> "$CALLS" ;;
esac
"""
CURL = """#!/bin/sh
for last in "$@"; do :; done
case "$*" in
  *--request*) echo "$*" >> "$CALLS"
    number="${last#*/merge_requests/}"; cp comment.md "$CALLS.${number%%/*}.md" ;;
  *state=opened*) cat "$OPEN.${last##*page=}" ;;
  *notes*) cat "$FOUND" ;;
esac
"""
# For machines without jq: the questions of the page, answered in the same way.
JQ = f"""#!{sys.executable}
import json, sys
words = sys.argv[1:]
source = open(words.pop()) if words[-1].endswith(".json") else sys.stdin
asked, found = words[-1], json.load(source)
if asked == "length":
    print(len(found))
    sys.exit()
if ".iid" in asked:
    print("\\n".join(str(one["iid"]) + " " + one["sha"] for one in found))
    sys.exit()
named = {{words[n + 1]: words[n + 2] for n, word in enumerate(words) if word == "--arg"}}
for one in found:
    who = one["user"]["login"] if ".user.login" in asked else one["author"]["username"]
    if who == named.get("bot", "github-actions[bot]") and one["body"].startswith(named["marker"]):
        print(one["id"])
"""
__all__ = ["clone"]  # a fixture


@pytest.fixture
def server(clone: Path, tmp_path: Path) -> Path:
    """The clone as the forge has it, with the refs of request 7."""
    git(clone, "checkout", "--quiet", "main")
    own = clone / "clusters/prod-eu/backstay.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(f"{CONFIG}sharedKeyInTenants: true\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message", "Config")
    propose(clone, "change")
    git(clone, "config", "uploadpack.allowAnySHA1InWant", "true")
    for name, data in render_inventory(inventory()).items():
        path = tmp_path / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return clone


def propose(server: Path, head: str) -> None:
    """Request 7 asks for this commit."""
    git(server, "update-ref", "refs/pull/7/head", head)
    git(server, "update-ref", "refs/merge-requests/7/head", head)


def variables(tmp_path: Path, found: list[dict[str, Any]], **more: str) -> dict[str, str]:
    """An environment with programs of ours in place of docker, gh and curl."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    known = {"docker": DOCKER, "gh": GH, "curl": CURL}
    known |= {} if shutil.which("jq") else {"jq": JQ}
    for name, text in known.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "found.json").write_text(json.dumps(found))
    (tmp_path / "calls.txt").touch()
    return {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "FOUND": str(tmp_path / "found.json"),
        "CALLS": str(tmp_path / "calls.txt"),
        "INVENTORY": str(tmp_path / "inventory"),
        **more,
    }


def bash(script: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=env, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip


def calls(tmp_path: Path) -> str:
    return (tmp_path / "calls.txt").read_text()


def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def on_github(server: Path, head: str) -> dict[str, str]:
    return {
        "GITHUB_SERVER_URL": f"file://{server.parent}",
        "GITHUB_REPOSITORY": server.name,
        "NUMBER": "7",
        "HEAD": head,
        "BASE": "main",
        "IMAGE": "image",
    }


@pytest.mark.parametrize(
    ("author", "call"),
    [
        ("github-actions[bot]", "--method PATCH repos/clone/issues/comments/41"),
        ("mallory", "--method POST repos/clone/issues/7/comments"),
    ],
)
def test_github(server: Path, tmp_path: Path, author: str, call: str) -> None:
    head = git(server, "rev-parse", "change")
    comment = {"id": 41, "user": {"login": author}, "body": "<!-- backstay-plan prod-eu -->\nold"}
    other = {"id": 40, "user": {"login": author}, "body": "hello"}
    env = variables(tmp_path, [other, comment], **on_github(server, head))
    folder = work(tmp_path)
    for step in STEPS[:-1]:
        done = bash(step["run"], folder, env)
        assert done.returncode == 0, (step["name"], done.stderr, done.stdout)
    assert call in calls(tmp_path)
    text = (folder / "comment.md").read_text()
    assert text.startswith("<!-- backstay-plan prod-eu -->\n")
    assert "namespace shop, with 1 claim, loses protection" in text
    assert "does not contain" not in text
    assert "no Config was given" not in text
    done = bash(STEPS[-1]["run"], folder, env)
    assert done.returncode == 1
    assert "::error file=policies/shop.yaml,line=9,title=coverage-lost::" in done.stdout
    assert not list(folder.rglob("shop.yaml"))


def test_github_plans_no_other_commit(server: Path, tmp_path: Path) -> None:
    env = variables(tmp_path, [], **on_github(server, "1" * 40))
    done = bash(STEPS[0]["run"], work(tmp_path), env)
    assert done.returncode == 1
    assert "the pull request has moved on" in done.stdout


def test_github_plans_what_a_merge_gives(server: Path, tmp_path: Path) -> None:
    """Both sides' changes; a head with a detour back to before its base's policies undoes them."""
    folder = work(tmp_path)

    def fetch(head: str) -> subprocess.CompletedProcess[str]:
        propose(server, head)
        shutil.rmtree(folder / "policies.git", ignore_errors=True)
        known = on_github(server, git(server, "rev-parse", head))
        return bash(STEPS[0]["run"], folder, variables(tmp_path, [], **known))

    def of(revision: str) -> str:
        return git(folder / "policies.git", "rev-parse", revision)

    assert fetch("change").returncode == 0
    assert of("merge:policies") == git(server, "rev-parse", "change:policies")
    assert of("merge:clusters") == git(server, "rev-parse", "main:clusters")
    assert of("merge^1") == git(server, "rev-parse", "main")
    add_detour(server)
    git(server, "reset", "--quiet", "--hard", "base")
    assert fetch("head").returncode == 0
    assert of("merge^{tree}") == git(server, "rev-parse", "old^{tree}")
    assert of("merge^1:policies") == git(server, "rev-parse", "base:policies")
    conflict = fetch(in_conflict(server))
    assert conflict.returncode == 1
    # Not git's own words: names of files are the stranger's.
    assert conflict.stdout == "::error::base and head can't be merged\n"


def in_conflict(server: Path) -> str:
    """A branch that changes a line of the policy shop which main has changed too."""
    file = server / "policies/shop.yaml"
    git(server, "switch", "--quiet", "--create", "conflict")
    text = file.read_text()
    for branch, word in {"conflict": "shop-a", "main": "shop-b"}.items():
        git(server, "switch", "--quiet", branch)
        file.write_text(text.replace("names: [shop,", f"names: [{word},"))
        git(server, "commit", "--quiet", "--all", "--message", word)
    return "conflict"


@pytest.mark.parametrize(
    ("author", "call"),
    [
        ("bot", "--request PUT --data-urlencode body@comment.md https://x/projects/3/"),
        ("mallory", "--request POST --data-urlencode body@comment.md https://x/projects/3/"),
    ],
)
def test_gitlab(server: Path, tmp_path: Path, author: str, call: str) -> None:
    note = {"id": 9, "author": {"username": author}, "body": "<!-- backstay-plan prod-eu -->\n"}
    env = on_gitlab(server, tmp_path, [note], [[7]])
    folder = work(tmp_path)
    done = bash(SCRIPT, folder, env)
    assert done.returncode == 0, done.stderr
    assert call in calls(tmp_path)
    text = (folder / "comment.md").read_text()
    assert "loses protection" in text
    assert "no Config was given" not in text


def on_gitlab(
    server: Path,
    tmp_path: Path,
    notes: list[dict[str, Any]],
    pages: list[list[int]],
    **more: str,
) -> dict[str, str]:
    """The scheduled job's variables; ``pages`` are the numbers of the open requests."""
    for number, page in enumerate(pages, 1):
        found = [{"iid": one, "sha": f"{one:040x}"} for one in page]
        (tmp_path / f"open.json.{number}").write_text(json.dumps(found))
    return variables(
        tmp_path,
        notes,
        OPEN=str(tmp_path / "open.json"),
        COMMENT_TOKEN="none",
        BOT="bot",
        CI_API_V4_URL="https://x",
        CI_PROJECT_ID="3",
        CI_REPOSITORY_URL=f"file://{server}",
        CI_DEFAULT_BRANCH="main",
        CI_PIPELINE_SOURCE="schedule",
        **more,
    )


def test_gitlab_replaces_the_comment_of_what_can_not_be_planned(
    server: Path, tmp_path: Path
) -> None:
    """Request 5 has no commits here; request 7 is planned all the same."""
    note = {"id": 9, "author": {"username": "bot"}, "body": "<!-- backstay-plan prod-eu -->\n"}
    env = on_gitlab(server, tmp_path, [note], [[5, 7]])
    done = bash(SCRIPT, work(tmp_path), env)
    assert done.returncode == 1
    assert "not planned, or without a comment: 5 \n" in done.stderr
    first, second = calls(tmp_path).splitlines()
    assert "--request PUT" in first
    assert "/merge_requests/5/notes/9" in first
    assert "/merge_requests/7/notes/9" in second
    told = (tmp_path / "calls.txt.5.md").read_text()
    assert told.startswith("<!-- backstay-plan prod-eu -->\n")
    assert f"{5:040x} could not be planned" in told
    assert "loses protection" in (tmp_path / "calls.txt.7.md").read_text()


def of_request(server: Path, **more: str) -> dict[str, str]:
    """What GitLab tells a pipeline of request 7."""
    return {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_COMMIT_SHA": git(server, "rev-parse", "change"),
        **more,
    }


def test_gitlab_plans_a_request_in_its_own_pipeline_and_is_its_gate(
    server: Path, tmp_path: Path
) -> None:
    env = on_gitlab(server, tmp_path, [], []) | of_request(server)
    folder = work(tmp_path)
    done = bash(SCRIPT, folder, env)
    assert done.returncode == 1
    assert "coverage-lost" in done.stdout
    assert "--request POST" in calls(tmp_path)
    assert "loses protection" in (tmp_path / "calls.txt.7.md").read_text()
    assert not list(folder.rglob("shop.yaml")), "nothing is checked out"
    # What changes nothing is let through, with a comment that says so.
    git(server, "update-ref", "refs/merge-requests/7/head", "main")
    here = of_request(server, CI_COMMIT_SHA=git(server, "rev-parse", "main"))
    done = bash(SCRIPT, folder, env | here)
    assert done.returncode == 0, done.stderr
    assert "loses protection" not in (tmp_path / "calls.txt.7.md").read_text()


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"CI_COMMIT_SHA": "1" * 40}, "the merge request has moved on"),
        ({"CI_MERGE_REQUEST_IID": "5"}, "not planned, or without a comment: 5"),
        ({"INVENTORY": "/nowhere"}, "not planned, or without a comment: 7"),
    ],
)
def test_gitlab_lets_nothing_through_that_it_did_not_plan(
    server: Path, tmp_path: Path, told: dict[str, str], what: str
) -> None:
    env = on_gitlab(server, tmp_path, [], []) | of_request(server) | told
    done = bash(SCRIPT, work(tmp_path), env)
    assert done.returncode == 1
    assert what in done.stderr
    assert "--request POST" in calls(tmp_path)


def test_gitlab_plans_what_a_merge_gives(server: Path, tmp_path: Path) -> None:
    """Not what a part of the head's history makes of it; and nothing where there are conflicts."""
    add_detour(server)
    git(server, "reset", "--quiet", "--hard", "base")
    propose(server, "head")
    env = on_gitlab(server, tmp_path, [], [])
    here = of_request(server, CI_COMMIT_SHA=git(server, "rev-parse", "head"))
    folder = work(tmp_path)
    done = bash(SCRIPT, folder, env | here)
    assert done.returncode == 1
    assert "coverage-lost" in done.stdout
    assert "policy shop is removed" in (tmp_path / "calls.txt.7.md").read_text()
    propose(server, in_conflict(server))
    here = of_request(server, CI_COMMIT_SHA=git(server, "rev-parse", "conflict"))
    done = bash(SCRIPT, folder, env | here)
    assert done.returncode == 1
    assert "request 7: base and head can't be merged" in done.stderr
    assert "not planned, or without a comment: 7" in done.stderr
    assert "could not be planned" in (tmp_path / "calls.txt.7.md").read_text()


def test_gitlab_knows_the_tip_of_a_merged_results_pipeline(server: Path, tmp_path: Path) -> None:
    tip = git(server, "rev-parse", "change")
    merged = {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": tip, "CI_COMMIT_SHA": "1" * 40}
    env = on_gitlab(server, tmp_path, [], []) | of_request(server, **merged)
    done = bash(SCRIPT, work(tmp_path), env)
    assert "moved on" not in done.stderr
    assert "coverage-lost" in done.stdout


def test_gitlab_without_a_second_project(server: Path, tmp_path: Path) -> None:
    env = variables(tmp_path, []) | {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(server, "merge-base", "main", "change"),
        "CI_COMMIT_SHA": git(server, "rev-parse", "change"),
    }
    done = bash(BRANCH, server, env)
    assert done.returncode == 1, done.stderr
    assert "selector-changed" in done.stdout


def test_gitlabs_definition_lies_where_no_branch_can_change_it() -> None:
    assert "backup-plan.yml@platform/backup-ci" in PAGE
    job = BLOCKS[1]["backup plan"]
    assert job["variables"]["GIT_STRATEGY"] == "none"
    rules = [rule["if"] for rule in job["rules"]]
    assert [re.findall(r'SOURCE == "(\w+)"', rule) for rule in rules] == [
        ["merge_request_event"], ["schedule"],
    ]  # fmt: skip
    assert all("== $CI_DEFAULT_BRANCH" in rule for rule in rules)
    assert "changes" not in str(job["rules"])


def test_gitlab_looks_at_every_page(server: Path, tmp_path: Path) -> None:
    env = on_gitlab(server, tmp_path, [], [[7, 7], [7]])
    # Pages of two; and only how far it reads is of interest here.
    quick = SCRIPT.replace("-lt 100", "-lt 2").replace('get "$1" && plan', "true")
    quick = quick.replace("> comment.md || code", "|| code")
    folder = work(tmp_path)
    (folder / "comment.md").write_text("<!-- backstay-plan prod-eu -->\n")
    done = bash(quick, folder, env)
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path).count("--request POST") == 3


def test_nothing_keeps_the_github_workflow_from_starting() -> None:
    (event,) = BLOCKS[0][True].values()  # YAML 1.1 reads the key `on` as true
    assert "paths" not in event
    assert event["types"] == ["opened", "synchronize", "reopened", "edited"]


def test_scripts_paste_nothing_and_check_nothing_out() -> None:
    workflow = BLOCKS[0]
    assert workflow["permissions"] == {}
    assert workflow["jobs"]["plan"]["permissions"] == {
        "contents": "read", "pull-requests": "write",
    }  # fmt: skip
    for step in STEPS:
        assert "uses" not in step
        assert "${{" not in step["run"]
    for script in (*(step["run"] for step in STEPS), SCRIPT):
        done = subprocess.run(["bash", "-n", "-c", script], check=False, timeout=60)
        assert done.returncode == 0
        assert "checkout" not in script


def test_the_page_names_findings_that_there_are() -> None:
    gates = [set(found.split(",")) for found in re.findall(r"--fail-on ([\w,-]+)", PAGE)]
    assert gates
    assert set.union(*gates) <= set(FINDINGS)
    whole = [gate for gate in gates if len(gate) > 1]
    assert len(whole) == 4
    assert all("hook-executes" in gate for gate in whole)
