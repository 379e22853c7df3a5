"""A value that leaked into captured manifests, taken out of a file in every form that it has there.

Each string of a manifest is looked at as what it says, so folding, indentation and escapes do not
hide the value: plain, as JSON, a URL or hex writes it, and inside base64. The rest of the file
stays byte for byte what it was. Whether something is left is asked in another way (`Purge.holds`):
of the bytes alone. What neither knows: compressed text, base64 inside base64, encrypted text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import yaml

from reconciler.capture import emitter, loading
from reconciler.model.errors import Refused

WORD = "purged-by-backstay"
"""Stands where the value stood."""
SHORTEST = 6
"""Characters; anything shorter is part of half of all words."""
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SPACES = b" \t\r\n"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def parse_value(data: bytes, where: str) -> str:
    """The value in a file; line breaks at its end are not part of it. Raises Refused."""
    try:
        value = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Refused(f"{where} is no UTF-8 text", hint="give a value as a text file") from None
    if len(value.strip()) < SHORTEST:
        raise Refused(
            f"the value in {where} has fewer than {SHORTEST} characters",
            hint="so short a text stands in much that is no secret; take the file's object out of"
            " the policy, and let its branch go",
        )
    return value


class Purge:
    """One or several values, and what takes them out."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = tuple(values)
        forms = {form for value in values for form in _forms(value)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        cores = {core for value in values for core in _cores(value.encode())}
        self._cores = sorted(cores, key=lambda core: (-len(core), core))
        written = [text for form in self._forms for text in (form.encode(), _escaped(form))]
        self._needles = written + self._cores
        # What may be broken over lines, with the indentation of the file.
        folded = [text for text in written if re.search(rb"\s", text)]
        self._folded = [one.translate(None, _SPACES) for one in folded] + self._cores

    def holds(self, data: bytes) -> bool:
        """Whether bytes hold a value in a form that is known, folded or not."""
        if any(needle in data for needle in self._needles):
            return True
        bare = data.translate(None, _SPACES)
        return any(needle in bare for needle in self._folded)

    def take_out(self, data: bytes, where: str) -> bytes | None:
        """The file without the values; None where it holds none. Raises Refused where one stays."""
        if not self.holds(data):
            return None
        try:
            document = loading.load_document(data)
        except (yaml.YAMLError, ValueError):
            document = None
        if isinstance(document, dict):
            made = emitter.emit_in_order(self._clean(document, where))
        else:
            made = self._text(data.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        if self.holds(made):
            raise Refused(
                f"the value can't be taken out of {where}",
                hint="it is there in a form that is not known; see docs/purge.md, What it can't do",
            )
        return made

    def _clean(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            made = {self._text(key): self._clean(one, where) for key, one in value.items()}
            if len(made) != len(value):
                raise Refused(f"two fields of {where} would have one name without the value")
            return made
        if isinstance(value, list):
            return [self._clean(one, where) for one in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return WORD if any(one in str(value) for one in self._values) else value
        return value

    def _text(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, WORD)
        bare = "".join(text.split())
        if "\n" in text.strip() and _BASE64.fullmatch(bare) and self._has_core(bare):
            text = bare  # base64 that was broken into lines
        return _TOKEN.sub(lambda found: self._token(found[0]), text)

    def _token(self, token: str) -> str:
        """Base64 stays base64 where it can be opened: programs go on reading it."""
        if not self._has_core(token):
            return token
        data = _decode(token)
        if data is not None:
            for value in self._values:
                data = data.replace(value.encode(), WORD.encode())
            made = base64.b64encode(data).decode()
            if not self._has_core(made):
                return made
        return WORD

    def _has_core(self, text: str) -> bool:
        data = text.encode("utf-8", "surrogateescape")
        return any(core in data for core in self._cores)


def _forms(value: str) -> set[str]:
    json_form = json.dumps(value)[1:-1]
    go_form = "".join(f"\\u{ord(c):04x}" if c in "<>&" else c for c in json_form)
    hexed = value.encode().hex()
    return {
        value,
        json_form,
        json.dumps(value, ensure_ascii=False)[1:-1],
        go_form,
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        hexed,
        hexed.upper(),
    }


def _escaped(text: str) -> bytes:
    """As `emitter` writes it between quotes."""
    return emitter.emit({"a": f"\0{text}"}).removeprefix(b'a: "\\0').removesuffix(b'"\n')


def _cores(data: bytes) -> set[bytes]:
    """What base64 of any text around ``data`` has in common, for its three places in a group."""
    cores = set()
    for before in range(3):
        padded = b"\0" * before + data
        # Characters whose six bits are all of the data.
        core = base64.b64encode(padded)[(before * 8 + 5) // 6 : len(padded) * 8 // 6]
        cores |= {core, core.translate(_URL_SAFE)}
    return cores


def _decode(token: str) -> bytes | None:
    text = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
