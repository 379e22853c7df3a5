"""I3: more than two hundred secrets are planted, all is run that could spill one, none is found.

Runs, failures and restores have a real git and a real restic; logging is as loud as it goes, and
each process leaves its arguments and the names of its variables in a log. The cluster tier does it
with fewer secrets and real pods (tests/cluster/test_secrets.py).
"""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from reconciler import ports
from reconciler.adapters.agekeys import AgeOpener, AgeSealer
from reconciler.adapters.gitlocal import LocalManifests
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.adapters.loglines import JsonLines
from reconciler.adapters.resticrepo import ResticRepository
from reconciler.capture import canonical, fingerprints
from reconciler.cli.main import run as backstay
from reconciler.engine.drift import find_drift
from reconciler.engine.hookoutput import Output
from reconciler.engine.reading import PointFinder, Wanted
from reconciler.engine.secretstore import SECRETS_PATH
from reconciler.model.errors import BackstayError
from reconciler.model.objects import Resource
from reconciler.model.policy import ClusterScoped, Manifests, ObjectSelector, SecretsMode, Selector
from reconciler.model.redaction import Redact
from reconciler.model.run import Outcome
from reconciler.model.volumes import RepositoryAccess
from reconciler.plan.pointnames import PointName
from tests.fakes.faults import FaultyReader
from tests.fakes.keyring import MASTER, FakeKeyring
from tests.fakes.kubekinds import kind
from tests.fakes.reporter import FakeReporter
from tests.integration.engine.git_world import GitWorld
from tests.rig import cheapkeys, tools
from tests.rig.stage import searching
from tests.system.engine.canaries import OWN_RULES, WHOLE_VERSIONS, Canaries
from tests.unit.engine.run_world import CLUSTER, RUN_IDS, Crash, manifest

PLACES = ("git", "logs", "command lines", "errors", "outputs", "files", "cluster")
MODES = tuple(SecretsMode)
COLOUR = "captured-in-clear-0815"
"""Not a secret: it shows that each place is truly searched."""


class RealSecrets(FakeKeyring):
    """Keys as ever; the repository of Secrets is a real restic's, in a folder."""

    folder: Path

    def backend(self, access: RepositoryAccess) -> ports.VolumeBackend:
        """As the port says."""
        if access.namespace != "_cluster":
            return super().backend(access)
        return ResticRepository(
            replace(access, url=str(self.folder / "restic")),
            cache_dir=self.folder / "cache",
            binary=str(tools.restic_path()),
            patience=1.0,
        )


