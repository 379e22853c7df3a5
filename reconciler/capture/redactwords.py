"""What looks like a credential: names, whole values, and texts that hold one. Pure, in linear time.

Two kinds of names. One with ``password`` in it is believed whatever its value is; one with
``secret``, ``token`` or ``key`` also names sizes, switches, files and other objects, so its value
has a say. A name counts by how it *ends*: ``TOKEN_URL`` and ``PASSWORD_FILE`` are no credentials.
What stands for a value (``$(NAME)``, ``${NAME}``, ``{{ .name }}``) is none.

Objects are anybody's text: no pattern has a repetition without bound before what it looks for.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LONGEST_NAME = 253
_SEEN = 4096
"""Names and short texts that are remembered: they come again with every object."""
_SHORT = 64
_KEYS = (
    "api|access|secret|private|client|encrypt|encryption|decrypt|decryption|sign|signing|master"
    "|auth|account|shared|storage|license|hmac|session|cookie|aes|app|root"
)
STRONG = r"passw(?:or[dt]|d)s?|pass-?phrases?|pass-?codes?|(?<![a-z])pwds?"
WEAK = (
    r"secrets?|tokens?|credentials?|creds|(?<![a-z])(?:jwt|dsn|bearer|authorization)"
    rf"|(?<![a-z])(?:{_KEYS})[_.\- ]?keys?|connection[_.\- ]?strings?"
)
_SUFFIX = (
    r"(?:[_.\-]?(?:b64|base64|base|values?|plain|plaintext|text|hash|data|raw|pem|json|txt|ya?ml"
    r"|properties|toml|ini|env|\d{1,3}))?"
)
_STRONG_NAME = re.compile(
    rf"(?:{STRONG}|(?<![a-z])(?:pass|pw)|requirepass|masterauth|(?:^|[/.])(?:\.?(?:pgpass|htpasswd|netrc)|id_[a-z0-9]+)"
    rf"|\.?dockerconfigjson|\.dockercfg|\.(?:jks|p12|pfx|keystore|kdbx|ppk)){_SUFFIX}\Z"
)
_WEAK_NAME = re.compile(rf"(?:{WEAK}){_SUFFIX}\Z")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SUM = re.compile(
    r"(?:^|[/._-])(?:checksum|digest|sha(?:1|256|512)|hash)(?:[/._-]|\Z)|public"
    r"|(?:^|[/._-])(?:min|max)[._-]?(?:passwords?|tokens?|secrets?|keys?)\Z"
)

_REFERENCE = re.compile(
    r"\$\([\w.-]+\)|\$\{[\w.]+\}|\$[A-Z_][A-Z0-9_]*|\{\{[^{}\"']*\}\}|<[\w .-]{1,60}>|\*+|[xX]{3,}"
    r"|vault:[\w/.-]+#[\w.-]+|ENC\[AES256_GCM,\S*\]"
)
_SWITCH = re.compile(
    r"(?i)true|false|yes|no|on|off|null|none|nil|enabled|disabled|required|optional"
    r"|str|string|int|integer|bool|boolean|bytes|object|[{}\[\]()\s]+"
)
"""Also what types are called in code and schemas, and empty lists and maps."""
_NO_SECRET = re.compile(
    r"[0-9][0-9.]*(?:ms|[smhd]|[KMG]i?)?|https?://[^\s?@]*"
    r"|/(?:etc|var|run|opt|home|root|tmp|usr|mnt|data|secrets?|vault|app|srv|config)/[\w./-]*"
    r"|(?:ssh-[a-z0-9]+|ecdsa-[a-z0-9-]+) [A-Za-z0-9+/=]+(?: [^\n]*)?\n?"
)
_PUBLIC = ("-----BEGIN CERTIFICATE", "-----BEGIN PUBLIC KEY", "-----BEGIN RSA PUBLIC KEY")
_OBJECT_NAME = re.compile(
    r"(?:[a-z0-9-]+/)?[a-z]{1,20}\d{0,3}(?:[-.][a-z]{0,20}\d{0,4})*|[A-Z][a-z]{1,20}(?:[A-Z][a-z]{1,20})*"
)
"""Also a word as Kubernetes writes choices: ``Required``, ``IfNotPresent``."""
_LONGEST_OBJECT_NAME = 63
_NAME_IN_TEXT = re.compile(
    r"(?:[a-z0-9-]+/)?[a-z]{1,20}(?:\d{0,3}(?:[-.][a-z]{0,20}\d{0,4})+)?|[A-Z][a-z]{1,20}(?:[A-Z][a-z]{1,20})*"
)
"""Stricter, for texts: ``kafka-tls`` and ``basic`` are names, ``hunter2`` is none."""
_EXPRESSION = re.compile(
    r"\$\(.*|\$[A-Za-z_]\w*[)\]}.]*|\$\{[\w.]+:?\?.*|`.*|\$?\{\{.*|%[sv]"
    r"|(?:os\.environ|os\.getenv|getenv|process\.env)\b.*|[|>][+-]?|\{\w*:|\$\d|=|[A-Za-z_][\w.]*\([\w.]*\)"
)
"""What stands for a value in scripts, templates and code, up to its first space."""

_QUOTED = r"\"[^\"\n]*\"|'[^'\n]*'"
_LIMIT = re.compile(r"(?<!\w)(?:min|max)[_-]?\Z")
_NO_NAME = re.compile(r"pwd=[\"']?/|passwd:[ \t]{1,16}(?:files|compat|db|nis|cache|sss|systemd)\b")
"""Limits, the shell's working directory, and /etc/nsswitch.conf: asked for what was found."""
_ASSIGNED = re.compile(
    rf"(?:(?P<strong>{STRONG}|(?<![a-z])pass)|(?:{WEAK})){_SUFFIX}[\"']?[ \t]{{0,8}}"
    rf"(?P<by>[:=])>?"
    rf"[ \t]{{0,8}}\\?(?P<value>{_QUOTED}|[^\s\"',;&#\\]+)",
)
_OPTION = re.compile(
    rf"(?<![\w.-])--?[a-z0-9.-]{{0,40}}?(?:(?P<strong>{STRONG})|(?:{WEAK}))[ \t]{{1,8}}"
    rf"(?P<value>{_QUOTED}|[^\s\"'-]\S*)"
)
_PAIR = re.compile(
    rf"(?<![a-z])(?:name|key)\\?[\"']?[ \t]{{0,8}}[:=][ \t]{{0,8}}\\?[\"']?[\w.-]{{0,60}}?"
    rf"(?:(?P<strong>{STRONG})|(?:{WEAK})){_SUFFIX}\\?[\"']?(?:[\s,]|\\n){{1,40}}\\?[\"']?"
    rf"value\\?[\"']?[ \t]{{0,8}}[:=][ \t]{{0,8}}\\?(?P<value>{_QUOTED}|[^\s\"',;&#\\]+)"
)
"""``name: DB_PASSWORD`` and ``value: …`` below, in YAML, JSON and XML, also as one line of JSON."""
_BELOW = re.compile(
    rf"(?P<strong>{STRONG})[\"']?:[ \t]{{0,8}}[|>]?[+-]?[ \t]{{0,8}}\r?\n[ \t]{{0,40}}"
    rf"(?:-[ \t]{{1,8}}|[ \t])(?P<value>{_QUOTED}|[^\s\"':#,{{}}\[\]-][^\s\"':,{{}}]*)"
    r",?[ \t]{0,8}(?:\r?\n|\Z)"
)
_DIRECTIVE = re.compile(
    r"(?m)(?:^[ \t]{0,8}|set[ \t]|--)(?P<strong>requirepass|masterauth)[ \t]{1,8}(?P<value>\S+)"
)
_SQL = re.compile(
    r"(?P<strong>identified[ \t]{1,8}(?:with[ \t]{1,8}\S{1,60}[ \t]{1,8})?by|password)"
    r"[ \t]{1,8}(?P<value>'[^'\n]+')"
)
_ELEMENT = re.compile(rf"<[\w:.-]{{0,40}}?(?:{STRONG}|{WEAK})>([^<>]+)</")
_NEEDLES = (
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "cred",
    "jwt",
    "dsn",
    "auth",
    "bearer",
    "conn",
    "identified",
)

