"""Requests to the API server: time limits, retries, and a count of each verb.

Credentials and TLS, the two hard parts, come with an `Access`: the official client's for a
kubeconfig with its plugins (`kubeconfig`), or the pod's own token (`kubepod`). The client's models
are not used: building them costs ten times what the rest of a capture does; nor is it loaded here,
which would take every pod longer than its first request.

Every request of ours can be repeated: reads by nature, server-side apply by design, a deletion by
the uid it names, a lease by compare-and-swap, a creation because the name can be taken only once.
So all are tried again, a bounded number of times, after a lost connection, 429 and 5xx, in the
server's own rhythm where it gives one. What can't get better by waiting (a certificate that does
not verify, credentials that are refused) is raised at once. An API server that has just come back
is the exception: until it has read its roles it answers 401 or 403 to everybody, and readiness
probes don't keep such answers from clients where there is one server only.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import urllib3

from reconciler import ports
from reconciler.adapters.kubeerrors import Answer
from reconciler.model.errors import BackstayError, Refused, Transient

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
TRIES = 5
_LONGEST_WAIT = 30.0
_AGAIN = frozenset({429, 500, 502, 503, 504})
_AWAY = _AGAIN - {429}
_UNSETTLED = frozenset({401, 403})
_SETTLES_WITHIN = timedelta(seconds=60)
"""An API server that has just started knows neither accounts nor rights yet, and says no to all."""
THREADS = 16
"""Connections kept open; more threads than this make a new connection each time."""

_PART = 64 * 1024
_LONGEST_LINE = 16 * 1024 * 1024
"""Bytes: etcd keeps objects of 1.5 MiB at most."""

Query = Sequence[tuple[str, str]]


class Access(Protocol):
    """Where a server is, how to trust it, and how to show who one is."""

    @property
    def host(self) -> str:
        """Scheme, name and port."""
        ...

    def pool(self) -> urllib3.PoolManager:
        """New connections, `THREADS` of them kept; tries nothing again. Raises OSError, ValueError
        or urllib3's errors when TLS can't be set up."""
        ...

    def authorize(self, headers: dict[str, str], method: str, url: str, body: bytes | None) -> None:
        """Adds credentials as they are now to the headers of one request; raises Refused."""
        ...

    def configuration(self) -> Any:
        """The same as the official client has it, for who makes a connection of its own."""
        ...


class Transport:
    """One API server. Safe to share between threads."""

    def __init__(self, access: Access, *, clock: ports.Clock, user_agent: str) -> None:
        self._access = access
        self._clock = clock
        self._agent = user_agent
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._away: datetime | None = None
        """When it last gave no answer, or none of its own."""
        self.host = access.host
        try:
            self._pool = access.pool()
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise Refused(
                f"API server {self.host}: can't set up TLS: {_short(error)}",
                hint="look at the certificates in the kubeconfig",
            ) from error

    @property
    def requests(self) -> Mapping[str, int]:
        """HTTP requests sent so far by method, tries included."""
        with self._lock:
            return dict(self._counts)

    def upgrade(self, method: str, path: str, query: Query) -> tuple[Any, str, dict[str, str]]:
        """(client configuration, URL, headers with credentials) for who makes a connection of its
        own; counted as a request. Raises Refused where there are no credentials."""
        url = self.host + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {"User-Agent": self._agent}
        with self._lock:
            self._counts[method] += 1
        try:
            self._access.authorize(headers, method, url, None)
        except Exception as error:
            told = foreign(error, self.host)
            if told is None:
                raise
            raise told from error
        return self._access.configuration(), url, headers

    def close(self) -> None:
        """Closes idle connections; the next request opens new ones."""
        self._pool.clear()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        read_seconds: float = READ_SECONDS,
        acting_as: str = "",
    ) -> Answer:
        """The answer, whatever its status; the last one if the server stayed unwell.

        ``acting_as`` names the user in whose place it is asked (impersonation). Raises Transient
        when no answer came after several tries, Refused when none can come.
        """
        url = self.host + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {"Accept": accept, "User-Agent": self._agent}
        if body is not None:
            headers["Content-Type"] = content_type
        if acting_as:
            headers["Impersonate-User"] = acting_as
        for attempt in range(1, TRIES + 1):
            wait = min(2.0 ** (attempt - 2), _LONGEST_WAIT)
            try:
                answer = self._once(method, url, body, headers, read_seconds)
            except Transient:
                self._away = self._clock.now()
                if attempt == TRIES:
                    raise
            else:
                unsettled = self._is_unsettled(answer.status)
                if answer.status not in _AGAIN and not unsettled:
                    return answer
                if attempt == TRIES and unsettled:
                    raise Transient(
                        f"{method} {path}: HTTP {answer.status} from an API server that was away a"
                        " moment ago, and may not know its roles yet",
                        hint="it is believed when it still says so a minute later",
                    )
                if attempt == TRIES:
                    return answer
                wait = _retry_after(answer, wait)
            self._clock.sleep(wait)
        raise Transient(f"{method} {path}: no answer")  # TRIES is at least 1: not reached

    def _is_unsettled(self, status: int) -> bool:
        now = self._clock.now()
        if status in _AWAY:
            self._away = now
        since = self._away
        if status not in _UNSETTLED or since is None:
            return False
        return timedelta() <= now - since < _SETTLES_WITHIN

    @contextlib.contextmanager
    def stream(self, path: str, *, query: Query, silence: float) -> Iterator[Stream]:
        """An answer that goes on, asked for once; ``silence``: seconds after which it is dead.

        Raises Transient or Refused as `send` does; what comes of its lines may raise Transient.
        """
        url = f"{self.host}{path}?{urlencode(query, quote_via=quote)}"
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        try:
            response = self._request("GET", url, None, headers, silence)
        except Exception as error:
            told = foreign(error, self.host)
            if told is None:
                raise
            raise told from error
        try:
            yield Stream(response, self.host)
        finally:
            response.close()  # what was not read can't be used again

    def _request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        wanted: Mapping[str, str],
        read_seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        """One request, counted. Raises what the libraries raise."""
        headers = dict(wanted)  # the credentials' own go with one request, not with its repetition
        with self._lock:
            self._counts[method] += 1
        self._access.authorize(headers, method, url, body)
        return self._pool.request(
            method,
            url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
            preload_content=False,
            redirect=False,
            retries=False,
        )

    def _once(
        self,
        method: str,
        url: str,
        body: bytes | None,
        wanted: Mapping[str, str],
        read_seconds: float,
    ) -> Answer:
        response: urllib3.BaseHTTPResponse | None = None
        try:
            response = self._request(method, url, body, wanted, read_seconds)
            return Answer(response.status, response.data, response.headers)
        except Exception as error:
            if response is not None:
                response.close()
            told = foreign(error, self.host)
            if told is None:
                raise
            raise told from error
        finally:
            if response is not None:
                response.release_conn()


class Stream:
    """An answer that is read while the server goes on writing it."""

    def __init__(self, response: urllib3.BaseHTTPResponse, host: str) -> None:
        self._response = response
        self._host = host
        self.status = response.status

    def lines(self) -> Iterator[bytes]:
        """Each line when it is whole; ends when the server ends. Raises Transient."""
        rest = b""
        for part in self._parts():
            *whole, rest = (rest + part).split(b"\n")
            yield from filter(None, whole)
            if len(rest) > _LONGEST_LINE:
                raise Transient(f"API server {self._host}: a line of its answer has no end")

    def whole(self) -> Answer:
        """All of it, for an answer that is no stream after all. Raises Transient."""
        data = b""
        for part in self._parts():
            data += part
            if len(data) > _LONGEST_LINE:
                break
        return Answer(self.status, data, self._response.headers)

    def end(self) -> None:
        """Ends a reading that goes on in another thread."""
        with contextlib.suppress(OSError, ValueError, RuntimeError, urllib3.exceptions.HTTPError):
            self._response.shutdown()

    def _parts(self) -> Iterator[bytes]:
        try:
            yield from self._response.stream(_PART)
        except Exception as error:
            told = foreign(error, self._host)
            if told is None:
                raise
            raise told from error


def foreign(error: Exception, host: str) -> BackstayError | None:
    """Our error for one of urllib3, ssl or the operating system; else None."""
    if isinstance(error, BackstayError):
        return None
    if _is_certificate(error):
        return Refused(
            f"API server {host}: its certificate can't be verified: {_short(error)}",
            hint="does the kubeconfig belong to this cluster? Has the certificate expired?",
        )
    if isinstance(error, urllib3.exceptions.LocationParseError | ValueError):
        return Refused(f"API server {host}: not a usable address or token ({type(error).__name__})")
    if isinstance(error, urllib3.exceptions.HTTPError | OSError | EOFError):
        return Transient(
            f"API server {host}: no answer: {_short(error)}",
            hint="is the API server up, and does the network let this machine reach it?",
        )
    return None


def _retry_after(answer: Answer, fallback: float) -> float:
    try:
        return min(max(float(answer.headers.get("Retry-After", "")), 0.0), _LONGEST_WAIT)
    except ValueError:
        return fallback


def _is_certificate(error: BaseException | None) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        seen.add(id(error))
        inner = [arg for arg in error.args if isinstance(arg, BaseException)]
        error = error.__cause__ or error.__context__ or (inner[0] if inner else None)
    return False


def no_credentials(host: str, told: object) -> Refused:
    """The error of an access that has none now."""
    return Refused(
        f"API server {host}: no credentials: {cut(told)}",
        hint="the kubeconfig's user, its login plugin, or the pod's token has a problem",
    )


def _short(error: BaseException) -> str:
    """The kind of error and what it says, without object addresses."""
    text = str(error).rpartition(">: ")[2] or str(error)
    return cut(f"{type(error).__name__}: {text}")


def cut(text: object) -> str:
    """One line of bounded length."""
    plain = " ".join(str(text).split())
    return plain if len(plain) <= 300 else f"{plain[:300]}…"
