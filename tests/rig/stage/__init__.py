"""A whole installation on a real cluster: what the demo shows and the cluster tests use.

`Stage` brings up the servers beside a cluster (Git over SSH, S3), puts the image into it, makes
the Secrets, and applies `deploy/` as a user would. Everything that it does goes through the same
doors that users have: `git push`, `kubectl`, `backstay`.
"""

from tests.rig.stage.stage import Stage

__all__ = ["Stage"]
