"""The words of the language: annotated types that check one value each.

A checker returns the value or raises `Wrong`, whose message is a predicate ("is not …") and
whose hint says what to write.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import zoneinfo
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from reconciler.model import durations
from reconciler.model.bech32 import is_bech32
from reconciler.policy.cron import parse_cron


class Wrong(ValueError):
    """A value that its field does not take."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_GLOB = re.compile(r"(?:[a-z0-9.*?-]|\[[a-z0-9.-]+\])+")
_KIND_GLOB = re.compile(r"[a-z0-9.*?-]+")
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_ZONES_OF_THE_MACHINE = frozenset({"localtime", "Local", "Factory", "posixrules"})


def check_label_name(value: str) -> str:
    """DNS-1123 label: names of policies, repositories, clusters, namespaces."""
    if len(value) > 63 or not _LABEL.fullmatch(value):
        raise Wrong(
            "is not a DNS-1123 label", "use a-z, 0-9 and -, at most 63, ending in a letter or digit"
        )
    return value


def check_object_name(value: str) -> str:
    """DNS-1123 subdomain: names of Secrets."""
    if len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
        raise Wrong("is not a DNS-1123 name", "use a-z, 0-9, - and ., at most 253")
    return value


def check_glob(value: str) -> str:
    """``shop-*``, ``db-?``, ``team-[a-c]``: a pattern of names."""
    if not 0 < len(value) <= 253 or not _GLOB.fullmatch(value):
        raise Wrong(
            "can match no name", "names have a-z, 0-9, - and .; patterns have * ? and [a-c]"
        )
    for first, last in re.findall(r"(?<=\[)([a-z0-9.])-([a-z0-9.])(?=\])", value):
        if last < first:
            raise Wrong(f"has a range that runs backwards, [{first}-{last}]", f"[{last}-{first}]")
    return value


def check_kind_glob(value: str) -> str:
    """``deployment.apps``, ``*.cert-manager.io``."""
    if not 0 < len(value) <= 253 or not _KIND_GLOB.fullmatch(value):
        raise Wrong("is not a kind", "write kind.group in lower case, such as deployment.apps")
    return value


def check_label_key(value: str) -> str:
    """A label's key with its optional prefix."""
    prefix, slash, name = value.rpartition("/")
    bad_prefix = slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix))
    if bad_prefix or not name or len(name) > 63 or not _LABEL_VALUE.fullmatch(name):
        raise Wrong("is not a label key", "such as app or app.kubernetes.io/name")
    return value


def check_label_value(value: str) -> str:
    """A label's value."""
    if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
        raise Wrong("is not a label value", "at most 63 of a-z, A-Z, 0-9, -, _ and .")
    return value


def check_duration(value: str) -> str:
    """``26h``."""
    return _checked(durations.parse_duration, value)


MAX_TIMEOUT = 3600
MAX_COMMAND = 8192


def check_timeout(value: str) -> str:
    """``60s``, for a command that an application waits for."""
    if durations.parse_duration(check_duration(value)) > MAX_TIMEOUT:
        raise Wrong("is longer than 1h", "the application stands still meanwhile")
    return value


def check_command(value: list[str]) -> list[str]:
    """Program and arguments; it travels in an object and in a URL, so all of it is bounded."""
    if value and not value[0].strip():
        raise Wrong("begins without a program", 'such as ["sync"]; no shell splits a text')
    if sum(len(word.encode()) for word in value) > MAX_COMMAND:
        raise Wrong(f"is longer than {MAX_COMMAND} bytes", "put a script into the image")
    return value


def check_keep_duration(value: str) -> str:
    """``1y6d``, restic's form."""
    return _checked(durations.parse_keep_duration, value)


def check_percent(value: str) -> str:
    """``5%``."""
    return _checked(durations.parse_percent, value)


def check_shrink_digest(value: str) -> str:
    """32 hex digits."""
    if not re.fullmatch(r"[0-9a-f]{32}", value):
        raise Wrong("is not the digest of a shrink", "copy the 32 hex digits that the run told")
    return value


def check_cron(value: str) -> str:
    """See `reconciler.policy.cron`."""
    return _checked(parse_cron, value)


def _checked(parse: object, value: str) -> str:
    try:
        parse(value)  # type: ignore[operator]
    except ValueError as error:
        raise Wrong(str(error), getattr(error, "hint", "")) from None
    return value


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - _ZONES_OF_THE_MACHINE


def check_time_zone(value: str) -> str:
    """An IANA name, as CronJob's timeZone takes it."""
    if value not in _zones():
        near = [zone for zone in _zones() if zone.lower() == value.lower()]
        raise Wrong(
            "is not an IANA time zone",
            f"did you mean `{near[0]}`?" if near else "such as Europe/Berlin or Etc/UTC",
        )
    return value


