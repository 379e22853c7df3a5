"""No secret where it does not belong (I3): a marker and every key are searched for, everywhere.

The runs here do all that could spill one: a good run, one with a wrong password, one whose storage
and one whose Git server is away, and a restore, with an image that logs each process it starts.
Every search proves itself: it finds what must be in its corpus, and the marker where it belongs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.capture import fingerprints
from reconciler.engine.secretstore import SECRETS_PATH
from tests.rig.cluster.providers import GIVEN
from tests.rig.image import Image
from tests.rig.stage import Stage, faults, searching
from tests.rig.stage.execlog import make_logging_image
from tests.rig.stage.health import page
from tests.rig.stage.logs import Heard, Listener
from tests.rig.stage.runs import Run
from tests.rig.stage.stage import CAPTURES, NAMESPACE, POLICIES

pytestmark = pytest.mark.skipif(
    bool(os.environ.get(GIVEN)), reason="reads the log files of nodes: the rig's own cluster only"
)
CORPORA = (
    "git",
    "logs",
    "pods",
    "jobs",
    "events",
    "objects",
    "command lines",
    "outputs",
    "metrics",
    "s3",
)
PAGES = {"metrics": "backstay_cycle_duration_seconds_count", "healthz": "ok"}
"""The controller's, and what must be on them."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the runs left behind, by kind of place, and what must not be in it."""

    secrets: Mapping[str, bytes]
    corpora: Mapping[str, Mapping[str, bytes]]
    heard: Heard
    run: Run
    """The good run."""

    def all_of(self, kind: str) -> bytes:
        """A corpus in one piece."""
        return b"\n".join(self.corpora[kind].values())

    def commands(self) -> list[dict[str, object]]:
        """What processes in pods left in their logs: {argv, env, code}."""
        lines = re.findall(rb'\{"argv": .*\}$', self.all_of("logs"), re.MULTILINE)
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def evidence(
    stage: Stage, first: Run, marker: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Evidence]:
    """Run, fail and restore with the logging image; leave the real one in its place."""
    folder = tmp_path_factory.mktemp("secrets")
    image = stage.image
    assert image is not None
    with Listener(stage, folder / "watched").listening() as listener:
        try:
            install(stage, make_logging_image(image, folder))
            run, outputs = all_that_could_spill(stage)
            yield collect(stage, marker, listener.heard(), run, outputs)
        finally:
            install(stage, image)


def install(stage: Stage, image: Image) -> None:
    """Puts another image in the place of the installation's."""
    stage.image = image
    stage.cluster.load_image(image.archive, image.name)
    stage.install()
    path = "jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].image}"
    cronjob = ("-n", NAMESPACE, "get", "cronjob", "backstay-shop", "-o", path)
    stage.wait("the CronJob has the image", lambda: stage.kubectl(*cronjob) == image.name)


def all_that_could_spill(stage: Stage) -> tuple[Run, dict[str, bytes]]:
    """Runs and a restore, each in its own way of ending; their output on this machine, too."""
    outputs = {}

    def keep(name: str, *args: str, code: int = 0) -> None:
        done = stage.backstay(*args, check=False)
        assert done.returncode == code, f"{name}: {done.stdout}{done.stderr}"
        outputs[name] = (done.stdout + done.stderr).encode()

    with faults.changed_password(stage):
        keep("a wrong password", "run", "shop", code=12)
    for name, away in ("storage", faults.s3_away), ("Git", faults.git_away):
        with away(stage):
            started = faults.start_run(stage)
            started.wait_for("trying again")
        outputs[f"no {name} for a while"] = started.finish().said.encode()
    keep("a good run", "run", "shop")
    run = Run(stage)
    keep("log", "log", "shop", "-o", "json")
    keep("show", "show", "run", run.record.name)
    stage.kubectl("-n", "shop", "delete", "secret", "db")
    keep("restore's plan", "restore", "shop", "--plan", "-o", "json")
    keep("restore", "restore", "shop", "--yes")
    return run, outputs


def collect(
    stage: Stage, marker: str, heard: Heard, run: Run, outputs: Mapping[str, bytes]
) -> Evidence:
    """Reads every place."""
    assert stage.s3 is not None
    pages = {name: told(stage, name, words) for name, words in PAGES.items()}
    kinds = "configmaps,cronjobs,jobs,leases,events,deployments,serviceaccounts,pods,backuppolicies"
    versions = {kind: text for kind, text in heard.watched.items() if kind != "secrets"}
    return Evidence(
        secrets=secrets_of(stage, marker),
        corpora={
            "git": {
                name: searching.git_objects(stage.sshd.path(name)) for name in (POLICIES, CAPTURES)
            },
            "logs": heard.logs,
            **{kind: {kind: text} for kind, text in versions.items()},
            "objects": {
                namespace: stage.kubectl("-n", namespace, "get", kinds, "-o", "json").encode()
                for namespace in (NAMESPACE, "shop")
            },
            "command lines": {"on this machine": (stage.folder / "exec.log").read_bytes()},
            "outputs": outputs,
            "metrics": pages,
            "s3": {str(path): path.read_bytes() for path in stage.s3.data_files()},
        },
        heard=heard,
        run=run,
    )


def told(stage: Stage, name: str, words: str) -> bytes:
    """A page of the controller that has these words: the one that was seen, asked for once."""

    def seen() -> str:
        text = page(stage, name)
        return text if words in text else ""

    return str(stage.wait(f"{name} tells {words}", seen, seconds=600)).encode()


