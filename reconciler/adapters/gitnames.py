"""What may be handed to git: URLs, refs, paths and ids, checked before any process sees them.

A text of a user never becomes an option of git or ssh, never names another transport, never
leaves its folder. Whatever is not plainly right is refused here, with what would be right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.model.errors import Refused

_SCP = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][\w.-]*)@)?(?P<host>[A-Za-z0-9][\w.-]*):(?P<path>[^-].*)"
)
_HOST = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]+")
_USER = re.compile(r"[A-Za-z0-9_][\w.+-]*")
# git-check-ref-format(1): what a component may not hold, and how it may not begin or end.
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FORMS = "write ssh://git@host/path.git, git@host:path.git or https://host/path.git"
_MAX_NAME = 1024


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A checked URL: ``scheme`` is ssh, https, http or file; ``shown`` is safe to print."""

    text: str = field(repr=False)
    scheme: str
    shown: str


def parse_url(text: str, *, allow_local: bool = False) -> GitUrl:
    """A URL that git may be given; ``file://`` only with ``allow_local``. Raises Refused.

    ``http://`` is for what anybody may read: credentials never go there, see `gitcredentials`.
    """
    shown = mask_url(text)
    if not text or len(text) > _MAX_NAME or re.search(r"[\x00-\x20\x7f]", text):
        raise Refused(f"{shown!r} is no Git URL: it is empty, too long or has spaces", hint=_FORMS)
    scheme, separator, _ = text.partition("://")
    if not separator:
        if _SCP.fullmatch(text) and "::" not in text:
            return GitUrl(text, "ssh", shown)
        raise Refused(f"{shown!r} is no Git URL", hint=_FORMS)
    if scheme == "file" and allow_local:
        return GitUrl(text, scheme, shown)
    if scheme not in {"ssh", "https", "http"}:
        raise Refused(f"Git URL {shown!r}: {scheme}:// is not allowed", hint=_FORMS)
    _check_authority(text, shown)
    return GitUrl(text, scheme, shown)


def _check_authority(text: str, shown: str) -> None:
    try:
        parts = urlsplit(text)
        host, user, secret, _ = parts.hostname, parts.username, parts.password, parts.port
    except ValueError as error:
        raise Refused(f"Git URL {shown!r} has a bad host or port", hint=_FORMS) from error
    if secret is not None:
        raise Refused(
            f"Git URL {shown!r} holds a password",
            hint="keep it in the Secret that secretRef names, keys username and password",
        )
    if not host or not _HOST.fullmatch(host) or (user is not None and not _USER.fullmatch(user)):
        raise Refused(f"Git URL {shown!r} has a bad user or host", hint=_FORMS)
    if parts.path in {"", "/"} or parts.path.startswith("/-"):
        raise Refused(f"Git URL {shown!r} names no repository", hint=_FORMS)


def mask_url(text: str) -> str:
    """The text with whatever stands for a password in a URL replaced, cut to a readable length."""
    masked = re.sub(r"(?<=://)[^/@\s]*:[^/\s]*(?=@)", "***", text)
    return re.sub(r"[\x00-\x1f\x7f]", "?", masked)[:200]


def check_ref(name: str, what: str = "branch") -> str:
    """The name if `git check-ref-format` would take it below ``refs/heads/``; raises Refused."""
    parts = name.split("/")
    bad = (
        not name
        or len(name) > _MAX_NAME
        or name.startswith("-")
        or name.endswith(".")
        or name == "@"
        or _BAD_IN_REF.search(name) is not None
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
    if bad:
        raise Refused(f"{name!r} is no valid {what} name", hint="see `git help check-ref-format`")
    return name


def full_ref(ref: str) -> str:
    """``main`` → ``refs/heads/main``; a name that begins with ``refs/`` stays as it is."""
    check_ref(ref, "ref")
    return ref if ref.startswith("refs/") else f"refs/heads/{ref}"


def check_sha(text: str) -> str:
    """The text if it is a full object id; raises Refused."""
    if not _SHA.fullmatch(text) or not text.strip("0"):
        raise Refused(f"{text[:80]!r} is no commit id", hint="give all 40 hexadecimal digits")
    return text


def check_folder(text: str) -> str:
    """A folder of a repository: ``./policies/`` → ``policies``, the root → ````; raises Refused."""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if text.startswith("/") or ".." in parts or re.search(r"[\x00-\x1f\x7f]", text):
        raise Refused(
            f"{text!r} is no folder of the repository",
            hint="give it relative to the root of the repository, without ..",
        )
    return "/".join(parts)


def check_path(text: str) -> str:
    """The path if a commit may hold it: relative, and harmless when it is checked out."""
    parts = text.split("/")
    if "\0" in text or any(p in {"", ".", ".."} or p.lower() == ".git" for p in parts):
        raise Refused(f"{text[:200]!r} is no path for a file in Git")
    return text


def local_url(path: Path) -> str:
    """The ``file://`` URL of a folder; only ever used by callers that allow local ones."""
    return f"file://{path.resolve()}"
