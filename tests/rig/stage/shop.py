"""The application `shop`: installed, filled with files that are hard to copy, and looked at."""

from __future__ import annotations

import base64
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.rig.cluster.definitions import wait_established
from tests.rig.cluster.errors import RigError
from tests.rig.stage.stage import Stage

NAMESPACE = "shop"
NODE_PORT = 31080
MANIFEST = Path(__file__).with_name("shop.yaml")
TIME_ZONE = "Europe/Berlin"
PAGE_SECONDS = 300.0


def far_off(minute: int) -> str:
    """A time of every day, eleven hours away or more in `TIME_ZONE`.

    The cluster's CronJob controller is a real one, and tests begin at any time of the day: a run
    that no test asked for would be in the way of those that they start.
    """
    return f"{minute} {(datetime.now(ZoneInfo(TIME_ZONE)).hour + 12) % 24} * * *"


CRON = far_off(17)
"""When the policy runs by itself."""

# Once, by exec: what a container does at each start would hide what a restore forgot.
_FILL = r"""
set -e
cd /files
echo '<h1>shop</h1>' > index.html
mkdir -p many empty deep/a/b/c
i=0; while [ $i -lt 1000 ]; do echo "file $i" > many/f$i; i=$((i+1)); done
for name in 'with space' "quote'\"double" "$(printf 'new\nline')" "$(printf 'latin-\351')" \
  grün-日本 -rf '*' '..hidden'; do echo odd > "many/$name"; done
ln -s many/f1 link; ln -s /nowhere dangling; ln -s ../deep deep/up
ln many/f2 hard
chmod 0600 many/f3; chmod 0755 many/f4; chmod 4755 many/f5; chmod 0000 many/f6; chmod 1777 empty
chown 1000:1000 many/f7; chown -h 33:44 link; chown 65534:65534 deep
dd if=/dev/zero of=sparse bs=1 count=1 seek=104857599 2>/dev/null
touch -d '2001-02-03 04:05:06' many/f8
echo cached > /cache/page
"""

# Everything that a restore has to bring back: type, mode, owner, links, time, target, hash. As
# base64, because a name may be bytes that are no UTF-8.
_LIST = r"""
cd %s
{ find . -print0 | sort -z | xargs -0 stat -c '%%F %%a %%u:%%g %%h %%Y %%N'
  find . -type f -print0 | sort -z | xargs -0 sha256sum; } | base64
"""


def install(stage: Stage, *, marker: str) -> None:
    """Applies the application with ``marker`` as its password, and waits until it serves."""
    text = MANIFEST.read_text().replace("${MARKER}", marker)
    definition, _, rest = text.partition("\n---\n")
    stage.kubectl("apply", "-f", "-", stdin=definition)
    wait_established(stage.kubectl, "products.shop.example.org")
    stage.kubectl("apply", "-f", "-", stdin=rest)
    wait_ready(stage)
    execute(stage, "deploy/web", _FILL)
    for number in (0, 1):
        execute(stage, f"db-{number}", f"echo row-{number} > /data/table; sync")


def wait_ready(stage: Stage, *, namespace: str = NAMESPACE) -> None:
    """Until Deployment and StatefulSet are rolled out."""
    for workload in ("deploy/web", "statefulset/db"):
        stage.kubectl("-n", namespace, "rollout", "status", workload, "--timeout=300s")


def execute(stage: Stage, pod: str, script: str, *, namespace: str = NAMESPACE) -> str:
    """A shell script in a pod."""
    return stage.kubectl("-n", namespace, "exec", pod, "--", "/bin/sh", "-c", script)


def listing(stage: Stage, *, namespace: str = NAMESPACE) -> dict[str, str]:
    """claim → every entry with mode, owner, target and hash, as text that can be compared."""
    places = {"files": ("deploy/web", "/files")}
    places |= {f"data-db-{number}": (f"db-{number}", "/data") for number in (0, 1)}
    return {
        claim: base64.b64decode(execute(stage, pod, _LIST % folder, namespace=namespace)).decode(
            "latin-1"
        )
        for claim, (pod, folder) in places.items()
    }


def versions(stage: Stage, kinds: str, *, namespace: str = NAMESPACE) -> dict[str, Any]:
    """kind/name → what changes when somebody writes the object, and not when its status does.

    Without what a mover may have left, which the cluster's own collector takes a moment later.
    """
    found = {}
    for raw in stage.objects("-n", namespace, kinds):
        metadata = raw["metadata"]
        labels = metadata.get("labels") or {}
        if "backstay.dev/component" in labels:
            continue
        written = [labels, metadata.get("annotations"), metadata.get("generation")]
        seen = written if "generation" in metadata else metadata["resourceVersion"]
        found[f"{raw['kind']}/{metadata['name']}"] = (metadata["uid"], seen)
    return found


def allocated(stage: Stage, path: str) -> int:
    """Bytes that a file of the web pod takes on disk: a sparse one takes few."""
    blocks = execute(stage, "deploy/web", f"stat -c '%b %B' {path}").split()
    return int(blocks[0]) * int(blocks[1])


def page(stage: Stage, *, port: int = NODE_PORT, seconds: float = PAGE_SECONDS) -> str:
    """What the application answers at its node port."""
    node = stage.kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")
    url = f"http://{node}:{port}/"
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise RigError(f"{url} does not answer: {error}") from error
            time.sleep(0.5)


def policy(stage: Stage, *, cron: str = CRON, namespaces: str = '[shop, "shop-*"]') -> str:
    """The policy of the README, for this stage's storage."""
    return f"""\
apiVersion: backstay.dev/v1alpha1
kind: Repository
metadata: {{name: main}}
spec:
  url: "{stage.repository_prefix}{{cluster}}/{{namespace}}"
  secretRef: {{name: restic-main}}
---
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {{name: shop}}
spec:
  schedule: {{cron: "{cron}", timeZone: {TIME_ZONE}}}
  selector: {{namespaces: {namespaces}}}
  volumes:
    rules:
      - {{match: {{claims: ["*-cache"]}}, copyMethod: Skip, reason: rebuilt on start}}
    copyMethod: Direct
  retention: {{keepLast: 3, keepDaily: 7, keepWeekly: 5, keepMonthly: 12}}
"""
