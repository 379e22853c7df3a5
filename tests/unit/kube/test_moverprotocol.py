"""A mover's word fits into a termination message and comes back as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import moverprotocol
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, MoveTask, RepositoryAccess

ENDS = [state for state in MoveState if state is not MoveState.RUNNING]
RESULT = MoveResult(
    state=MoveState.PARTIALLY_FAILED,
    snapshot="a" * 64,
    files=12,
    size=2**50,
    added=17,
    took=3,
    started="2026-11-21T04:17:03Z",
    errors=("open x: permission denied", "read ü: input/output error"),
    error_count=2,
    exit_code=3,
    message="2 files could not be read",
)


def task(kind: MoveKind = MoveKind.BACKUP) -> MoveTask:
    """A task whose repository holds a secret."""
    access = RepositoryAccess(
        name="main",
        namespace="shop",
        url="s3:https://s3.example.org/b/shop",
        secret="restic-main",
        environment={"RESTIC_PASSWORD": "hidden"},
    )
    return MoveTask(
        kind=kind,
        run_id="shop-20261121-041703-7c1e9",
        policy="shop",
        namespace="shop",
        claim="data",
        access=access,
        host="prod/shop",
        image="backstay:1",
        snapshot="c" * 64 if kind is MoveKind.RESTORE else "",
        exclude=("lost+found", "*.tmp") if kind is MoveKind.BACKUP else (),
    )


def test_arguments_of_a_backup() -> None:
    assert " ".join(moverprotocol.render_arguments(task())) == (
        "mover backup --claim data --host prod/shop --policy shop"
        " --run shop-20261121-041703-7c1e9 --exclude lost+found --exclude *.tmp"
    )


def test_arguments_of_a_restore() -> None:
    assert " ".join(moverprotocol.render_arguments(task(MoveKind.RESTORE))) == (
        "mover restore --claim data --host prod/shop --policy shop"
        f" --run shop-20261121-041703-7c1e9 --snapshot {'c' * 64}"
    )


def test_a_result_comes_back() -> None:
    text = moverprotocol.render_result(RESULT)
    assert "\n" not in text
    assert moverprotocol.parse_result(text) == RESULT


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@given(
    state=st.sampled_from(ENDS),
    message=st.text(st.characters(), max_size=3000),
    errors=st.lists(st.text(st.characters(), max_size=900), max_size=9),
)
def test_every_result_fits_and_keeps_its_numbers(
    state: MoveState, message: str, errors: list[str]
) -> None:
    given_ = replace(
        RESULT, state=state, message=message, errors=tuple(errors), error_count=len(errors)
    )
    text = moverprotocol.render_result(given_)
    assert len(text.encode()) <= moverprotocol.LIMIT
    found = moverprotocol.parse_result(text)
    assert found is not None
    assert replace(found, message="", errors=()) == replace(given_, message="", errors=())
    for part, whole in zip((found.message, *found.errors), (message, *errors), strict=False):
        assert _plain(whole).startswith(part)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "panic: runtime error",
        "{}",
        "[]",
        '{"state":"Completed"}',
        '{"backstayMover":2,"state":"Completed"}',
        '{"backstayMover":1,"state":"Running"}',
        '{"backstayMover":1,"state":"Wonderful"}',
        '{"backstayMover":1,"state":"Completed","files":"many"}',
        '{"backstayMover":1}',
    ],
)
def test_anything_else_is_no_result(text: str) -> None:
    assert moverprotocol.parse_result(text) is None


def test_fields_of_a_newer_mover_are_skipped() -> None:
    text = '{"backstayMover":1,"state":"Completed","files":2,"speed":"high"}'
    assert moverprotocol.parse_result(text) == MoveResult(state=MoveState.COMPLETED, files=2)
