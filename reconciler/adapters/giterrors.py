"""What git and ssh said → what Backstay's errors say, with the next step.

git has few exit codes, so phrases decide; they are those of the C locale and each has a test that
makes the real program say it. Whatever is quoted is masked, cut, and freed of control characters:
a part of it comes from the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.adapters.gitnames import mask_url
from reconciler.model.errors import BackstayError, PushRejected, Refused, Transient

_QUOTED = 400
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class _Rule:
    phrase: re.Pattern[str]
    kind: type[Refused | Transient]
    says: str
    hint: str = ""


def _rule(phrase: str, kind: type[Refused | Transient], says: str, hint: str = "") -> _Rule:
    return _Rule(re.compile(phrase, re.IGNORECASE), kind, says, hint)


# First match wins, so the cause stands above its consequences ("could not read from remote").
_RULES = (
    _rule(
        r"host key verification failed|remote host identification has changed",
        Refused,
        "the server's host key is not among the known ones",
        "compare it with `ssh-keyscan HOST`, ask the server's owner whether it was changed, and put"
        " the right line into known_hosts of {secret}",
    ),
    _rule(
        # GitHub, GitLab, Gitea and Bitbucket, of a deploy key that may read only
        r"marked as read[- ]only|does ?n[o']t have write access|write access .*not granted"
        r"|not authorized to write|read-only deploy key",
        Refused,
        "this key may read, and not write",
        "allow this key to write (a deploy key has a switch for that)",
    ),
    _rule(
        r"no user exists for uid",
        Refused,
        "ssh needs an entry in /etc/passwd for the user it runs as",
        "run the image with its own user id",
    ),
    _rule(
        r"permission denied \(|load key .*: (error|invalid)|too many authentication failures",
        Refused,
        "the server refused the SSH key",
        "give the public half of `identity` of {secret} access to the repository (a deploy key), or"
        " put another key there",
    ),
    _rule(
        r"authentication failed|could not read (username|password)|returned error: 40[13]"
        r"|terminal prompts disabled",
        Refused,
        "the server refused the credentials",
        "renew username and password, or bearerToken, in {secret}",
    ),
    _rule(
        r"no alternative certificate|certificate subject name|does not match (target )?host",
        Refused,
        "the server's certificate is for another host",
        "write the host into the URL that its certificate names",
    ),
    _rule(
        r"ssl certificate|certificate verif|self[- ]signed certificate|certificate has expired",
        Refused,
        "the server's certificate is not trusted",
        "put the authority that signed it into ca.crt of {secret}; if it is there, the"
        " certificate may have expired, and is renewed on the server",
    ),
    _rule(
        r"error setting certificate|problem with the ssl ca",
        Refused,
        "the authorities to trust can't be read",
        "ca.crt of {secret} holds certificates in PEM",
    ),
    _rule(
        r"returned error: 30[12378]|unable to update url base from redirection",
        Refused,
        "the server sends elsewhere, and credentials don't follow",
        "write the address that it sends to into Config, if you trust it",
    ),
    _rule(
        r"operation too slow|less than \d+ bytes/sec",
        Transient,
        "the server stands still",
        "look at the server and the network; what runs on a schedule tries again by itself",
    ),
    _rule(
        r"detected dubious ownership",
        Refused,
        "git does not read a folder that belongs to another user",
        "run as its owner, or give the folder to the user that runs this",
    ),
    _rule(
        r"does not appear to be a git repository|repository '?.*'? ?not found"
        r"|returned error: 404|project you were looking for could not be found",
        Refused,
        "there is no such repository, or these credentials may not see it",
        "check the URL, and whom {secret} lets in there; create the repository if it is new",
    ),
    _rule(
        r"transport '.*' not allowed",
        Refused,
        "this kind of URL is not allowed",
        "use ssh or https",
    ),
    _rule(
        r"no space left on device|disk quota exceeded",
        Transient,
        "there is no space left",
        "free space where the message says, here or on the server",
    ),
    _rule(
        r"out of memory|cannot allocate memory",
        Transient,
        "git ran out of memory",
        "the repository holds something very large, or the pod's memory limit is too low",
    ),
    _rule(
        r"read-only file system|unable to (create|write) .*permission denied"
        r"|insufficient permission",
        Refused,
        "git may not write",
        "check who owns the repository on the server and the working folder here",
    ),
    _rule(
        r"connection (refused|timed out|reset|closed)|operation timed out|no route to host"
        r"|network is unreachable|could not resolve host|name resolution|timeout, server"
        r"|kex_exchange|broken pipe|early eof|hung up unexpectedly|unexpected disconnect|rpc failed"
        r"|failed to connect|couldn't connect|returned error: (5\d\d|429)|invalid index-pack output"
        r"|unpack-objects (failed|died)|expected flush|bad band|protocol error"
        r"|could not read from remote",
        Transient,
        "the server could not be reached or broke off",
        "check the server and the network; what runs on a schedule tries again by itself",
    ),
)

_DAMAGE = re.compile(
    rb"is corrupt|bad object|missing (blob|tree|commit)|unable to read (sha1|tree)|unresolved delta"
    rb"|packfile .* (cannot be|does not|is far|index)|inflate: data stream|not a git repository",
    re.IGNORECASE,
)
# How servers say that somebody else was quicker (a push was built on an old tip): git, and with it
# GitHub, GitLab and Gitea; JGit (Bitbucket, Gerrit: "lock failure"); Azure ("TF401028").
_MOVED = re.compile(
    r"non-fast-forward|fetch first|stale info|incorrect old value|reference already exists"
    r"|cannot lock ref|failed to (update|lock)|shallow update not allowed|needs force"
    r"|object not found|atomic (push failure|transaction failed)|lock[ _]failure|lock error"
    r"|TF401028|already been updated by another client|remote ref updated since checkout",
    re.IGNORECASE,
)
_DECLINED = re.compile(
    r"hook declined|protected branch|not (allowed|permitted|authorized)|GH0\d\d|\bdeny|prohibited"
    r"|hidden ref|branch is currently checked out|TF40\d{4}|VS40\d{4}|rule violations",
    re.IGNORECASE,
)
# A transaction that the server's own copies did not agree on, and a hook that could not be asked.
_PASSING = re.compile(
    r"ref updates aborted by hook|reference-transaction hook declined|fatal error in commit_refs"
    r"|internal server (connection )?error|\(failure\)",
    re.IGNORECASE,
)
# A branch lies where a folder of branches would have to be: that never passes.
_IN_THE_WAY = re.compile(r"cannot create|directory/file conflict|name conflict", re.IGNORECASE)
_NAME = re.compile(r"(['\"`])[^'\"`\s]*\1|refs/heads/\S+")


def explain(
    what: str,
    shown: str,
    stderr: bytes,
    secrets: Iterable[str] = (),
    *,
    source: str = "the Secret",
) -> BackstayError:
    """The error for a git command that failed; ``what`` as in "cannot <what>", ``shown`` masked.

    ``source`` is where the credentials came from, for the hint: there they are renewed.
    """
    text = masked(stderr, secrets)
    for rule in _RULES:
        cause = next((line for line in text.splitlines() if rule.phrase.search(line)), None)
        if cause is not None:
            return rule.kind(
                f"cannot {what} at {shown}: {rule.says} ({quoted(cause)})",
                hint=rule.hint.replace("{secret}", source),
            )
    return Transient(
        f"cannot {what} at {shown}: {quoted(text) or 'git said nothing'}",
        hint="run the same with git by hand; what runs on a schedule tries again by itself",
    )


def explain_rejection(
    branch: str,
    shown: str,
    summary: str,
    stderr: bytes,
    secrets: Iterable[str] = (),
    *,
    source: str = "the Secret",
) -> BackstayError:
    """The error for a branch that the server did not take, from ``git push --porcelain``."""
    text = masked(summary.encode(), secrets)
    said = masked(stderr, secrets)
    # A policy may be called deny-all: names say nothing about why.
    words = _NAME.sub("", text)
    if _IN_THE_WAY.search(words) or _IN_THE_WAY.search(_NAME.sub("", said)):
        return Refused(
            f"{shown} does not take branch {branch}: {quoted(text)}; {quoted(said)}",
            hint="another branch has the name of a folder of this one: rename or delete that",
        )
    if _PASSING.search(words) or ("hook declined" in words and _PASSING.search(said)):
        return Transient(
            f"cannot push branch {branch} at {shown}: {quoted(text)}; {quoted(said)}",
            hint="look at the server; what runs on a schedule tries again by itself",
        )
    declined = _DECLINED.search(_MOVED.sub("", words))
    if _MOVED.search(words) and not declined:
        return PushRejected(
            f"branch {branch} at {shown} moved since it was read ({quoted(text)})",
            hint="it is read again and the commit is put on top",
        )
    if declined:
        return Refused(
            f"{shown} does not take branch {branch}: {quoted(text)}; {quoted(said)}",
            hint="allow this key to push to the branch (its rules or hooks refused it)",
        )
    both = summary.encode() + b"\n" + stderr
    return explain(f"push branch {branch}", shown, both, secrets, source=source)


def shows_damage(stderr: bytes) -> bool:
    """Whether git complains of a damaged repository, here or there."""
    return _DAMAGE.search(stderr) is not None


def masked(raw: bytes, secrets: Iterable[str]) -> str:
    """Foreign text with secrets, passwords in URLs and control characters gone."""
    text = raw.decode("utf-8", "replace")
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = "\n".join(
        re.sub(r"(?<=://)[^/@\s]*:[^/\s]*(?=@)", "***", line) for line in text.split("\n")
    )
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", " ", text)


def quoted(text: str) -> str:
    """The lines that say most, joined and cut: an error line if there is one, else the last."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line and not re.fullmatch(r"[@\s]*", line)]
    strong = [line for line in lines if re.match(r"(?i:fatal|error|ssh|remote|!)\b", line)]
    chosen = list(dict.fromkeys(strong[:3] or lines[-2:]))
    return "; ".join(chosen)[:_QUOTED]


__all__ = ["explain", "explain_rejection", "mask_url", "masked", "quoted"]
