"""docs/first-policy.md, typed from top to bottom by somebody new: real git, no cluster."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.rig import typedpage

PAGE = Path(__file__).parents[3] / "docs/first-policy.md"
HEADING = "\n## 7. In the cluster\n"


def test_the_guide_prints_what_it_shows(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    page, heading, rest = PAGE.read_text().partition(HEADING)
    blocks = typedpage.commands(page)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "You", f"GIT_{who}_EMAIL": "you@example.org"}
    answers = typedpage.type_all(blocks, tmp_path, environment)
    codes = [code for code, _ in answers]
    assert codes == [0, 4, *[0] * (len(codes) - 2)], answers  # the second has the mistakes
    new = typedpage.filled(page, [printed for _, printed in answers])
    if pytestconfig.getoption("--update-golden"):
        PAGE.write_text(new + heading + rest)
        return
    assert new == page


def test_the_rest_is_typed_on_a_cluster() -> None:
    """By tests/cluster/test_controller_command.py, and what the README shows by test_demo.py."""
    _, _, rest = PAGE.read_text().partition(HEADING)
    assert len(typedpage.commands(rest)) == 4
    readme = (PAGE.parents[1] / "README.md").read_text()
    more = re.findall(r"^    (backstay .*) --config \.\./backstay\.yaml$", rest, re.MULTILINE)
    assert len(more) == 3
    assert not [line for line in more if line not in readme]
