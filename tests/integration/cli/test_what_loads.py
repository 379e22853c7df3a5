"""What a verb loads before it has done anything: counted in one process, and never timed.

Each pod and each command pays for it. What is loaded stays, so the verbs stand in the order of
what they may load, the poorest first.
"""

from __future__ import annotations

import subprocess
import sys

from reconciler.cli.main import VERBS

CODE = """
import importlib, os, sys
def hook(event, arguments):
    if event == "subprocess.Popen" and arguments[0] != os.devnull:
        sys.exit(f"a process: {arguments}")
sys.addaudithook(hook)
for module in sys.argv[1:]:
    importlib.import_module(module)
    print(module, *sorted({name.partition(".")[0] for name in sys.modules}))
"""
# The official client with what it brings along, and what only a listening controller needs.
NEVER = {"kubernetes", "requests", "oauthlib", "structlog"}
NEVER |= {"asyncio", "uvicorn", "starlette", "prometheus_client", "watchdog"}
CLIENTS = {"git", "yaml", "orjson", "cryptography", "urllib3"}
LANGUAGE = {"pydantic", "ruamel"}
WITHOUT = {
    "mover": CLIENTS | LANGUAGE | {"rich"},
    "fmt": CLIENTS,
    "validate": CLIENTS,
}
"""Verb by verb; all others load whatever they like of these."""


def test_no_verb_loads_what_it_does_not_use_or_starts_a_process() -> None:
    first = [*WITHOUT, *sorted(VERBS.keys() - WITHOUT)]
    modules = ["reconciler.cli.main", *(VERBS[verb][0] for verb in first)]
    told = subprocess.run(
        [sys.executable, "-c", CODE, *modules], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert len(told) == len(modules)
    for verb, line in zip(["", *first], told, strict=True):
        _, *loaded = line.split()
        assert not (NEVER | WITHOUT.get(verb, set())) & set(loaded), verb


def test_what_reads_a_clone_loads_no_policies_keys_or_cluster() -> None:
    """Most of the time of a short command is its imports."""
    readers = [VERBS[verb][0] for verb in ("log", "show", "diff", "blame")]
    told = subprocess.run(
        [sys.executable, "-c", CODE, "reconciler.cli.main", *readers],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    loaded = set(told[-1].split())
    assert "yaml" in loaded
    assert not loaded & (NEVER | LANGUAGE | {"git", "cryptography", "orjson", "urllib3"})


def test_what_a_verb_loads_is_left_alone_by_the_collector() -> None:
    code = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000))\n"
        "sys.argv[1:] = ['fmt', '--help']\nfrom reconciler.cli.main import main\nmain()"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.splitlines()[-1] == "True True"


def test_a_pod_talks_to_its_api_server_without_the_official_client() -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom reconciler.adapters import kube, kubepod\n"
        "none = Path('none')\n"
        "kubepod.PodAccess('https://10.0.0.1:443', token=none, ca=none).pool()\n"
        "print('kubernetes' in sys.modules, 'urllib3' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout == "False True\n"
