"""A page of commands with what they print below them, typed from top to bottom in one shell.

Blocks of ``sh`` are typed. The block of ``text`` that follows one is what it prints; a comment for
pull requests stands in the page as it would there. Times, ages and ids are not compared.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_BLOCK = re.compile(
    r"^```sh\n(?P<typed>.*?)^```\n"
    r"(?:\n(?:(?P<fence>```text\n)(?P<printed>.*?)^```\n"
    r"|(?P<comment><!-- backstay-plan .*?)(?=^## )))?",
    re.DOTALL | re.MULTILINE,
)
_VARYING = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z|\b[0-9a-f]{40}\b|(?<=sha1:)[0-9a-f]{10}\b|^[0-9a-f]{7} "
    r"|(?<=-)[0-9a-f]{10}\b|\(\d+\S*(?: \d+\S*)? ago\)|(?<!\S)(?:\d+[dhms])+(?!\S)"
    r"|^unprotected: .*(?=;)",
    re.MULTILINE,
)
"""Times, commits, digests, ages; and what else the cluster has."""


def commands(page: str) -> list[str]:
    """The blocks that are typed, in order."""
    return [found["typed"] for found in _BLOCK.finditer(page)]


def type_all(
    blocks: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> list[tuple[int, str]]:
    """(exit code, output with errors) of each block, one after the other in one shell."""
    answers = folder / "answers"
    answers.mkdir()
    script = "".join(
        f"{{\n{typed}}} >{answers}/{number} 2>&1\necho $? >{answers}/{number}.code\n"
        for number, typed in enumerate(blocks)
    )
    home = folder / "home"
    home.mkdir()
    subprocess.run(
        ["bash", "-uc", script],
        cwd=home, env=dict(environment), timeout=280, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return [
        (int((answers / f"{n}.code").read_text()), (answers / str(n)).read_text())
        for n in range(len(blocks))
    ]


def filled(page: str, printed: Sequence[str]) -> str:
    """The page with that output; what differs only in times, ages and ids stays as it is."""
    answers = iter(printed)

    def fill(found: re.Match[str]) -> str:
        answer = next(answers)
        typed = f"```sh\n{found['typed']}```\n"
        old = found["printed"] if found["fence"] else found["comment"] or ""
        if same(old.rstrip("\n"), answer.rstrip("\n")):
            return found[0]
        if answer.startswith("<!-- backstay-plan "):
            return f"{typed}\n{answer.rstrip()}\n\n"
        return f"{typed}\n```text\n{answer.rstrip()}\n```\n" if answer else typed

    return _BLOCK.sub(fill, page)


def same(one: str, other: str) -> bool:
    """Whether two outputs differ in nothing but times, ages, ids, and the columns they shift."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> list[str]:
    return [re.sub(" +", " ", _VARYING.sub("-", line)).strip() for line in text.splitlines()]
