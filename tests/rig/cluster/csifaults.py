"""Makes the rig's CSI driver misbehave, and tells what it was asked for.

A fault lasts as long as its block: nothing in it is a matter of time. Calls are found by what they
are about: `shop/data` a claim, `shop/nightly of shop/data` a snapshot, `shop/copy from shop/nightly
of shop/data` a volume made of it; for a volume that nobody named, its handle.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig.cluster.errors import RigError
from tests.rig.cluster.machine import write_json

CREATE_VOLUME = "CreateVolume"
DELETE_VOLUME = "DeleteVolume"
CREATE_SNAPSHOT = "CreateSnapshot"
DELETE_SNAPSHOT = "DeleteSnapshot"
PUBLISH = "NodePublishVolume"
WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that the driver got; `ended` is False for the line of its arrival."""

    node: str
    call: str
    about: str
    effect: str  # of the rule that applied; empty: none
    ended: bool
    code: str  # gRPC's name of how it ended


@dataclass(frozen=True, slots=True)
class Rule:
    """While it is there, calls about what the regular expression finds have this effect."""

    call: str
    about: str
    effect: str
    code: str = "INTERNAL"
    message: str = ""


@dataclass(slots=True)
class CsiFaults:
    """The driver's control: the folder with its rules and its record of calls."""

    data: Path
    _rules: list[Rule] = field(default_factory=list)

    @contextmanager
    def failing(
        self, call: str, about: str = "", *, message: str = "broken on purpose", code: str = ""
    ) -> Iterator[Fault]:
        """Calls end with gRPC's `code` (INTERNAL) and the message, as often as they are made."""
        with self._ruled(Rule(call, about, "fail", code or "INTERNAL", message)) as fault:
            yield fault

    @contextmanager
    def held(self, call: str, about: str = "") -> Iterator[Fault]:
        """Calls wait until the block is left; a caller gives up after 60 s, and tries anew."""
        with self._ruled(Rule(call, about, "hold")) as fault:
            yield fault

    @contextmanager
    def unready(self, about: str = "") -> Iterator[Fault]:
        """Snapshots are cut, but not ready to use until the block is left."""
        with self._ruled(Rule(CREATE_SNAPSHOT, about, "unready")) as fault:
            yield fault

    @contextmanager
    def emptied(self, about: str = "") -> Iterator[Fault]:
        """Pods that start meanwhile find an empty folder, as if nothing had been attached."""
        with self._ruled(Rule(PUBLISH, about, "empty")) as fault:
            yield fault

    def calls(self, call: str = "", about: str = "", *, since: int = 0) -> list[Call]:
        """All calls of that name about what the expression finds, from a byte of the record on."""
        try:
            with (self.data / "calls.jsonl").open() as file:
                file.seek(since)
                lines = [line for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []
        found = [_parsed(line) for line in lines]
        return [one for one in found if call in ("", one.call) and re.search(about, one.about)]

    @contextmanager
    def _ruled(self, rule: Rule) -> Iterator[Fault]:
        """The rule that came last is asked first."""
        record = self.data / "calls.jsonl"
        since = record.stat().st_size if record.exists() else 0
        self._rules.insert(0, rule)
        self._write()
        try:
            yield Fault(self, rule, since)
        finally:
            self._rules.remove(rule)
            self._write()

    def _write(self) -> None:
        rules = [
            {"call": r.call, "about": r.about, "effect": r.effect, "code": r.code}
            | {"message": r.message}
            for r in self._rules
        ]
        write_json(self.data / "faults.json", rules)


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that is in force."""

    driver: CsiFaults
    rule: Rule
    since: int

    def hits(self) -> list[Call]:
        """The arrivals that met it."""
        met = self.driver.calls(self.rule.call, self.rule.about, since=self.since)
        return [one for one in met if one.effect == self.rule.effect and not one.ended]

    def wait(self, times: int = 1) -> Call:
        """Until that many calls met it; returns the last of those."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(met := self.hits()) < times:
            if time.monotonic() > deadline:
                raise RigError(f"{len(met)} calls met {self.rule} in {WAIT_SECONDS:.0f} s")
            time.sleep(0.05)
        return met[times - 1]


def _parsed(line: str) -> Call:
    found = json.loads(line)
    return Call(
        node=found["node"],
        call=found["call"],
        about=found["about"],
        effect=found["effect"],
        ended=found["ended"],
        code=found.get("code", ""),
    )
