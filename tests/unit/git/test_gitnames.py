"""What may reach git, and what never does."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.gitnames import (
    check_folder,
    check_path,
    check_ref,
    check_sha,
    full_ref,
    mask_url,
    parse_url,
)
from reconciler.model.errors import Refused


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("ssh://git@git.example.org/team/policies.git", "ssh"),
        ("ssh://git@[2001:db8::1]:2222/team/policies.git", "ssh"),
        ("git@git.example.org:team/policies.git", "ssh"),
        ("git.example.org:policies.git", "ssh"),
        ("https://git.example.org/team/policies", "https"),
        ("http://git.git-system.svc/policies.git", "http"),
        ("https://ann@git.example.org:8443/team/policies", "https"),
    ],
)
def test_the_usual_urls_are_taken(text: str, scheme: str) -> None:
    url = parse_url(text)
    assert (url.text, url.scheme, url.shown) == (text, scheme, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/srv/git/policies.git",
        "./policies",
        "file:///srv/git/policies.git",
        "http://",
        "git://git.example.org/x",
        "ext::sh -c touch% /tmp/x",
        "ext::touch",
        "fd::17",
        "host:-oProxyCommand=x",
        "-oProxyCommand=x:y",
        "--upload-pack=touch",
        "ssh://-oProxyCommand=touch/x",
        "ssh://-x@host/x",
        "ssh://host",
        "ssh://host/",
        "ssh://host/-x",
        "ssh:///x",
        "ssh://host:port/x",
        "https://git.example.org/x y",
        "https://git.example.org/x\ny",
        "https://git.example.org/" + "x" * 2000,
    ],
)
def test_whatever_else_is_refused_with_the_right_forms(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_url(text)
    assert "ssh://" in caught.value.hint


def test_a_local_url_needs_leave() -> None:
    assert parse_url("file:///srv/x.git", allow_local=True).scheme == "file"


@pytest.mark.parametrize("secret", ["hunter2", "hunter2@x", "p:hunter2"])
def test_a_password_in_a_url_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_url(f"https://ann:{secret}@git.example.org/x")
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "secretRef" in caught.value.hint
    assert "hunter2" not in mask_url(f"fatal: https://ann:{secret}@git.example.org/x failed")


def test_a_url_does_not_show_itself() -> None:
    assert "git.example.org/team" not in repr(parse_url("git@h:x")).replace("shown='git@h:x'", "")


@pytest.mark.parametrize("name", ["main", "clusters/prod-eu/_cluster", "a.b", "ä/ö", "v1.2", "x@y"])
def test_good_refs(name: str) -> None:
    assert check_ref(name) == name
    assert full_ref(name) == f"refs/heads/{name}"


def test_a_full_ref_stays() -> None:
    assert full_ref("refs/tags/v1") == "refs/tags/v1"


@given(st.text(alphabet=string.ascii_letters + "/.-_@{}~^:?*[\\ \n\0", max_size=12))
def test_a_ref_that_passes_is_nothing_but_a_name(name: str) -> None:
    try:
        check_ref(name)
    except Refused:
        return
    assert not name.startswith(("-", "/", "."))
    assert not set(name) & set("~^:?*[\\ \n\0")
    assert ".." not in name
    assert "//" not in name
    assert "@{" not in name


@pytest.mark.parametrize(
    ("text", "folder"),
    [("", ""), (".", ""), ("./", ""), ("policies/", "policies"), ("./a/./b//c", "a/b/c")],
)
def test_folders_in_one_form(text: str, folder: str) -> None:
    assert check_folder(text) == folder


@pytest.mark.parametrize("path", ["a/../b", "..", "/a", "a/", "", "a/.GIT/config", "a\0b"])
def test_paths_that_leave_their_place(path: str) -> None:
    with pytest.raises(Refused):
        check_path(path)


@pytest.mark.parametrize(
    "sha", ["", "main", "A" * 40, "a" * 39, "a" * 41, "0" * 40, "a" * 40 + "\n"]
)
def test_what_is_no_id(sha: str) -> None:
    with pytest.raises(Refused):
        check_sha(sha)
