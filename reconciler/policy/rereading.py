"""Policies of revision after revision: a file that did not change is not read again.

Reading YAML takes most of the time of a cycle, and hardly a file changes between two. What a file
says by itself depends on nothing but its name and bytes, so it is kept; what documents need of each
other and of Config is worked out each time. Files with problems are not kept, nor more than
`MAX_KEPT` values, so a hostile repository fills no memory with this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.model.config import Config
from reconciler.model.policy import ParsedFiles
from reconciler.policy import parsing
from reconciler.policy.drafts import Draft

MAX_KEPT = 100_000


class Rereader:
    """`parse_files` for one process and many revisions; the same answers, sooner."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._kept: dict[str, tuple[bytes, list[Draft]]] = {}
        self.read = 0
        """How many files the last call had to read."""

    def parse(self, files: Mapping[str, bytes], config: Config | None = None) -> ParsedFiles:
        """As `parse_files`. Never raises."""
        self.read = 0
        now: dict[str, tuple[bytes, list[Draft]]] = {}
        room = self._most

        def read(file: str, data: bytes) -> list[Draft]:
            nonlocal room
            known = self._kept.get(file)
            if known is not None and known[0] == data:
                drafts = known[1]
            else:
                self.read += 1
                drafts = parsing.draft_file(file, data)
            if any(draft.found for draft in drafts):
                return drafts
            room -= sum(draft.yaml.count for draft in drafts)
            if room >= 0:
                now[file] = (data, drafts)
            # What is kept stays as it is: each revision goes on with drafts of its own.
            return [replace(draft, found=[]) for draft in drafts]

        drafts = parsing.draft_files(files, config, read=read)
        self._kept = now
        return parsing.close(drafts)
