"""Policies written in many ways, for the tests of their usual form."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

BEFORE = """\
# The shop.

kind: BackupPolicy
apiVersion: backstay.dev/v1alpha1
metadata:
    name: shop
spec:
    # how long
    retention: {keepDaily: 7,keepLast: 3,}   # as the law says
    selector:
        namespaces:
        - shop   # the shop
        # and its previews
        - "shop-*"
          # all of them
    volumes:
        rules:

        -   copyMethod: Skip
            # a reason
            reason: >-
                rebuilt
                on start
            match: {claims: ["*-cache"]}
        - {copyMethod: Skip, match: { storageClass:   "x"}}
        copyMethod: Direct


    # when
    schedule: "17 4 * * *"
    # the end
# the very end
"""
AFTER = """\
# The shop.

apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata:
  name: shop
spec:
  # when
  schedule: "17 4 * * *"
  selector:
    namespaces:
      - shop   # the shop
      # and its previews
      - "shop-*"
        # all of them
  volumes:
    rules:
      - match: {claims: ["*-cache"]}
        copyMethod: Skip
        # a reason
        reason: >-
            rebuilt
            on start
      - {match: {storageClass: "x"}, copyMethod: Skip}
    copyMethod: Direct
  # how long
  retention: {keepLast: 3, keepDaily: 7}   # as the law says
  # the end
# the very end
"""

Draw = Any

POLICY: dict[str, Any] = {
    "apiVersion": "backstay.dev/v1alpha1",
    "kind": "BackupPolicy",
    "metadata": {"name": "shop"},
    "spec": {
        "suspend": "false",
        "schedule": {"cron": '"17 4 * * *"', "timeZone": "Europe/Berlin"},
        "objectives": {"rpo": "26h", "rto": "1h"},
        "selector": {
            "namespaces": {
                "names": ["shop", '"shop-*"'],
                "matchLabels": {"tier": "'a'", "app": "b"},
                "exclude": ['"*-preview"'],
            }
        },
        "manifests": {"secrets": "Restic"},
        "volumes": {
            "repository": "main",
            "rules": [
                {"match": {"claims": ['"*-cache"']}, "copyMethod": "Skip", "reason": "rebuilt"},
                {"match": {"storageClass": '"x-*"'}, "copyMethod": "Direct"},
            ],
            "copyMethod": "Direct",
            "concurrency": "4",
        },
        "retention": {"keepLast": "3", "keepDaily": "7", "keepWeekly": "5"},
    },
}
REASONS = ["|\n{0}several\n{0}  lines\n", ">-\n{0}folded\n\n{0}lines\n", "on\n{0}two lines\n"]


class _Writer:
    """Writes a tree as YAML, with every choice drawn."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._count = 0

    def chance(self, one_in: int = 4) -> bool:
        """True now and then."""
        return bool(self._draw(st.integers(0, one_in - 1)) == 0)

    def comment(self, name: str) -> str:
        """A comment that names what it is about; every one is different."""
        self._count += 1
        return f"# about {name} {self._count}"

    def mapping(self, value: dict[str, Any], column: int) -> list[str]:
        """Lines of a block mapping, its keys in any order."""
        lines: list[str] = []
        for name in self._draw(st.permutations(sorted(value))):
            if self.chance():
                lines += [""] * self._draw(st.integers(1, 3))
            if self.chance():
                lines.append(" " * column + self.comment(name))
            lines += self.entry(name, value[name], column)
        return lines

    def entry(self, name: str, value: Any, column: int) -> list[str]:
        """A key and its value."""
        head = f"{' ' * column}{name}{' ' if self.chance(9) else ''}:"
        beside = f"{'  ' if self.chance(2) else ' '}{self.comment(name)}" if self.chance() else ""
        if name == "reason" and self.chance(2):
            text = self._draw(st.sampled_from(REASONS)).format(" " * (column + 3))
            return f"{head} {text}".rstrip("\n").split("\n")
        if isinstance(value, str) or self.chance(3):
            blanks = " " * self._draw(st.integers(1, 3))
            return [f"{head}{blanks}{self.flow(value)}{beside}{' ' if self.chance(9) else ''}"]
        step = self._draw(st.integers(1, 4))
        if isinstance(value, dict):
            return [head + beside, *self.mapping(value, column + step)]
        return [head + beside, *self.sequence(value, column + self._draw(st.integers(0, 4)))]

    def sequence(self, value: list[Any], column: int) -> list[str]:
        """Lines of a block list."""
        lines: list[str] = []
        for item in value:
            if self.chance():
                lines.append(" " * column + "# some words")
            blanks = self._draw(st.integers(1, 3))
            dash = f"{' ' * column}-{' ' * blanks}"
            if isinstance(item, str) or self.chance(3):
                lines.append(dash + self.flow(item))
                continue
            body = self.mapping(item, len(dash))
            while not body[0].strip() or body[0].lstrip().startswith("#"):
                body.pop(0)
            lines += [dash + body[0][len(dash) :], *body[1:]]
        return lines

    def flow(self, value: Any) -> str:
        """In brackets, on one line."""
        blank = " " * self._draw(st.integers(0, 1))
        comma = f",{' ' * self._draw(st.integers(0, 2))}"
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return f"[{blank}{comma.join(map(self.flow, value))}{blank}]"
        names = self._draw(st.permutations(sorted(value)))
        pairs = [f"{name}: {self.flow(value[name])}" for name in names]
        return f"{{{blank}{comma.join(pairs)}{comma if self.chance() else blank}}}"


@st.composite
def documents(draw: Draw) -> str:
    """A valid policy, written in any way."""
    lines = _Writer(draw).mapping(POLICY, 0)
    ends: int = draw(st.integers(0, 3))
    return "\n".join(lines) + "\n" * ends
