"""A mover whose process meets what nobody foresaw: it has a result, and says no secret."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import main
from reconciler.model import moverprotocol
from reconciler.model.volumes import MoveState

PASSWORD = "S3cret-Marker-4711"


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A mover stays deaf to signals once it reports; a test's process must not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_i3_an_unexpected_error_is_a_result_without_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system says of a folder quotes it, as an error of anything quotes anything."""
    monkeypatch.setenv("RESTIC_REPOSITORY", "s3:https://s3.example.org/b")
    monkeypatch.setenv("RESTIC_PASSWORD", PASSWORD)
    blocked = tmp_path / PASSWORD
    blocked.touch()
    result = tmp_path / "result"
    given = ("--claim=files", "--host=c/shop", "--policy=shop", "--run=shop-1")
    places = (f"--root={tmp_path}", f"--cache-dir={blocked}/cache", f"--result={result}")
    assert main.run(["mover", "backup", *given, *places]) == 1
    told = moverprotocol.parse_result(result.read_text())
    assert told is not None
    assert told.state is MoveState.FAILED
    assert told.message.startswith("an unexpected error ended the mover: NotADirectoryError in ")
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err + result.read_text()
    assert '"event": "unexpected error"' in said.err
