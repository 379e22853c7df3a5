"""The one setting of the host that clusters need: inotify instances.

Kubernetes' programs and containerd watch files; a cluster of one node takes 15 instances, and the
kernel gives a user 128. The ninth cluster's containerd would start without its CRI, and its kubelet
say "too many open files" for ever.
"""

from __future__ import annotations

from pathlib import Path

from tests.rig.cluster.progress import say

INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 1024


def ensure(setting: Path = INSTANCES) -> None:
    """Raise it if it is low; nothing else is changed, and it stays until the machine restarts.

    Where that is not allowed, a few clusters still work.
    """
    try:
        before = int(setting.read_text())
        if before >= ENOUGH:
            return
        setting.write_text(f"{ENOUGH}\n")
    except OSError as error:
        say(f"{setting} can't be raised to {ENOUGH} ({error.strerror}): not many clusters at once")
        return
    say(f"{setting}: raised from {before} to {ENOUGH}")