def check_repository_url(value: str) -> str:
    """restic's URL with ``{cluster}`` and ``{namespace}`` as path segments of their own."""
    scheme, colon, rest = value.partition(":")
    if not colon or scheme not in {"s3", "rest", "sftp"}:
        raise Wrong("has a scheme that is not allowed", "Repositories may use s3:, rest: and sftp:")
    if len(value) > 1024 or re.search(r"[\s?#\\%]", rest) or not rest.isascii():
        raise Wrong("has a character that is not allowed in it", "no blanks, ?, #, % or \\")
    host, path = _split_url(scheme, rest)
    user, at, host = host.rpartition("@")
    if user.startswith("-"):
        raise Wrong("names no user", "ssh would take it for an option")
    # `sftp:user:password@host:/path` has the host `user`, and a password with a slash ends there.
    if (at and (scheme != "sftp" or ":" in user)) or "@" in path:
        raise Wrong("has credentials in it", "put them into the Secret that secretRef names")
    _check_host(host)
    segments = path.split("/")
    for word in ("{cluster}", "{namespace}"):
        if segments.count(word) != 1:
            raise Wrong(
                f"needs {word} once, as a part of its path between slashes",
                "such as s3:https://s3.example.org/backups/{cluster}/{namespace}",
            )
    left = path.replace("/{cluster}", "").replace("/{namespace}", "")
    if "{" in value.replace("{cluster}", "").replace("{namespace}", "") or "}" in left:
        raise Wrong("has braces other than {cluster} and {namespace}")
    if "." in segments or ".." in segments:
        raise Wrong("has . or .. in its path")
    return value


def _split_url(scheme: str, rest: str) -> tuple[str, str]:
    """Host and path; host is empty where the URL has none."""
    if scheme == "rest" and not rest.startswith(("http://", "https://")):
        raise Wrong("must go on with http:// or https:// after rest:")
    if scheme == "sftp" and not rest.startswith("//"):
        host, colon, path = rest.partition(":")
        if not colon:
            raise Wrong("names no host", "such as sftp:backup@host:/srv/{cluster}/{namespace}")
        return host, "/" + path.lstrip("/")
    rest = re.sub(r"^(https?:)?//", "", rest)
    host, slash, path = rest.partition("/")
    return host, slash + path


_METADATA = frozenset({"metadata.google.internal", "100.100.100.200", "fd00:ec2::254"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _check_host(host: str) -> None:
    """A name or an address. What a name stands for, only DNS knows, and may say otherwise later."""
    found = re.fullmatch(
        r"(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(:[0-9]{1,5})?", host
    )
    if found is None or host.startswith(("-", ".")):
        raise Wrong("names no host")
    name = (found["six"] or found["name"]).rstrip(".").lower()
    try:
        address = _embedded(ipaddress.ip_address(name))
    except ValueError:
        if found["six"] or re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]):
            # The C library reads 2852039166 and 0xa9fea9fe as addresses.
            raise Wrong(
                "names no host", "write an address as four numbers, or [in brackets]"
            ) from None
        if name in _METADATA:
            raise Wrong("names an address that is not allowed", "it holds no backups") from None
        return
    if (
        address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or str(address) in _METADATA
    ):
        raise Wrong("names an address that is not allowed", "link-local addresses hold no backups")


def _embedded(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def check_line(value: str) -> str:
    """A text that stands in a line of a plan, a record and a pull request, and makes no other."""
    if not value.strip():
        raise Wrong("is empty")
    if "\n" in value or "\t" in value:
        raise Wrong("is more than one line", "write it in one; after >- YAML makes one of several")
    return value


def check_exclude(value: str) -> str:
    """A pattern of restic's --exclude, below the volume's root."""
    if not value or len(value) > 1024 or value.startswith("!") or "\n" in value:
        raise Wrong("is not a pattern", "a name or a path with * ? [a-c] and **")
    if value.startswith("/") or ".." in value.split("/"):
        raise Wrong(
            "leaves the volume", "patterns match below the volume's root: no leading /, no .."
        )
    return value


def check_moment(value: str) -> str:
    """``2027-03-31`` or ``2026-11-21T02:00:00Z``: a date, or a time with its zone."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            date.fromisoformat(value)
            return value
        if re.fullmatch(rf"{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}})", value):
            datetime.fromisoformat(value)
            return value
    except ValueError as error:
        raise Wrong(f"is no such date: {error}") from None
    if re.fullmatch(_TIME, value):
        raise Wrong("has no time zone", f"write {value}Z for UTC")
    raise Wrong("is not a date or a time", "such as 2027-03-31 or 2026-11-21T02:00:00Z")


def check_run_id(value: str) -> str:
    """``shop-20261121-021703-7c1e9``."""
    if not re.fullmatch(r"[a-z0-9-]{1,63}-[0-9]{8}-[0-9]{6}-[0-9a-f]{5}", value):
        raise Wrong("is not a run's name", "such as shop-20261121-021703-7c1e9")
    return value


def check_commit_id(value: str) -> str:
    """Hex digits of a commit, at least seven."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", value):
        raise Wrong("is not a commit", "its hex digits, at least seven")
    return value