_USERINFO = re.compile(r"://[^\s/:@?#\"'<>]{0,200}:([^\s/@\"'<>]{1,500})@")
_KEYED_URL = re.compile(r"://[0-9a-f]{32}@")
_PRIVATE = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d"
    r"|AGE-SECRET-KEY-1|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY"
)
_PRIVATE_NEEDLES = ("-----BEGIN", "KEY-1", "PuTTY", "SSH2")
_HASHED = re.compile(r":\$(?:apr1|2[aby]|[156y])\$")
_NETRC = re.compile(r"(?m)^[ \t]{0,8}(?:machine|default)\s[^\n]{0,300}\spassword\s+\S")
_REGISTRY = re.compile(r"\"auth\\?\":\s{0,4}\\?\"[A-Za-z0-9+/=._%-]{8,}")
_HEADER = re.compile(r"(?i)\b(?:bearer|basic)\s{1,4}[A-Za-z0-9+/._~=-]{12,}")
_TOKEN = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}\b|gh[oprsu]_[A-Za-z0-9]{36}|github_pat_\w{22}"
    r"|glpat-[\w-]{20}|xox[abeprs]-[\w-]{10}|[rs]k_live_[0-9A-Za-z]{16}|AIza[\w-]{35}"
    r"|npm_[A-Za-z0-9]{36}|pypi-AgEIcHlwaS5vcmc[\w-]{20}|SG\.[\w-]{22}\.[\w-]{20}"
    r"|hv[bs]\.[\w-]{24}|dop_v1_[0-9a-f]{64}|(?<![\w-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10}"
    r"|hooks\.slack\.com/services/T\w{1,20}/B\w{1,20}/\w{10}|[?&;]sig=[A-Za-z0-9%+/]{40})"
)
_WHOLE_TOKEN = re.compile(rf"(?:{_TOKEN.pattern}|\bAGE-SECRET-KEY-1)[\w.~+/=%-]*")
_WHOLE_KEY = re.compile(
    r"(?:-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d"
    r"|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY)[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)"
)
_TOKEN_NEEDLES = (
    *("AKIA", "ASIA", "gh", "glpat-", "xox", "k_live_", "AIza", "npm_", "pypi-", "SG."),
    *("hvs.", "hvb.", "dop_", "eyJ", "hooks.", "sig="),
)


