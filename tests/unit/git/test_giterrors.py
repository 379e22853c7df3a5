"""git's and ssh's own words, as they were seen, and what they become."""

from __future__ import annotations

import pytest

from reconciler.adapters import giterrors
from reconciler.model.errors import BackstayError, PushRejected, Refused, Transient

URL = "ssh://git@git.example.org/manifests.git"
SEEN: list[tuple[str, type[BackstayError], str]] = [
    (
        ("No ED25519 host key is known for [::1]:22 and you have requested strict checking.\n"
        "Host key verification failed.\nfatal: Could not read from remote repository.\n"),
        Refused,
        "host key",
    ),
    (
        ("@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@\n"
        "Host key verification failed.\nfatal: Could not read from remote repository."),
        Refused,
        "host key",
    ),
    (
        ("git@git.example.org: Permission denied (publickey).\n"
        "fatal: Could not read from remote repository."),
        Refused,
        "refused the SSH key",
    ),
    (
        ("ERROR: The key you are authenticating with has been marked as read only.\n"
        "fatal: Could not read from remote repository."),
        Refused,
        "may read, and not write",
    ),
    (
        ("remote: ERROR: This deploy key does not have write access to this project.\n"
        "fatal: Could not read from remote repository."),
        Refused,
        "may read, and not write",
    ),
    ("No user exists for uid 10001\nfatal: Could not read from remote", Refused, "/etc/passwd"),
    (
        "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
        Refused,
        "no such repository",
    ),
    (
        "fatal: repository 'https://git.example.org/x.git/' not found",
        Refused,
        "no such repository",
    ),
    (
        "fatal: '/srv/x.git' does not appear to be a git repository",
        Refused,
        "no such repository",
    ),
    (
        "fatal: unable to access 'https://h/x/': The requested URL returned error: 403",
        Refused,
        "refused the credentials",
    ),
    (
        "fatal: could not read Username for 'https://h': terminal prompts disabled",
        Refused,
        "refused the credentials",
    ),
    (
        ("fatal: unable to access 'https://h/x/': server certificate verification failed."
        " CAfile: none CRLfile: none"),
        Refused,
        "certificate is not trusted",
    ),
    (
        ("ssh: connect to host 127.0.0.1 port 2222: Connection refused\n"
        "fatal: Could not read from remote repository."),
        Transient,
        "could not be reached",
    ),
    (
        "ssh: Could not resolve hostname git.example.org: Name or service not known",
        Transient,
        "could not be reached",
    ),
    (
        "fatal: unable to access 'https://h/x/': Could not resolve host: h",
        Transient,
        "could not be reached",
    ),
    (
        "fatal: unable to access 'https://h/x/': The requested URL returned error: 503",
        Transient,
        "could not be reached",
    ),
    ("fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF",
     Transient, "could not be reached"),
    ("fatal: write error: No space left on device", Transient, "no space left"),
    ("error: something new\nfatal: that nobody knows", Transient, "that nobody knows"),
    ("", Transient, "said nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("stderr", "kind", "says"), SEEN)
def test_each_failure_has_its_class_its_place_and_a_hint(
    stderr: str, kind: type[BackstayError], says: str
) -> None:
    error = giterrors.explain("fetch branch shop", URL, stderr.encode())
    assert type(error) is kind
    assert says in error.message
    assert error.message.startswith(f"cannot fetch branch shop at {URL}: ")
    assert error.hint
    # True of a command that a person ran as well: nothing tries that again.
    assert "it is tried again" not in error.hint


@pytest.mark.parametrize(
    "stderr",
    [
        "Host key verification failed.",
        "git@git.example.org: Permission denied (publickey).",
        "fatal: Authentication failed for 'https://git.example.org/'",
        "fatal: unable to access 'https://h/x/': server certificate verification failed",
        "fatal: unable to access 'https://h/x/': Problem with the SSL CA cert",
        "ERROR: Repository not found.",
    ],
)
def test_what_is_mended_in_a_secret_names_it(stderr: str) -> None:
    hint = giterrors.explain("fetch", URL, stderr.encode(), source="Secret backstay-system/x").hint
    assert "Secret backstay-system/x" in hint
    assert "{" not in hint
    general = giterrors.explain("fetch", URL, stderr.encode()).hint
    assert "the Secret" in general


def test_the_line_that_names_the_cause_is_the_one_quoted() -> None:
    cause = "ssh: connect to host h port 22: Connection refused"
    stderr = f"{cause}\nfatal: Could not read from remote".encode()
    message = giterrors.explain("fetch branch shop", URL, stderr).message
    assert message.endswith(f"({cause})")


# Who says it, and what git shows of it in brackets.
MOVED = [
    ("git", "[rejected] (fetch first)"),
    ("git", "[rejected] (non-fast-forward)"),
    ("git", "[rejected] (stale info)"),
    ("git", "[remote rejected] (failed to update ref)"),
    ("git", "[remote rejected] (incorrect old value provided)"),
    ("git", "[remote rejected] (reference already exists)"),
    ("git", "[remote rejected] (shallow update not allowed)"),
    ("git", "[remote rejected] (atomic transaction failed)"),
    ("git", "[remote rejected] (remote ref updated since checkout)"),
    ("GitHub", "[remote rejected] (cannot lock ref 'refs/heads/shop': is at 1 but expected 2)"),
    ("GitHub", "[remote rejected] (cannot lock ref 'refs/heads/deny-all': is at 1 but expected 2)"),
    ("GitLab", "[remote rejected] (failed to update ref)"),
    ("Gitea", "[remote rejected] (failed to update reference)"),
    ("Gitea", "[remote rejected] (cannot lock ref 'refs/heads/x': reference already exists)"),
    ("Bitbucket", "[remote rejected] (failed to lock)"),
    ("Bitbucket", "[remote rejected] (lock error)"),
    ("Gerrit", "[remote rejected] (LOCK_FAILURE)"),
    ("Gerrit", "[remote rejected] (lock failure)"),
    (
        "Azure",
        "[remote rejected] (TF401028: The reference 'refs/heads/shop' has already been updated)",
    ),
]
DECLINED = [
    ("git", "[remote rejected] (pre-receive hook declined)"),
    ("git", "[remote rejected] (deny updating a hidden ref)"),
    ("git", "[remote rejected] (branch is currently checked out)"),
    ("GitHub", "[remote rejected] (protected branch hook declined)"),
    ("GitHub", "[remote rejected] (push declined due to repository rule violations)"),
    ("GitHub", "[remote rejected] (GH013: Repository rule violations found)"),
    ("Gerrit", "[remote rejected] (prohibited by Gerrit: not permitted: update)"),
    (
        "Azure",
        "[remote rejected] (TF402455: Pushes to this branch are not permitted; use a pull request)",
    ),
    ("Azure", "[remote rejected] (VS403654: The push was rejected because of its author)"),
]
PASSING = [
    ("GitHub", "[remote rejected] (failure)", "remote: fatal error in commit_refs\n"),
    ("GitHub", "[remote rejected] (Internal Server Error)", ""),
    ("GitLab", "[remote rejected] (ref updates aborted by hook)", ""),
    ("GitLab", "[remote rejected] (reference-transaction hook declined)", ""),
    (
        "Gitea",
        "[remote rejected] (pre-receive hook declined)",
        "remote: Gitea: Internal Server Connection Error\n",
    ),
]


@pytest.mark.parametrize(("server", "summary"), MOVED)
def test_every_way_to_say_that_a_branch_moved(server: str, summary: str) -> None:
    error = giterrors.explain_rejection("shop", URL, summary, b"")
    assert type(error) is PushRejected, server
    assert "branch shop" in error.message
    assert URL in error.message


@pytest.mark.parametrize(("server", "summary"), DECLINED)
def test_a_server_that_declines_says_why(server: str, summary: str) -> None:
    error = giterrors.explain_rejection("shop", URL, summary, b"remote: sign your commits\n")
    assert type(error) is Refused, server
    assert "sign your commits" in error.message


@pytest.mark.parametrize(("server", "summary", "stderr"), PASSING)
def test_a_server_with_a_fault_of_its_own_is_tried_again(
    server: str, summary: str, stderr: str
) -> None:
    error = giterrors.explain_rejection("shop", URL, summary, stderr.encode())
    assert type(error) is Transient, server
    assert "branch shop" in error.message


def test_a_branch_in_the_way_of_a_folder_is_no_race() -> None:
    summary = (
        "[remote rejected] (cannot lock ref 'refs/heads/clusters/prod/shop':"
        " 'refs/heads/clusters/prod' exists; cannot create 'refs/heads/clusters/prod/shop')"
    )
    error = giterrors.explain_rejection("clusters/prod/shop", URL, summary, b"")
    assert type(error) is Refused
    assert "rename or delete" in error.hint
    told = b"remote: error: 'refs/heads/a' exists; cannot create 'refs/heads/a/b'\n"
    short = giterrors.explain_rejection(
        "a/b", URL, "[remote rejected] (failed to update ref)", told
    )
    assert type(short) is Refused


def test_a_server_without_space_is_no_moved_branch() -> None:
    stderr = b"remote: fatal: write error: No space left on device\n"
    error = giterrors.explain_rejection("shop", URL, "[remote rejected] (unpacker error)", stderr)
    assert type(error) is Transient
    assert "no space left" in error.message


def test_foreign_text_is_masked_cut_and_plain() -> None:
    stderr = (
        b"fatal: https://ann:hunter2@h/x said t0psecret\x1b[2J\x07\xff\n" + b"fatal: more\n" * 500
    )
    message = giterrors.explain("push", URL, stderr, ["t0psecret", "x"]).message
    assert "hunter2" not in message
    assert "t0psecret" not in message
    assert message.isprintable()
    assert len(message) < 700
    # A secret too short to be one would blank out half the text.
    assert "/x said" in message