ONE_OR_MORE = "x-one-or-more"
"""Marks, in a schema, a list for which one item may stand."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _text(pattern: str = "", *, longest: int = 0, shortest: int = 1) -> WithJsonSchema:
    """The JSON Schema of a word: never stricter than its checker, which has the last word.

    Patterns mean the same to ECMA 262 (editors) and RE2 (the API server).
    """
    schema: dict[str, Any] = {"type": "string", "minLength": shortest}
    if longest:
        schema["maxLength"] = longest
    if pattern:
        schema["pattern"] = f"^{pattern}$"
    return WithJsonSchema(schema)


_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAMES = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_VALUE = _text(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", longest=63, shortest=0)
_DURATION = _text(r"([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?", shortest=2, longest=60)
_KEY = _text(rf"({_NAMES}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", longest=317)

LabelName = Annotated[str, AfterValidator(check_label_name), _text(_NAME, longest=63)]
NameMap = Annotated[
    dict[LabelName, LabelName],
    Field(max_length=1000),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": 1000,
            "propertyNames": _text(_NAME, longest=63).json_schema,
            "additionalProperties": _text(_NAME, longest=63).json_schema,
        }
    ),
]
ObjectName = Annotated[str, AfterValidator(check_object_name), _text(_NAMES, longest=253)]
Glob = Annotated[
    str, AfterValidator(check_glob), _text(r"([a-z0-9.*?-]|\[[a-z0-9.-]+\])+", longest=253)
]
KindGlob = Annotated[str, AfterValidator(check_kind_glob), _text(r"[a-z0-9.*?-]+", longest=253)]
LabelKey = Annotated[str, AfterValidator(check_label_key), _KEY]
LabelValue = Annotated[str, AfterValidator(check_label_value), _VALUE]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(max_length=1000),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": 1000,
            "propertyNames": _KEY.json_schema,
            "additionalProperties": _VALUE.json_schema,
        }
    ),
]
Duration = Annotated[str, AfterValidator(check_duration), _DURATION]
Timeout = Annotated[str, AfterValidator(check_timeout), _DURATION]
Command = Annotated[
    list[Annotated[str, Field(max_length=4096)]],
    Field(min_length=1, max_length=100),
    AfterValidator(check_command),
]
KeepDuration = Annotated[
    str,
    AfterValidator(check_keep_duration),
    _text(r"([0-9]+y)?([0-9]+d)?([0-9]+h)?", shortest=2, longest=30),
]
ShrinkDigest = Annotated[
    str, AfterValidator(check_shrink_digest), _text(r"[0-9a-f]{32}", longest=32)
]
Percent = Annotated[str, AfterValidator(check_percent), _text(r"[0-9]{1,3}%", longest=4)]
Cron = Annotated[str, AfterValidator(check_cron), _text()]
TimeZone = Annotated[str, AfterValidator(check_time_zone), _text(longest=64)]
RepositoryUrl = Annotated[
    str, AfterValidator(check_repository_url), _text(r"(s3|rest|sftp):.*", longest=1024)
]
Exclude = Annotated[str, AfterValidator(check_exclude), _text(longest=1024)]
Moment = Annotated[
    str,
    AfterValidator(check_moment),
    _text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*(Z|[+-][0-9]{2}:[0-9]{2}))?", longest=40),
]
RunId = Annotated[
    str,
    AfterValidator(check_run_id),
    _text(r"[a-z0-9-]+-[0-9]{8}-[0-9]{6}-[0-9a-f]{5}", longest=86),
]
CommitId = Annotated[str, AfterValidator(check_commit_id), _text(r"[0-9a-f]{7,64}", longest=64)]
Text = Annotated[str, Field(min_length=1, max_length=1024)]


def check_age_recipient(value: str) -> str:
    """An X25519 public key of age."""
    if not re.fullmatch(r"age1[02-9ac-hj-np-z]{58}", value) or not is_bech32(value, "age"):
        raise Wrong(
            "is no public key of age", "copy what age-keygen prints: age1 and 58 characters"
        )
    return value


AgeRecipient = Annotated[
    str, AfterValidator(check_age_recipient), _text(r"age1[02-9ac-hj-np-z]{58}", longest=62)
]
Line = Annotated[Text, AfterValidator(check_line), _text(r"[^\n\t]+", longest=1024)]
Keep = Annotated[int, Field(ge=1, le=100_000)]
Globs = Annotated[list[Glob], Field(max_length=1000)]
KindGlobs = Annotated[list[KindGlob], Field(max_length=1000)]
OneOrMoreGlobs = Annotated[
    list[Glob],
    Field(max_length=1000, json_schema_extra={ONE_OR_MORE: True}),
    BeforeValidator(_as_list),
]
"""A text stands for a list of it."""