def blot_out(text: str) -> str:
    """A text with ``***`` for each private key and known token in it, to their ends."""
    return _WHOLE_TOKEN.sub("***", _WHOLE_KEY.sub("***", text))


@lru_cache(maxsize=_SEEN)
def strength_of(name: str) -> str:
    """``strong``: named as a password; ``weak``: its value has a say; empty for any other name."""
    if len(name) > _LONGEST_NAME or name == "PWD":
        return ""
    text = _CAMEL.sub("_", name).lower() if not name.isupper() else name.lower()
    if _SUM.search(text):
        return ""
    if _STRONG_NAME.search(text):
        return "strong"
    return "weak" if _WEAK_NAME.search(text) else ""


def is_credential(name: str, value: object, *, may_refer: bool = False) -> bool:
    """Whether a value of this name is one. ``may_refer``: a Kubernetes name is no credential."""
    strength = strength_of(name)
    return bool(strength) and is_literal(value, strength, may_refer=may_refer)


def is_literal(value: object, strength: str, *, may_refer: bool = False) -> bool:
    """Whether a value may itself be a credential, and does not stand for one."""
    if isinstance(value, bool) or value is None:
        return False
    if not isinstance(value, str):
        return strength == "strong"
    text = value.strip()
    if not text or _SWITCH.fullmatch(text) or _REFERENCE.fullmatch(text):
        return False
    if strength == "strong":
        return True
    if text.startswith(_PUBLIC) or _NO_SECRET.fullmatch(text):
        return False
    named = may_refer and len(text) <= _LONGEST_OBJECT_NAME and _OBJECT_NAME.fullmatch(text)
    return not named


