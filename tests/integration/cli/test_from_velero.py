"""docs/from-velero.md, typed from top to bottom; what it says is refused is refused."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import yaml

from reconciler.policy import parse_files
from tests.rig import typedpage

PAGE = Path(__file__).parents[3] / "docs/from-velero.md"
# What a cluster says: the only thing that is left out here.
CLUSTER = """\
#!/bin/sh
[ "$*" = "get namespaces,persistentvolumeclaims,statefulsets --all-namespaces -o yaml" ] || exit 1
cat <<'END'
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
- {apiVersion: v1, kind: Namespace, metadata: {name: velero}}
- {apiVersion: v1, kind: Namespace, metadata: {name: wiki}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: data-db-0, namespace: shop}
  spec: {accessModes: [ReadWriteOnce], storageClassName: standard}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: pages, namespace: wiki}
  spec: {accessModes: [ReadWriteOnce], storageClassName: standard}
END
"""


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str]]]:
    """Type the page; return the folder with what it made, and the answers."""
    folder = tmp_path_factory.mktemp("velero")
    (folder / "bin").mkdir()
    kubectl = folder / "bin/kubectl"
    kubectl.write_text(CLUSTER)
    kubectl.chmod(0o755)
    environment = {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
    }
    return folder, typedpage.type_all(typedpage.commands(PAGE.read_text()), folder, environment)


def test_the_page_prints_what_it_shows(
    typed: tuple[Path, list[tuple[int, str]]], pytestconfig: pytest.Config
) -> None:
    _, answers = typed
    assert [code for code, _ in answers] == [4, 0, 1], answers
    page = PAGE.read_text()
    new = typedpage.filled(page, [printed for _, printed in answers])
    if pytestconfig.getoption("--update-golden"):
        PAGE.write_text(new)
        return
    assert new == page


def test_what_the_page_says_is_refused_is_refused(
    typed: tuple[Path, list[tuple[int, str]]],
) -> None:
    folder, _ = typed
    good = {path.name: path.read_bytes() for path in (folder / "home/policies").iterdir()}
    assert not parse_files(good, None).problems
    missing = PAGE.read_text().partition("## What is missing here")[2]
    (row,) = (line for line in missing.splitlines() if "are refused" in line)
    methods = re.findall(r"`(copyMethod: \w+)`", row)
    assert methods == ["copyMethod: Snapshot", "copyMethod: Clone"]
    for method in methods:
        edited = good["shop.yaml"].replace(b"copyMethod: Direct", method.encode())
        (problem,) = parse_files(good | {"shop.yaml": edited}, None).problems
        assert f"`{method}` is not supported yet" in problem.message


def test_the_schedules_of_the_page_are_velero_s_own() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    template = {
        *("includedNamespaces", "excludedNamespaces", "labelSelector", "ttl"),
        *("defaultVolumesToFsBackup", "storageLocation"),
    }
    for found in map(yaml.safe_load, blocks):
        assert (found["apiVersion"], found["kind"]) == ("velero.io/v1", "Schedule")
        assert set(found["spec"]) == {"schedule", "template"}
        assert set(found["spec"]["template"]) <= template
