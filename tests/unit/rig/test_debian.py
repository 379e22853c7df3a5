"""The machine's own Debian archive is found in both notations; nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.tools import debian

DEB822 = """\
Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""


def apt(folder: Path, **files: str) -> Path:
    """Make an apt configuration folder of the given files (`_` stands for `.`)."""
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        (folder / "sources.list.d" / name.replace("_", ".")).write_text(text)
    return folder


def test_a_stanza_is_read(tmp_path: Path) -> None:
    """The stanza with this suite is taken, not the one for its security updates."""
    found = debian.mirror(apt(tmp_path, debian_sources=DEB822), "bookworm")
    assert found == debian.Mirror(
        ("http://mirror.example/debian",), "/usr/share/keyrings/debian.gpg"
    )


def test_one_line_entries_are_read(tmp_path: Path) -> None:
    """Options in brackets, other vendors and source entries do not confuse it."""
    folder = apt(tmp_path, other_list="deb https://vendor.example stable main\n")
    (folder / "sources.list").write_text(
        "deb-src http://a.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://b.example/debian bookworm contrib main\n"
    )
    assert debian.mirror(folder, "bookworm") == debian.Mirror(
        ("http://b.example/debian",), "/k.gpg"
    )


def test_no_archive_is_an_error_with_a_hint(tmp_path: Path) -> None:
    """On another system nothing is guessed."""
    with pytest.raises(debian.ToolError, match="no apt source for trixie main"):
        debian.mirror(apt(tmp_path, debian_sources=DEB822), "trixie")


@pytest.mark.parametrize("signed_by", ["", "/usr/share/keyrings/debian.gpg"])
def test_only_the_suite_is_replaced(signed_by: str) -> None:
    """Signatures stay on: there is no way to write `Trusted`."""
    text = debian.Mirror(("http://mirror.example/debian",), signed_by).sources("trixie")
    assert text.startswith("Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n")
    assert ("Signed-By: " + signed_by in text) == bool(signed_by)
    assert "rusted" not in text
