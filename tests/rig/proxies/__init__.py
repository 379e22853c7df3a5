"""Proxies in front of real servers, which break what a test asks them to break.

`ApiProxy` before the apiserver and `S3Proxy` before S3 work by rules: which request (method, path,
how many-th), and what becomes of it. `SshProxy` before sshd works on connections. What no rule is
about passes unchanged, watches and other streams included.
"""

from tests.rig.proxies.api import ApiProxy
from tests.rig.proxies.rules import Answer, Cut, Held, Reset, Rule, Seen, Slow
from tests.rig.proxies.s3 import Lose, S3Proxy
from tests.rig.proxies.ssh import SshProxy

__all__ = [
    "Answer", "ApiProxy", "Cut", "Held", "Lose", "Reset", "Rule", "S3Proxy", "Seen", "Slow",
    "SshProxy",
]  # fmt: skip
