"""The sshd, the stores and the list of processes of tests/integration/git."""

from __future__ import annotations

from tests.integration.git.conftest import executed, make_store, server

__all__ = ["executed", "make_store", "server"]