class Loud(FakeReporter):
    """Tells everything twice: as the fake keeps it, and as lines of JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = io.StringIO()
        self._lines = JsonLines(stream=self.stream)

    def event(self, message: str, **fields: object) -> None:
        """As the port says."""
        super().event(message, **fields)
        self._lines.event(message, **fields)

    def warning(self, message: str, **fields: object) -> None:
        """As the port says."""
        super().warning(message, **fields)
        self._lines.warning(message, **fields)


@dataclass
class Evidence:
    """What is left of all that was done with one mode."""

    canaries: Canaries
    world: GitWorld
    keyring: RealSecrets
    identity: str
    """The private key of whoever restores."""
    folder: Path
    log: Loud
    errors: list[str] = field(default_factory=list)
    outputs: dict[str, bytes] = field(default_factory=dict)

    def secrets(self) -> dict[str, bytes]:
        """All that was planted, and the keys that everything is made of."""
        master = MASTER.encode()
        words = {"master": master, "fingerprints": fingerprints.fingerprint_key(master, CLUSTER)}
        for namespace in ("_cluster", "shop"):
            words[namespace] = fingerprints.repository_password(master, CLUSTER, namespace).encode()
        words["age"] = self.identity.encode()
        return {**self.canaries.planted, **words}

    def corpus(self, place: str) -> Mapping[str, bytes]:
        """Every byte of one kind of place."""
        if place == "git":
            repositories = {one.parent for one in self.folder.rglob("HEAD") if one.is_file()}
            return {
                str(one): searching.git_objects(one)
                for one in repositories
                if (one / "objects").is_dir()
            }
        if place == "logs":
            return {
                "events": self.log.text().encode(),
                "lines": self.log.stream.getvalue().encode(),
            }
        if place == "command lines":
            return {"all": (self.folder / "exec.log").read_bytes()}
        if place == "errors":
            return {str(number): text.encode() for number, text in enumerate(self.errors)}
        if place == "outputs":
            return self.outputs
        if place == "files":
            files = (one for one in self.folder.rglob("*") if one.is_file())
            return {str(one): one.read_bytes() for one in files}
        ours = [one for one in self.world.cluster.all() if is_ours(one)]
        return {"ours": repr((ours, self.world.cluster.writes)).encode()}


def is_ours(raw: Mapping[str, Any]) -> bool:
    return "backstay.dev/component" in (raw["metadata"].get("labels") or {})


@pytest.fixture(scope="module", params=MODES, ids=str)
def evidence(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Evidence]:
    """Everything that may spill a secret, once per mode."""
    folder = tmp_path_factory.mktemp("canaries")
    (folder / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSTAY_EXEC_LOG", str(folder / "exec.log"))
        patch.setenv("TMPDIR", str(folder / "tmp"))
        found = begin(folder, request.param)
        try:
            run_everything(found)
            yield found
        finally:
            for store in found.world.opened:
                store.close()


def begin(folder: Path, mode: SecretsMode) -> Evidence:
    """A world full of canaries."""
    world = GitWorld(folder)
    world.keyring = keyring = RealSecrets(world.storage, CLUSTER)
    keyring.folder = folder
    world.log = log = Loud()
    selector = Selector(
        namespaces=world.policy.selector.namespaces,
        objects=ObjectSelector(cluster_scoped=ClusterScoped.ALL),
    )
    identity = pyrage.x25519.Identity.generate()
    recipients = (str(identity.to_public()),) if mode is SecretsMode.SOPS else ()
    manifests = Manifests(mode, recipients=recipients, redact=Redact(rules=OWN_RULES))
    world.policy = replace(world.policy, manifests=manifests, selector=selector)
    world.cluster.serve(
        Resource(
            group="example.org", version="v1", kind="Broker", plural="brokers", namespaced=True
        )
    )
    canaries = Canaries()
    canaries.plant(world.cluster)
    world.cluster.put(manifest("ConfigMap", "clear", data={"colour": COLOUR}))
    world.cluster.remove(manifest("Secret", "db"))
    return Evidence(canaries, world, keyring, str(identity), folder, log)


def run_everything(found: Evidence) -> None:
    """Runs that end well, badly and not at all; comparisons, restores, reading back."""
    world = found.world
    sealer = AgeSealer()
    world.run(1, sealer=sealer)
    password = fingerprints.repository_password(MASTER.encode(), CLUSTER, "_cluster")
    cheapkeys.cheapen(found.folder / "restic", password)
    change_half(world)
    faulty = FaultyReader(world.cluster, lambda kind, _: kind.kind in ("ConfigMap", "Secret"))
    assert world.run(2, reader=faulty, sealer=sealer).record.outcome is Outcome.PARTIALLY_FAILED
    with contextlib.suppress(Crash):
        dying = world.git_store()
        dying.__class__ = Dying
        world.run(3, store=dying, sealer=sealer)
    wrong = {"restic-main": "x" * 40}
    failing(found, "a wrong password", lambda: world.run(4, sealer=sealer), wrong)
    world.run(5, sealer=sealer)
    compare(found)
    read_back(found)
    output = Output()
    for name in ("password", "token", "api_key", "Authorization: Bearer"):
        output.take(f"{name}={found.canaries.make(f'hook output {name}')}\n".encode())
    output.tell(world.log, hook="quiesce")
    world.lose_shop()
    for shared in ("StorageClass", "ValidatingWebhookConfiguration"):
        for one in world.cluster.all(shared):
            world.cluster.remove(one)
    failing(found, "a restore", lambda: world.restored("latest"), wrong)
    plan = world.restore().plan()
    found.outputs["plan"] = repr(plan).encode()
    opener = AgeOpener({"SOPS_AGE_KEY": found.identity})
    world.restore(opener=opener).execute(plan)
    world.run(6, sealer=sealer)


class Dying(GitManifestStore):
    """The process ends before its push."""

    def push(self, tips: Mapping[str, str]) -> None:
        """Never."""
        del tips
        raise Crash


def change_half(world: GitWorld) -> None:
    """Another value of each second object, so that there is a difference to tell."""
    for changed in ("ConfigMap", "Deployment", "Broker"):
        for one in world.cluster.all(changed)[::2]:
            world.cluster.edit(one, lambda raw: raw["metadata"].update(labels={"changed": "yes"}))


def failing(found: Evidence, what: str, act: Any, masters: dict[str, str]) -> None:
    """What goes wrong, with everything that it says."""
    before = dict(found.keyring.masters)
    found.keyring.masters = masters
    try:
        done = act()
        found.errors.append(f"{what}: {done!r}")
    except BackstayError as error:
        found.errors.append(f"{what}: {error!r} {error} {error.hint} {error.__cause__!r}")
    finally:
        found.keyring.masters = before


def compare(found: Evidence) -> None:
    """The cluster with the newest point, with its key and without."""
    world = found.world
    key = found.keyring.fingerprint_key(secret="restic-main", url="")
    for one in world.cluster.all("ConfigMap"):
        world.cluster.edit(one, lambda raw: raw.setdefault("data", {}).update(more="new"))
    with LocalManifests(world.server) as store:
        point = PointFinder(store, CLUSTER).find(PointName("shop", "latest"))
        for given in (key, None):
            drift = find_drift(store, point, world.cluster, Wanted(), given)
            assert drift.changes
            found.outputs[f"drift, key: {given is not None}"] = repr(drift).encode()


def read_back(found: Evidence) -> None:
    """What a person's commands print of it, as data and as text."""
    clone = str(found.world.clone())
    blame = ["blame", "shop", "deployment.apps", "texts", "--policy", "shop"]
    shown = ["show", "run", RUN_IDS[4]]
    commands = (["log", "shop"], ["diff", RUN_IDS[0], RUN_IDS[4]], shown, ["verify", "shop"], blame)
    for words in commands:
        for form in ("json", "text"):
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = backstay([*words, "--clone", clone, "-o", form])
            found.outputs[f"{words[0]} {form} {code}"] = said.getvalue().encode()