def may_hold(text: str) -> bool:
    """Whether a text is worth a second look: False proves that it holds none. Much cheaper.

    A text may be many, joined by what stands in none of them.
    """
    low = text.lower()
    # Written out: every object of a cluster comes by here, and a loop costs twice as much.
    if "pass" in low or "key" in low or "secret" in low or "token" in low or "://" in low:
        return True
    if "pwd" in low or "cred" in low or "jwt" in low or "dsn" in low or "auth" in low:
        return True
    if (
        "identified" in low
        or "bearer" in low
        or "basic" in low
        or "conn" in low
        or ":$" in low
        or "akia" in low
    ):
        return True
    if "asia" in low or "gh" in low or "glpat" in low or "xox" in low or "k_live" in low:
        return True
    if "aiza" in low or "npm_" in low or "pypi-" in low or "sg." in low or "hv" in low:
        return True
    return "dop_" in low or "eyj" in low or "hooks." in low or "sig=" in low


@lru_cache(maxsize=_SEEN)
def _holds_short(text: str) -> bool:
    return may_hold(text) and _holds(text)


def holds_credential(text: str) -> bool:
    """Whether a text has a private key, a known token, a URL with password or a ``password=…``."""
    if len(text) <= _SHORT:
        return _holds_short(text)
    return may_hold(text) and _holds(text)


def _holds(text: str) -> bool:
    if any(needle in text for needle in _PRIVATE_NEEDLES) and _PRIVATE.search(text):
        return True
    if "@" in text and "://" in text:
        for found in _USERINFO.finditer(text):
            if not _REFERENCE.fullmatch(found[1]):
                return True
        if _KEYED_URL.search(text):
            return True
    if ":$" in text and _HASHED.search(text):
        return True
    if any(needle in text for needle in _TOKEN_NEEDLES) and _TOKEN.search(text):
        return True
    return _is_assigned(text)


def _is_assigned(text: str) -> bool:
    low = text.lower()
    if not any(needle in low for needle in _NEEDLES):
        return "basic" in low and _HEADER.search(text) is not None
    # Some letters change their number when they are made small: then places are the small text's.
    text = text if len(low) == len(text) else low
    for found in _ASSIGNED.finditer(low):
        if _is_named(low, found.start()) and _is_stated(text, found, may_refer=found["by"] == ":"):
            return True
    if "-" in low and any(_is_stated(text, one, may_refer=True) for one in _OPTION.finditer(low)):
        return True
    if any(needle in low and _finds(pattern, text, low) for needle, pattern in _MORE):
        return True
    if "</" in low and any(is_literal(one[1], "weak") for one in _ELEMENT.finditer(low)):
        return True
    return any(pattern.search(text) for pattern in (_HEADER, _NETRC, _REGISTRY))


_MORE = (
    *(("value", _PAIR), ("\n", _BELOW), ("requirepass", _DIRECTIVE), ("masterauth", _DIRECTIVE)),
    *(("password '", _SQL), ("identified", _SQL)),
)
"""What must be in a small text → what is asked then."""


def _finds(pattern: re.Pattern[str], text: str, low: str) -> bool:
    return any(_is_stated(text, found, may_refer=True) for found in pattern.finditer(low))


def _is_named(low: str, start: int) -> bool:
    before = low[max(0, start - 5) : start]
    begins = not before or not (before[-1].isalnum() or before[-1] in "_.;-")
    return not _LIMIT.search(before) and not (begins and _NO_NAME.match(low, start))


def _is_stated(text: str, found: re.Match[str], *, may_refer: bool) -> bool:
    start, end = found.span("value")
    value = text[start:end].strip("\"'")
    if _EXPRESSION.fullmatch(value) or _SWITCH.fullmatch(value.rstrip(")]}:")):
        return False
    strength = "strong" if found["strong"] else "weak"
    named = may_refer and strength == "weak" and _NAME_IN_TEXT.fullmatch(value)
    return not named and is_literal(value, strength)


def is_option(word: str) -> str:
    """The strength of an argument that says what the next one is: ``--password``, ``-token``."""
    if not word.startswith("-") or "=" in word or " " in word or "\n" in word:
        return ""
    return strength_of(word.lstrip("-"))
