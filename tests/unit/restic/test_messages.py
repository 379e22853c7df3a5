"""What restic writes, as values; lines as restic 0.18 and 0.19 wrote them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.adapters import resticjson, restictree

ID = "f21910fde5321828575b086c193eb4dd8028604114b77ef352562de7978541e3"
SNAPSHOT = {
    "time": "2026-11-21T12:21:54.050491844+01:00",
    "paths": ["/data/web"],
    "hostname": "prod/shop",
    "tags": ["policy:shop", "run:1"],
    "summary": {"total_files_processed": 3, "total_bytes_processed": 9, "data_added": 700},
    "id": ID,
    "new field": {"of": "a newer restic"},
}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"using parent snapshot abc",
        b'{"half": ',
        b'{"no": "type"}',
        b'["a list"]',
        b"\xff\xfe",
        b'{"message_type": "\xff',
    ],
)
def test_a_line_that_is_no_message_is_no_error(line: bytes) -> None:
    assert resticjson.parse_message(line) is None


def test_a_message_of_an_unknown_type_is_a_message() -> None:
    message = resticjson.parse_message(b'{"message_type":"later","x":"\xff"}\n')
    assert message is not None
    assert message["message_type"] == "later"


def test_a_retry_says_what_how_long_and_why() -> None:
    line = (
        "Stat(<config/>) returned error, retrying after 846.903258ms: "
        "Stat: The specified bucket does not exist"
    )
    found = resticjson.parse_retry(line)
    assert found is not None
    assert (found.what, found.why) == (
        "Stat(<config/>)",
        "Stat: The specified bucket does not exist",
    )
    assert found.delay == pytest.approx(0.846903258)
    assert found.is_opening
    assert resticjson.parse_retry("Fatal: something else") is None


@pytest.mark.parametrize(
    ("what", "opening"),
    [
        ("Stat(<config/>)", True),
        ("Load(<config/0000000000>, 0, 0)", True),
        ("List(key)", True),
        ("Load(<key/1c2a3b4d5e>, 0, 0)", True),
        ("Save(<lock/1c2a3b4d5e>)", False),
        ("Load(<index/1c2a3b4d5e>, 0, 0)", False),
        ("Save(<data/1c2a3b4d5e>)", False),
        ("List(snapshot)", False),
    ],
)
def test_opening_a_repository_is_told_from_working_in_it(what: str, opening: bool) -> None:
    assert resticjson.Retry(what, 1.0, "connection refused").is_opening is opening


def test_what_works_again_is_named() -> None:
    line = "Save(<data/b2f6a26146>) operation successful after 3 retries"
    assert resticjson.parse_recovered(line) == "Save(<data/b2f6a26146>)"
    assert resticjson.parse_recovered("Save(<data/b2f6a26146>) failed") == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m2.5s", 62.5), ("2h", 7200.0), ("500ms", 0.5), ("10µs", 1e-5), ("2m", 120.0), ("", 0.0)],
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert resticjson.seconds(text) == pytest.approx(seconds)


def test_a_snapshot_has_its_full_id_and_its_time_in_utc() -> None:
    found = resticjson.parse_snapshot(SNAPSHOT)
    assert found.id == ID
    assert found.time == datetime(2026, 11, 21, 11, 21, 54, 50491, tzinfo=UTC)
    assert found.time.tzinfo is UTC
    assert (found.files, found.size, found.added) == (3, 9, 700)
    assert (found.host, found.paths, found.tags) == (
        "prod/shop",
        ("/data/web",),
        ("policy:shop", "run:1"),
    )


def test_a_snapshot_without_figures_has_unknown_sizes() -> None:
    value = {**SNAPSHOT, "summary": None, "tags": None}
    found = resticjson.parse_snapshot(value)
    assert (found.files, found.size, found.added, found.tags) == (-1, -1, -1, ())


@pytest.mark.parametrize("value", [{}, {"id": "f21910fd"}, {**SNAPSHOT, "time": "yesterday"}])
def test_a_snapshot_that_cannot_be_named_is_an_error(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"id|time|isoformat"):
        resticjson.parse_snapshot(value)


def test_the_error_of_a_file_has_its_path_once() -> None:
    message = {"error": {"message": "open /data/web/x: permission\ndenied"}, "item": "/data/web/x"}
    assert resticjson.parse_error(message) == "open /data/web/x: permission denied"
    message["item"] = "/data/web/y"
    assert resticjson.parse_error(message).startswith("/data/web/y: open")
    assert resticjson.parse_error({}) == "unknown error"


def test_a_restores_figures_include_what_was_in_place_already() -> None:
    found = resticjson.parse_summary(
        {"files_restored": 2, "files_skipped": 3, "bytes_restored": 10, "bytes_skipped": 20}
    )
    assert (found.files, found.size, found.added) == (5, 30, 0)


def test_progress_has_a_total_only_after_the_scan() -> None:
    assert resticjson.parse_progress({"bytes_done": 5}) == (5, 0)
    assert resticjson.parse_progress({"bytes_restored": 5, "total_bytes": 9}) == (5, 9)


@pytest.mark.parametrize(
    ("go", "mode"),
    [
        (1 << 31 | 0o750, 0o750),
        (1 << 31 | 1 << 22 | 0o770, 0o2770),
        (1 << 23 | 0o755, 0o4755),
        (1 << 20 | 0o777, 0o1777),
    ],
)
def test_gos_modes_become_the_systems(go: int, mode: int) -> None:
    assert restictree.file_mode(go) == mode


def test_owners_that_differ_are_told(tmp_path: object) -> None:
    lines = [
        '{"message_type":"snapshot","struct_type":"snapshot","id":"x"}',
        '{"struct_type":"node","type":"dir","path":"/web","uid":1}',
        '{"message_type":"node","type":"file","path":"/web/gone","uid":1}',
        '{"message_type":"node","type":"file","path":"/webber/other","uid":1}',
    ]
    nodes = list(restictree.parse_nodes(lines))
    assert [node["path"] for node in nodes] == ["/web", "/web/gone", "/webber/other"]
    from pathlib import Path

    folder = Path(str(tmp_path))
    assert list(restictree.lost_owners(nodes, "web", folder)) == []
    (folder / "gone").touch()
    seen = (folder / "gone").stat()
    other = {"struct_type": "node", "path": "/web/gone", "uid": seen.st_uid + 1, "gid": seen.st_gid}
    (told,) = restictree.lost_owners([other], "web", folder)
    assert told.startswith(f"/web/gone: owner {seen.st_uid + 1}:")
