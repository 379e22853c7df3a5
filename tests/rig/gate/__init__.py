"""Shims for git, restic and backstay, and the gate that they report to.

A test counts processes with it, searches their command lines without sampling, and holds a
process at a point that is known: before it starts, or after it ended and before its caller knows.
"""

from tests.rig.gate.server import Call, Gate, Hold
from tests.rig.gate.shims import make_folder, make_image

__all__ = ["Call", "Gate", "Hold", "make_folder", "make_image"]
