"""Objects of the S3 server, one by one: what restic keeps there can be looked at and changed.

Requests are signed as AWS' "Signature Version 4" has it, with the writer's keys.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.rig.servers.seaweedfs import SeaweedFS

_REGION = "us-east-1"


def keys(server: SeaweedFS, bucket: str, prefix: str = "") -> list[str]:
    """The names of a bucket's objects that begin with ``prefix``; all of them, at most 1,000."""
    text = _request(server, "GET", f"/{bucket}", {"list-type": "2", "prefix": prefix}).decode()
    if "<IsTruncated>true" in text:
        raise ValueError(f"more than 1,000 objects below {bucket}/{prefix}")
    return [html.unescape(found) for found in re.findall(r"<Key>([^<]*)</Key>", text)]


def read(server: SeaweedFS, bucket: str, key: str) -> bytes:
    """An object's bytes; urllib's HTTPError when it is not there."""
    return _request(server, "GET", f"/{bucket}/{key}")


def write(server: SeaweedFS, bucket: str, key: str, data: bytes) -> None:
    """Makes or replaces an object."""
    _request(server, "PUT", f"/{bucket}/{key}", data=data)


def delete(server: SeaweedFS, bucket: str, key: str) -> None:
    """Removes an object, if it is there."""
    _request(server, "DELETE", f"/{bucket}/{key}")


def _request(
    server: SeaweedFS,
    method: str,
    path: str,
    query: Mapping[str, str] | None = None,
    data: bytes = b"",
) -> bytes:
    words = sorted((query or {}).items())
    wanted = urllib.parse.urlencode(words, quote_via=urllib.parse.quote)
    path = urllib.parse.quote(path)
    headers = _signed(server, method, path, wanted, data)
    url = f"{server.url}{path}{wanted and '?'}{wanted}"
    request = urllib.request.Request(url, data=data or None, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


def _signed(server: SeaweedFS, method: str, path: str, query: str, data: bytes) -> dict[str, str]:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(data).hexdigest()
    headers = {
        "host": f"{server.address}:{server.port}",
        "x-amz-content-sha256": digest,
        "x-amz-date": now,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{now[:8]}/{_REGION}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{server.writer.secret_key}".encode()
    for word in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashed}"):
        key = hmac.digest(key, word.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={server.writer.access_key}/{scope},"
        f" SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers
