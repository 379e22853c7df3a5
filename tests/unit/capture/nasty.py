"""Values that YAML libraries are known to misread; one list for all readers, most in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = json.loads(Path(__file__).with_suffix(".json").read_text())
_LONG = "k" * 1100

SHORT: list[str] = _FILE["strings"]
LONG = [
    *("x" * 5000, "a b " * 1000 + "c", "word: " * 500, "ü" * 3000),
    *("a\n" * 3000, "x" * 3000 + "\n" + "y" * 3000),
]
STRINGS = [*SHORT, *LONG]
KEYS = [*SHORT, "k" * 900, _LONG, "k b:" * 500, "ü" * 600]
NUMBERS: list[int | float] = _FILE["numbers"]
VALUES: list[Any] = [
    *_FILE["values"],
    {_LONG: {"a": [1, {"b": " x\ny"}], "c": "d"}},
    {_LONG: ["a", {"b": 1}, ["c"]]},
    {_LONG: []},
    {_LONG: " a\n\nb\n\n", "z": 1},
    {_LONG: None},
    [{_LONG: {"l" * 1100: [1]}}],
]
