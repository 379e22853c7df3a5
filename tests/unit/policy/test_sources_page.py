"""docs/sources.md: its examples are Config, its signers are taken, its errors are what is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.adapters import gitcredentials, giterrors, gitsignature
from reconciler.adapters.policytree import Limits
from tests.unit.policy.yamltexts import HEAD, config

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/sources.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
REST = """\
kind: Config
cluster: {name: prod-eu}
manifestStore: {url: "ssh://git@git.example.org/manifests.git"}
image: registry.example.org/backstay:1
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_part_of_a_config(example: str) -> None:
    source = config(HEAD + REST + example).policy_source
    assert source.url in example
    assert bool(source.signers) == ("verify:" in example)


def test_there_is_an_example_of_each_form() -> None:
    schemes = [
        config(HEAD + REST + example).policy_source.url.split(":")[0] for example in EXAMPLES
    ]
    assert schemes == ["ssh", "https", "http", "file", "ssh"]


def test_the_signers_of_the_page_are_taken() -> None:
    (signers,) = re.findall(r"```\n(ann@.*?)```", TEXT, re.DOTALL)
    found = gitsignature.parse_signers({"allowed_signers": signers.encode()}, "Secret x")
    assert found.text.decode() == signers


def test_the_page_has_every_key_and_every_limit() -> None:
    old = {"caFile"}
    assert not [key for key in gitcredentials.KNOWN if f"`{key}`" not in TEXT and key not in old]
    limits = Limits()
    for said in (
        f"{limits.fetched >> 20} MiB for a fetch, {limits.deadline / 60:g} minutes",
        f"{limits.entries:,} names or {limits.listing >> 20} MiB of them, {limits.depth} folders",
        f"{limits.files:,} policy files, {limits.total_size >> 20} MiB of them",
        f"{limits.file_size >> 10} KiB for a file",
        f"{limits.history:,} of them",
    ):
        assert said in TEXT


@pytest.mark.parametrize(
    "stderr",
    [
        "fatal: unable to access: The requested URL returned error: 401",
        "fatal: server certificate verification failed",
        "fatal: SSL: no alternative certificate subject name matches target host name 'x'",
        "fatal: unable to access: The requested URL returned error: 302",
        "fatal: detected dubious ownership in repository at '/x'",
    ],
)
def test_the_page_knows_what_is_said(stderr: str) -> None:
    error = giterrors.explain("fetch main", "https://x", stderr.encode())
    said = re.search(r": ([^:]*?) \(fatal", error.message)
    assert said is not None
    assert f"`{said[1]}`" in TEXT
