"""When output goes to a pager, and what is read of it before that is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.cli import paging


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {}, True),
        (True, {"PAGER": "more"}, True),
        (True, {"PAGER": "cat"}, False),
        (True, {"PAGER": ""}, False),
        (True, {"NO_PAGER": ""}, False),
        (False, {}, False),
        (False, {"PAGER": "less"}, False),
    ],
)
def test_when_a_pager_is_wanted(terminal: bool, environment: dict[str, str], wanted: bool) -> None:
    assert paging.wants_pager(terminal, environment) is wanted


def test_only_a_page_is_read_ahead() -> None:
    read = []

    def chunks() -> Iterator[str]:
        for number in range(1000):
            read.append(number)
            yield f"{number}\n"

    first, rest = paging.split_page(chunks(), 10)
    assert len(read) == len(first) == 10
    assert rest is not None
    assert next(rest) == "10\n"


def test_what_fits_is_not_paged() -> None:
    assert paging.split_page(["a\n", "b\n"], 10) == (["a\n", "b\n"], None)
    first, rest = paging.split_page(["a\n" * 30], 10)
    assert (first, rest is None) == (["a\n" * 30], False)


def test_elsewhere_it_is_printed_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    paging.show(paging.painter()("added", f"{number}\n") for number in range(500))
    assert capsys.readouterr().out == "".join(f"{number}\n" for number in range(500))
