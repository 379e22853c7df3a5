"""docs/secrets.md tells the truth: its commands are typed, on a clone, with the real `sops`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.agekeys import AgeOpener, AgeSealer
from reconciler.capture import canonical, sealedsecrets, sops
from reconciler.model.errors import Refused
from reconciler.policy import parse_files
from tests.unit.capture.test_sops import KEY, PLAIN, view

PAGE = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
FILE = "shop/secret/db.yaml"


def sealed(recipient: str) -> bytes:
    """As a run writes it."""
    sealer = AgeSealer()
    key = sealer.random(sops.KEY_SIZE)
    wrapped = [sops.Wrapped(recipient, sealer.wrap(key, recipient))]
    made = sops.Sealing(key=key, wrapped=wrapped, when="2026-11-21T04:17:03Z", draw=sealer.random)
    return sealedsecrets.seal(PLAIN, view(), made, KEY)


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
    }

    def typed(command: str, folder: Path) -> str:
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    identity = pyrage.x25519.Identity.generate()
    store, clone = tmp_path / "store", tmp_path / "clone"
    (store / FILE).parent.mkdir(parents=True)
    (store / FILE).write_bytes(sealed(str(identity.to_public())))
    who = "-c user.name=run -c user.email=run@example.org"
    typed("git init -q -b clusters/prod-eu/shop . && git add .", store)
    typed(f"git {who} commit -q -m run && git clone -q . {clone}", store)
    (clone / "keys.txt").write_text(f"# made by age-keygen\n{identity}\n")
    keygen, *rest = COMMANDS
    assert keygen.startswith("age-keygen -o keys.txt ")  # as the line above did
    assert len(rest) == 2
    opened = canonical.read_manifest(typed("\n".join(rest), clone).encode())
    assert opened["data"] == PLAIN["data"]


def test_the_profile_of_the_page_is_taken() -> None:
    (text,) = re.findall(r"```yaml\n(apiVersion.*?)```", PAGE, re.DOTALL)
    assert parse_files({"profile.yaml": text.encode()}, None).problems == ()


def test_the_error_of_the_page_is_what_is_said() -> None:
    (shown,) = re.findall(r"```text\nError: (.*?) age1pmwc…\n```", PAGE, re.DOTALL)
    with pytest.raises(Refused) as found:
        AgeOpener({"HOME": "/nonexistent"}).unwrap({"age1x": ""})
    assert found.value.message == f"{shown} age1x"
