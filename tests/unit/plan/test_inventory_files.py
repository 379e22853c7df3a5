"""An inventory as files and back: its bytes, and what is said of files that are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model.errors import InvalidInput
from reconciler.model.inventory import Inventory
from reconciler.model.run import Outcome
from reconciler.plan.inventoryfiles import (
    PolicyPoints,
    bound,
    check_paths,
    parse_inventory,
    points_path,
    published,
    render_inventory,
    render_points,
)
from tests.conftest import TESTS, Golden
from tests.unit.plan.inventories import TAKEN, TIP, digest, small


def files_of(inventory: Inventory) -> dict[str, bytes]:
    """The whole branch."""
    files = render_inventory(inventory)
    for policy in {point.policy for point in inventory.points}:
        found = PolicyPoints(policy=policy, tip=TIP, points=inventory.points_of(policy))
        files[points_path(policy)] = render_points(found)
    return files


def problem_of(files: dict[str, bytes]) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_inventory(files, where="inventory/prod-eu:")
    assert caught.value.problems[0].hint
    return str(caught.value.problems[0])


def test_the_files_are_these(golden: Golden) -> None:
    files = files_of(small())
    assert sorted(files) == [
        "inventory.json",
        "namespaces/%61ux.json",
        "namespaces/blog.json",
        "namespaces/kube-system.json",
        "namespaces/shop.json",
        "points/blog.json",
        "points/shop.json",
    ]
    golden("inventory/inventory.json", files["inventory.json"].decode())
    golden("inventory/namespaces/shop.json", files["namespaces/shop.json"].decode())
    golden("inventory/namespaces/blog.json", files["namespaces/blog.json"].decode())
    golden("inventory/points/shop.json", files["points/shop.json"].decode())


def test_reading_gives_back_what_is_published() -> None:
    found = parse_inventory(files_of(small()))
    assert found == published(small())
    assert files_of(found) == files_of(small())


def test_no_value_and_no_id_but_the_clusters_is_published() -> None:
    text = b"".join(files_of(small()).values()).decode()
    for word in ("hunter2", "uid-", "node-1", 'db-0"', "note"):
        assert word not in text.replace('"data-db-0"', ""), word


def test_a_namespace_that_did_not_change_keeps_its_bytes() -> None:
    one = small()
    other = replace(one, labels={"env": "test"}, namespaces=one.namespaces[1:])
    mine, theirs = render_inventory(one), render_inventory(other)
    assert {path for path in mine if mine[path] != theirs.get(path)} == {
        "inventory.json",
        "namespaces/%61ux.json",
    }


def test_reading_never_depends_on_the_order_of_files() -> None:
    files = files_of(small())
    turned = dict(reversed(files.items()))
    assert parse_inventory(turned) == parse_inventory(files)


HOSTILE = {
    "a field of tomorrow": (
        "namespaces/shop.json",
        b'"phase": "Bound", "accessModes"',
        b'"tier": "gold", "accessModes"',
        "namespaces/shop.json:5:3: error: has a field that this version does not know",
    ),
    "a name that is a command": (
        "namespaces/shop.json",
        b'"name": "uploads"',
        b'"name": "![x](https://evil.example.org)"',
        "namespaces/shop.json:7:12: error: name must be a name of an object",
    ),
    "a label that ends a comment": (
        "namespaces/shop.json",
        b'"team": "a"',
        b'"team": "--> <script>"',
        "namespaces/shop.json:3:36: error: team must be a value of a label",
    ),
    "the bytes of another namespace": (
        "namespaces/shop.json",
        b'"namespace": "shop"',
        b'"namespace": "blog"',
        "namespaces/shop.json:2:15: error: namespace is blog, which has the file namespaces/blog",
    ),
    "a key twice": (
        "namespaces/shop.json",
        b'{"name": "data-db-1"',
        b'{"name": "data-db-1", "name": "x"',
        "namespaces/shop.json:6:25: error: the key 'name' is there twice in one object",
    ),
    "a size that is none": (
        "namespaces/shop.json",
        b'"size": 1572864000',
        b'"size": -1',
        "namespaces/shop.json:7:54: error: size must be a whole number that is not negative",
    ),
    "a fraction": (
        "namespaces/shop.json",
        b'"size": 1572864000',
        b'"size": 1e999',
        "namespaces/shop.json:7:54: error: 1e999 is no whole number",
    ),
    "not a number": (
        "inventory.json",
        b'"namespaces": 4',
        b'"namespaces": NaN',
        "inventory.json:9:16: error: NaN is no number",
    ),
    "digits without end": (
        "inventory.json",
        b'"namespaces": 4',
        b'"namespaces": ' + b"4" * 5000,
        "inventory.json:",
    ),
    "true for one": (
        "inventory.json",
        b'"namespaces": 4',
        b'"namespaces": true',
        "inventory.json:9:16: error: namespaces must be a whole number",
    ),
    "a format of tomorrow": (
        "inventory.json",
        b'"formatVersion": 1',
        b'"formatVersion": 2',
        "inventory.json:2:19: error: formatVersion is format 2, and this version of Backstay reads",
    ),
    "a namespace less than there are": (
        "inventory.json",
        b'"namespaces": 4',
        b'"namespaces": 5',
        "inventory.json:1:1: error: names 5 namespaces, and the branch has files of 4",
    ),
    "nested without end": (
        "inventory.json",
        b'"labels": {"env": "prod"}',
        b'"labels": ' + b"[" * 100_000,
        "inventory.json:",
    ),
    "cut": ("inventory.json", b'"snapshotClasses"', b"", "inventory.json:14:2: error: is not JSON"),
    "not UTF-8": ("inventory.json", b"prod-eu", b"\xff", "inventory.json:3:1: error: is not UTF-8"),
    "a mark that hides text": (
        "inventory.json",
        b"prod-eu",
        "\u202eue-dorp".encode(),
        "inventory.json:3:13: error: cluster must be a name of a namespace",
    ),
    "a list": ("inventory.json", b"{\n", b"[{\n", "inventory.json:"),
    "a time of no day": (
        "points/shop.json",
        b"2026-11-19T02:17:00Z",
        b"2026-11-31T02:17:00Z",
        "points/shop.json:10:52: error: started must be a time such as",
    ),
    "a content that is not there": (
        "points/shop.json",
        b'"content": 1',
        b'"content": 2',
        "points/shop.json:12:111: error: content is 2, and there are 2 contents",
    ),
    "an outcome of tomorrow": (
        "points/shop.json",
        b'{"outcome": "Completed"',
        b'{"outcome": "Splendid"',
        "points/shop.json:6:24: error: outcome must be one of Skipped, Completed,",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_does_not_fit_is_told_with_its_place(what: str) -> None:
    path, old, new, told = HOSTILE[what]
    files = files_of(small())
    assert old in files[path]
    files[path] = files[path].replace(old, new, 1)
    assert problem_of(files)[: len(told) + 18] == f"inventory/prod-eu:{told}"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("README.md", "README.md:1:1: error: is no file of an inventory"),
        ("namespaces/x.json", "namespaces/x.json:1:1: error: is not JSON"),
        ("points/../x", "points/../x:1:1: error: is not JSON"),
    ],
)
def test_a_file_that_an_inventory_does_not_have_is_an_error(path: str, told: str) -> None:
    found = problem_of(files_of(small()) | {path: b"# hello"})
    assert found.startswith(f"inventory/prod-eu:{told}")


def test_no_head_is_no_inventory() -> None:
    files = files_of(small())
    del files["inventory.json"]
    assert "inventory.json:1:1: error: is not there" in problem_of(files)


def test_files_without_end_are_not_read() -> None:
    check_paths(str(number) for number in range(50_000))
    with pytest.raises(InvalidInput, match="50001 files"):
        check_paths(str(number) for number in range(50_001))
    files = files_of(small())
    files["namespaces/shop.json"] += b" " * (16 * 2**20)
    assert "are read at most" in problem_of(files)


def test_the_newest_points_stay_and_the_others_are_counted() -> None:
    points = tuple(
        replace(digest("shop", 1), run=f"shop-{number}", started=TAKEN + timedelta(hours=number))
        for number in range(2100)
    )
    found = bound(PolicyPoints(policy="shop", older=7, points=points))
    assert (found.older, len(found.points)) == (107, 2000)
    assert found.points[-1].run == "shop-2099"
    again = bound(replace(found, points=(*found.points, replace(points[0], run="shop-2100"))))
    assert (again.older, len(again.points)) == (108, 2000)


def test_contents_that_differ_in_every_run_are_bounded_too() -> None:
    points = tuple(
        replace(
            digest("shop", 1, shop=tuple(f"claim-{number}-{one}" for one in range(999))),
            run=f"shop-{number}",
            started=TAKEN + timedelta(hours=number),
        )
        for number in range(55)
    )
    found = bound(PolicyPoints(policy="shop", points=points))
    assert (found.older, len(found.points)) == (5, 50)
    # One that is larger than all that is allowed is kept: the newest point always stays.
    huge = replace(points[0], namespaces=dict.fromkeys(map(str, range(60_000)), Outcome.COMPLETED))
    assert bound(PolicyPoints(policy="shop", points=(huge,))).points == (huge,)


def test_older_points_are_told() -> None:
    files = files_of(small())
    files["points/shop.json"] = files["points/shop.json"].replace(b'"older": 0', b'"older": 9')
    assert parse_inventory(files).older_points == {"shop": 9}


@pytest.mark.parametrize("name", ["inventory.json", "namespaces/shop.json", "points/shop.json"])
def test_the_page_shows_these_files(name: str) -> None:
    page = (TESTS.parent / "docs" / "inventory.md").read_text()
    assert f"```json\n{files_of(small())[name].decode()}```" in page