@pytest.mark.parametrize("place", PLACES)
def test_i3_no_planted_secret_is_in(evidence: Evidence, place: str) -> None:
    assert len(evidence.canaries.planted) >= 200
    assert searching.find(evidence.secrets(), evidence.corpus(place)) == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("git", [COLOUR, "hmac-sha256:", "Backstay-Outcome: Failed", "rule: policy/codes"]),
        ("logs", ["run failed", '"event": "capturing"', "hook says", "restored"]),
        ("command lines", ["fast-import", "push", "backup", "RESTIC_PASSWORD"]),
        ("errors", ["a wrong password", "a restore"]),
        ("outputs", [RUN_IDS[0], "RestorePlan", "ObjectChange", "configmap/clear"]),
        ("files", ["RESTIC_PASSWORD"]),
        ("cluster", ["Lease"]),
    ],
)
def test_every_place_was_truly_searched(evidence: Evidence, place: str, words: list[str]) -> None:
    everything = b"\n".join(evidence.corpus(place).values())
    assert [word for word in words if word.encode() not in everything] == []


def test_what_is_kept_is_in_restic_and_came_back(evidence: Evidence) -> None:
    """The same search finds them where they belong."""
    access = evidence.keyring.access(
        name="main", secret="restic-main", url="restic", namespace="_cluster"
    )
    backend = evidence.keyring.backend(access)
    newest = max(backend.snapshots(), key=lambda snapshot: snapshot.time)
    held = b"".join(backend.read_file(newest.id, SECRETS_PATH))
    live = repr(evidence.world.cluster.all()).encode()
    mode = evidence.world.policy.manifests.secrets
    planted = evidence.canaries.planted
    kept = {what: secret for what, secret in planted.items() if not dropped(what)}
    of_secrets = {what: kept[what] for what in kept if what in evidence.canaries.of_secrets}
    others = {what: kept[what] for what in kept if what not in of_secrets}
    assert len(others) >= 150
    in_restic = kept if mode is SecretsMode.RESTIC else others
    in_cluster = others if mode is SecretsMode.OMIT else kept
    for place, wanted in ((held, in_restic), (live, in_cluster)):
        assert searching.find(kept, {"there": place}) == [f"{what} in there" for what in wanted]


def dropped(what: str) -> bool:
    """What no capture keeps: whole earlier versions, a status, what hooks said."""
    return (
        what.endswith((*WHOLE_VERSIONS, "status"))
        or what.startswith("hook output")
        # Compressed, or encoded three times: no search sees it.
        or what in ("Helm's values", "a registry")
    )


@pytest.mark.parametrize("form", sorted(searching.forms_of(b"planted-in-clear-4711")))
def test_the_search_finds_what_is_captured_in_clear(tmp_path: Path, form: bytes) -> None:
    """Put under a name that no rule knows, in each form that it might leave in."""
    secret = {"leak": b"planted-in-clear-4711"}
    repository = tmp_path / "server.git"
    subprocess.run(["git", "init", "--quiet", "--bare", repository], check=True)
    raw = manifest("ConfigMap", "x", data={"colour": f"before {form.decode()} behind"})
    captured = canonical.capture_object(raw, kind("ConfigMap"), fingerprint_key=bytes(32))
    assert isinstance(captured, canonical.Captured)
    # Nothing refers to it: the search sees what a fetch would not bring.
    store = ["git", "-C", str(repository), "hash-object", "-w", "--stdin"]
    subprocess.run(store, input=captured.text, check=True, capture_output=True)
    corpus = {"git": searching.git_objects(repository)}
    assert searching.find(secret, corpus) == ["leak in git"]
    raw["data"]["password"] = raw["data"].pop("colour")
    hidden = canonical.capture_object(raw, kind("ConfigMap"), fingerprint_key=bytes(32))
    assert isinstance(hidden, canonical.Captured)
    assert searching.find(secret, {"text": hidden.text}) == []