def secrets_of(stage: Stage, marker: str) -> dict[str, bytes]:
    """Everything that nobody else may see: the application's value, and all our keys."""
    assert stage.s3 is not None
    git = stage.folder / "credentials" / "git"
    master = (stage.folder / "credentials" / "restic-main" / "RESTIC_PASSWORD").read_bytes()
    found = {
        "the marker": marker.encode(),
        "the master password": master,
        "the key of fingerprints": fingerprints.fingerprint_key(master, stage.name),
        "the storage's secret key": stage.s3.writer.secret_key.encode(),
    }
    for namespace in ("shop", "_cluster"):
        word = fingerprints.repository_password(master, stage.name, namespace)
        found[f"the password of {namespace}"] = word.encode()
    for number, line in enumerate(searching.key_lines((git / "identity").read_bytes())):
        found[f"line {number} of the SSH key"] = line
    return found


@pytest.mark.parametrize("kind", CORPORA)
def test_no_secret_is_in(evidence: Evidence, kind: str) -> None:
    assert searching.find(evidence.secrets, evidence.corpora[kind]) == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("git", [b"Backstay-Run: ", b"Backstay-Outcome: Failed", b"kind: BackupPolicy"]),
        ("logs", [b'"event":', b'{"backstayMover":1', b"wrong password", b"connection refused"]),
        ("pods", [b'"message": "{\\"backstayMover\\":1']),
        ("jobs", [b'"backstay.dev/claim": "files"']),
        ("events", [b'"reason": "SuccessfulCreate"', b'"reportingComponent": "backstay.dev/']),
        ("objects", [b'"policy.json"']),
        ("command lines", [b'{"argv": ["git"']),
        ("outputs", [b"restored", b"run ends"]),
        ("metrics", [words.encode() for words in PAGES.values()]),
        # restic's keys are JSON: so the server stores objects as they come, not compressed.
        ("s3", [b'"kdf":"scrypt"']),
    ],
)
def test_what_must_be_there_is_found(evidence: Evidence, kind: str, words: list[bytes]) -> None:
    assert [word for word in words if word not in evidence.all_of(kind)] == []


def test_the_logs_of_every_pod_are_there(evidence: Evidence) -> None:
    began = {
        (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in evidence.heard.objects("pods")
        if "backstay.dev/component" in pod["metadata"].get("labels", {})
        for status in pod["status"].get("containerStatuses", ())
        if "waiting" not in status["state"]
    }
    movers = {name for namespace, name in began if namespace == "shop"}
    runs = {name for namespace, name in began if namespace == NAMESPACE}
    assert len(movers) >= 2 * 3
    assert len(runs) >= 4
    assert movers <= evidence.heard.pods_with_logs("shop")
    assert runs <= evidence.heard.pods_with_logs(NAMESPACE)


def test_every_process_of_a_pod_is_logged(evidence: Evidence) -> None:
    programs = {Path(str(argv[0])).name for argv in arguments(evidence)}
    assert {"git", "restic"} <= programs
    verbs = {word for argv in arguments(evidence) for word in argv}
    assert {"push", "fetch", "fast-import", "backup", "cat"} <= verbs
    variables = {name for command in evidence.commands() for name in names_of(command)}
    assert "RESTIC_PASSWORD" in variables


def test_no_program_is_given_what_another_one_needs(evidence: Evidence) -> None:
    """Names of variables: git has none of the storage, and restic none of Git."""
    others = {"git": ("RESTIC_", "AWS_"), "restic": ("GIT_", "SSH_")}
    for command in evidence.commands():
        program = Path(str(found(command["argv"])[0])).name
        given = names_of(command)
        assert [name for name in given if name.startswith(others.get(program, ("RESTIC_",)))] == []


def arguments(evidence: Evidence) -> list[list[str]]:
    """argv of each process."""
    return [[str(word) for word in found(command["argv"])] for command in evidence.commands()]


def names_of(command: Mapping[str, object]) -> list[str]:
    """Names of the variables that a process was given."""
    return [str(name) for name in found(command["env"])]


def found(value: object) -> list[object]:
    """A list of the log, whose lines are only known to be JSON."""
    assert isinstance(value, list)
    return value


def test_the_search_finds_secrets_where_they_belong(stage: Stage, evidence: Evidence) -> None:
    live = stage.kubectl("-n", "shop", "get", "secret", "db", "-o", "json").encode()
    kept = evidence.run.record.secrets
    assert kept is not None
    assert kept.snapshot is not None
    dump = stage.restic_output("_cluster", "dump", kept.snapshot, SECRETS_PATH)
    own = stage.kubectl("-n", NAMESPACE, "get", "secrets", "-o", "json").encode()
    movers = b"\n".join(
        json.dumps(secret).encode()
        for secret in evidence.heard.objects("secrets")
        if secret["metadata"].get("labels", {}).get("backstay.dev/component") == "credentials"
    )
    held = {"live": live, "dump": dump, "own": own, "movers": movers}
    hits = searching.find(evidence.secrets, held)
    assert {"the marker in live", "the marker in dump"} <= set(hits)
    assert {"the master password in own", "the storage's secret key in own"} <= set(hits)
    assert {"line 0 of the SSH key in own", "the password of shop in movers"} <= set(hits)
    # By design a mover gets its own repository's password: no other one, and not the master's.
    in_movers = {what for what in evidence.secrets if f"{what} in movers" in hits}
    assert in_movers == {"the password of shop", "the storage's secret key"}
