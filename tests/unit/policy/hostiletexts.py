"""Files that somebody wrote to hurt who reads them; each as large as a file may be, or larger."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.policy.nodes import MAX_BYTES
from tests.unit.policy.yamltexts import HEAD, SHOP

EVIL = SHOP.replace("name: shop", "name: evil")
POLICY = f"{HEAD}kind: BackupPolicy\nmetadata: {{name: x}}\nspec:\n"


def _fill(piece: str, around: str = "…", size: int = MAX_BYTES) -> bytes:
    """A text of pieces, as many as fit."""
    head, _, tail = around.partition("…")
    room = size - len((head + tail).encode())
    return (head + piece * (room // len(piece.encode())) + tail).encode()


def _with(field: str, value: str) -> bytes:
    """A policy with one more field in its spec."""
    return f"{EVIL}  {field}: {value}\n".encode()


def make_texts(size: int = MAX_BYTES) -> dict[str, bytes]:
    """Name → bytes; ``size`` is what those of repeated pieces come to."""

    return {**_shapes(_filler(size)), **_texts(_filler(size), size), **_policies(_filler(size))}


Fill = Callable[..., bytes]


def _filler(size: int) -> Fill:
    return lambda piece, around="…": _fill(piece, around, size)


def _shapes(fill: Fill) -> dict[str, bytes]:
    """Nesting, aliases, documents."""
    return {
        "brackets": fill("["),
        "braces": fill("{"),
        "brackets in a policy": fill("[", f"{POLICY}  hooks: "),
        "ten thousand deep": b"a: " + b"[" * 10_000 + b"]" * 10_000,
        "ten thousand deep, block": b"- " * 10_000 + b"x\n",
        "dashes": fill("- "),
        "questions": fill("? "),
        "indents": b"".join(b" " * depth + b"a:\n" for depth in range(600)),
        "tags": fill("!"),
        "python tags": fill("- !!python/object/apply:os.system [id]\n"),
        "long tag": fill("x", "!<…> a"),
        "anchors": fill("&a "),
        "aliases": fill("*a,", "a: &a [x]\nb: […]"),
        "laughs": b"a: &a [x]\n"
        + b"".join(b"b%d: &b%d [*a,*a,*a,*a]\n" % (number, number) for number in range(5000)),
        "merge keys": fill("- {<<: {a: b}}\n"),
        "markers": fill("---\na\n"),
        "empty documents": fill("---\n", "a: no\n…"),
        "hundred thousand documents": b"---\na\n" * 100_000,
    }


def _texts(fill: Fill, size: int) -> dict[str, bytes]:
    """Scalars, comments, characters, encodings."""
    return {
        "quotes": fill("'"),
        "open quote": fill("\n", '"…'),
        "escapes": fill("\\n", '"…"'),
        "escaped bidi": fill("\\u202e", '"…"'),
        "colons": fill(":"),
        "stars": fill("*"),
        "blank lines": fill("\n", "a:…b"),
        "blanks": fill(" ", "a:…b"),
        "folded": fill(" a\n", "a: >\n…"),
        "user infos": fill("a:", "url: …"),
        "keys": fill("a:\n"),
        "different keys": b"".join(b"k%d: 1\n" % number for number in range(size // 12)),
        "long key": fill("k", "…: 1"),
        "policies of one name": fill(f"---\n{EVIL}"),
        "scalar": fill("a"),
        "ten megabytes": b"a" * 10_000_000,
        "ten megabytes of a policy": _fill("x", f"{EVIL}# …", 10_000_000),
        "nos": fill("no,", "[…]"),
        "octals": fill("010,", "[…]"),
        "sixties": fill("12:30,", "[…]"),
        "digits": fill("9", "a: …"),
        "digits and a letter": fill("9", "a: …x"),
        "underscores": fill("1_", "a: …!"),
        "float": fill("9", "a: ….0"),
        "bidi": fill("\u202e"),
        "NUL": fill("\0"),
        "BOM": b"\xef\xbb\xbf" + EVIL.encode(),
        "no UTF-8": EVIL.encode() + b"# \xff\xfe\n",
        "UTF-16": EVIL.encode("utf-16"),
        "terminal escapes": fill("\x1b[2J", "# …"),
        "line separators": fill("\u2028", "a: …"),
        "combining": fill("e\u0301", "a: […"),
    }


def _policies(fill: Fill) -> dict[str, bytes]:
    """What is YAML, and no policy."""
    flow = f"{POLICY}  volumes: {{rules: ["
    return {
        "rules": fill("{copyMethod: Auto},", flow + "…]}"),
        "unknown fields": fill("  a: 1\n", POLICY),
        "many unknown fields": POLICY.encode()
        + b"".join(b"  a%d: 1\n" % number for number in range(1000)),
        "globs": fill("*a", f'{POLICY}  selector: {{namespaces: ["…"]}}'),
        "many globs": fill('"[a-z]*?",', f"{POLICY}  selector: {{namespaces: […]}}"),
        "names": fill("a-", f"{POLICY}  profile: …"),
        "crons": fill("1,", f"{POLICY}  schedule: '… * * * *'"),
        "labels": b"".join(
            [f"{POLICY}  selector: {{namespaces: {{matchLabels: {{".encode()]
            + [b"a%d: b," % number for number in range(1500)]
            + [b"}}}"]
        ),
        "huge number": _with("guards", "{maxShrink: 9999999999999999999999%}"),
        "huge integer": EVIL.replace("keepDaily: 7", "keepDaily: 123456789012345678").encode(),
        "too huge integer": EVIL.replace(
            "keepDaily: 7", "keepDaily: 1234567890123456789012"
        ).encode(),
        "overflowing duration": _with("objectives", "{rpo: 999999999999d}"),
        "overflowing duration of zeros": _with("objectives", "{rpo: 0d0h0m0s}"),
        "overflowing span": EVIL.replace("keepDaily: 7", "keepWithin: 9999999y").encode(),
        "parent folders": EVIL.replace("name: evil", "name: ../../etc/shop").encode(),
        "parent folders in an exclude": EVIL.replace(
            "{copyMethod: Direct}", "{copyMethod: Direct, exclude: [../../etc]}"
        ).encode(),
    }
