"""One installation: servers, image, Secrets, Config, and the commands that a person would type."""

from __future__ import annotations

import http
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from reconciler.capture import fingerprints
from tests.rig import cheapkeys
from tests.rig.cluster import paths
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.lifecycle import api_of
from tests.rig.cluster.providers import Built, Cluster
from tests.rig.gate import Gate, make_folder, make_image
from tests.rig.image import Image, ensure_image
from tests.rig.servers import s3objects, seaweedfs
from tests.rig.servers.sshd import Sshd
from tests.rig.stage.detours import Detours
from tests.rig.tools import restic_path

NAMESPACE = "backstay-system"
BUCKET = "backups"
POLICIES, CAPTURES = "policies", "captures"
_REPOSITORY = paths.REPOSITORY
_TRIES = 30
"""How often the API server is asked for the same, a second apart, when it does not answer."""
_BACKSTAY = Path(sys.executable).parent / "backstay"


class Stage:
    """An installation of Backstay named ``name`` on ``cluster``, kept below ``folder``.

    With a ``gate`` every git, restic and backstay of it, in pods and here, stands behind a shim.
    Its servers die with this process unless they are to be ``lasting``.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *,
        name: str = "demo",
        gate: Gate | None = None,
        lasting: bool = False,
    ) -> None:
        self.cluster = cluster
        self.folder = folder
        self.name = name
        self.gate = gate
        self.detours: Detours | None = None
        self.image: Image | None = None
        self._tied = not lasting
        self._opened: dict[str, dict[str, str]] = {}
        """Namespace → what `backstay password` said of its repository: it stays as it is."""
        self.sshd = Sshd(folder / "sshd", address=cluster.host_address, tied=self._tied)
        self.s3: seaweedfs.SeaweedFS | None = None
        self.config = folder / "backstay.yaml"

    # -- setting up ------------------------------------------------------------------------------

    def start_servers(self) -> None:
        """sshd with two bare repositories, and S3."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sshd.start()
        for repository in (POLICIES, CAPTURES):
            self.sshd.create(repository)
        place = self.folder / "s3"
        self.s3 = seaweedfs.start(place, address=self.cluster.host_address, tied=self._tied)

    def share_servers(self, other: Stage) -> None:
        """Uses those of another stage, whose cluster's host address this one's pods must reach."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sshd, self.s3 = other.sshd, other.s3

    def start_proxies(self) -> Detours:
        """Lets all that Backstay does with this cluster, S3 and captures pass a proxy.

        Pods meet the API server by it if there is a gate, too. To be called between
        `start_servers` and `load_image`.
        """
        if self.s3 is None:
            raise RigError("the stage's servers do not run")
        self.detours = Detours.start(self.cluster, self.folder / "proxies", self.s3, self.sshd)
        return self.detours

    def load_image(self) -> Image:
        """Builds the image from this tree and puts it on the nodes; with a gate, the test image."""
        self.image = ensure_image()
        if self.gate is not None:
            place, api = self.gate.place, self.detours.api.place if self.detours else ""
            self.image = make_image(self.image, self.folder, gate=place, api=api)
            make_folder(self._shims, gate=place)
        self.cluster.load_image(self.image.archive, self.image.name)
        return self.image

    def install(self) -> None:
        """Secrets, then `kubectl apply -k`, as deploy/README.md says."""
        self._write_credentials()
        self._write_config()
        if not self._exists("namespace", NAMESPACE):
            self.kubectl("create", "namespace", NAMESPACE)
        for name, folder in (
            ("backstay-policy-git", "git"),
            ("backstay-manifest-git", "git"),
            ("restic-main", "restic-main"),
        ):
            self.make_secret(name, self.folder / "credentials" / folder)
        prefix = f"backstay.dev/url-prefix={self.repository_prefix}"
        self.kubectl("-n", NAMESPACE, "annotate", "--overwrite", "secret", "restic-main", prefix)
        self.kubectl("apply", "-k", str(self._overlay()))
        rolled = ("rollout", "status", "deploy/backstay-controller", "--timeout=600s")
        self.kubectl("-n", NAMESPACE, *rolled, timeout=630)

    def make_secret(self, name: str, folder: Path) -> None:
        """A Secret with one key per file of ``folder``, made or changed."""
        made = self.kubectl(
            "-n", NAMESPACE, "create", "secret", "generic", name,
            f"--from-file={folder}", "--dry-run=client", "-o", "yaml",
        )  # fmt: skip
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=made)

    def stop(self) -> None:
        """Ends the servers; the folder stays."""
        try:
            if self.detours is not None:
                self.detours.stop()
        finally:
            self.sshd.stop()
            if self.s3 is not None:
                self.s3.stop()

    @staticmethod
    def stop_servers_in(folder: Path) -> None:
        """Ends the servers that a stage in this folder started, whoever that was."""
        Sshd(folder / "sshd").stop()
        s3 = seaweedfs.load(folder / "s3")
        if s3 is not None:
            s3.stop()

    @property
    def repository_prefix(self) -> str:
        """What every restic URL of this stage begins with."""
        if self.s3 is None:
            raise RigError("the stage's servers do not run")
        return (self.detours.s3 if self.detours else self.s3).repository(BUCKET) + "/"

    @property
    def captures_url(self) -> str:
        """The manifest repository, as Backstay is told."""
        return self.sshd.url(CAPTURES, by=self.detours.ssh.place if self.detours else "")

    def _write_credentials(self) -> None:
        if self.s3 is None:
            raise RigError("the stage's servers do not run")
        git = self.folder / "credentials" / "git"
        restic = self.folder / "credentials" / "restic-main"
        for folder in (git, restic):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        by = self.detours.ssh.place if self.detours else ""
        for key, value in self.sshd.secret(by=by).items():
            _write_private(git / key, value)
        for key, text in self.s3.writer.environment().items():
            _write_private(restic / key, text.encode())
        if not (restic / "RESTIC_PASSWORD").exists():
            _write_private(restic / "RESTIC_PASSWORD", secrets.token_hex(32).encode())

    def _config(self, **credentials: Mapping[str, Any]) -> dict[str, Any]:
        if self.image is None:
            raise RigError("the stage has no image")
        return {
            "apiVersion": "backstay.dev/v1alpha1",
            "kind": "Config",
            "cluster": {"name": self.name},
            "policySource": {
                "url": self.sshd.url(POLICIES),
                "ref": "main",
                "path": "policies",
                "interval": "5s",
                **credentials["policy"],
            },
            "manifestStore": {"url": self.captures_url, **credentials["manifest"]},
            "image": self.image.name,
            "sharedKeyInTenants": True,
        }

    def _write_config(self) -> None:
        """The laptop's Config: the same, with folders in place of Secrets."""
        git = {"file": str(self.folder / "credentials" / "git")}
        config = self._config(policy=git, manifest=git)
        config["secrets"] = {"restic-main": {"file": str(self.folder / "credentials/restic-main")}}
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def _overlay(self) -> Path:
        """A folder for `kubectl apply -k`, beside a copy of the base."""
        if self.image is None:
            raise RigError("the stage has no image")
        deploy = self.folder / "deploy"
        shutil.rmtree(deploy, ignore_errors=True)
        shutil.copytree(_REPOSITORY / "deploy", deploy)
        overlay = deploy / "stage"
        overlay.mkdir()
        config = self._config(
            policy={"secretRef": {"name": "backstay-policy-git"}},
            manifest={"secretRef": {"name": "backstay-manifest-git"}},
        )
        (overlay / "backstay.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        example = yaml.safe_load((deploy / "examples/small/kustomization.yaml").read_text())
        example["resources"] = ["../base"]
        image, _, tag = self.image.name.rpartition(":")
        example["images"][0] |= {"newName": image, "newTag": tag}
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(example, sort_keys=False))
        return overlay

    # -- what a person types ---------------------------------------------------------------------

    def kubectl(self, *args: str, stdin: str = "", timeout: float = 400) -> str:
        """kubectl on this cluster."""
        return self.cluster.kubectl(*args, input=stdin, timeout=timeout)

    def objects(self, *args: str) -> list[dict[str, Any]]:
        """`kubectl get … -o json`, as a list."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *args, "-o", "json"))
        items: list[dict[str, Any]] = found.get("items", [found])
        return items

    def look(self, path: str) -> dict[str, Any]:
        """What the API server gives at a path; RigError if it does not.

        For what is asked again and again: a kubectl that starts takes a tenth of a second of CPU.
        """
        if not isinstance(self.cluster.provider, Built):
            return dict(json.loads(self.kubectl("get", "--raw", path)))
        api = api_of(self.cluster.provider.instance)
        for _ in range(_TRIES):
            code, found = api.request("GET", path)
            if code == http.HTTPStatus.OK:
                return found
            if code != 0 and code < http.HTTPStatus.TOO_MANY_REQUESTS:
                break  # its word; else it has too much to do, or just started
            time.sleep(1)
        raise RigError(f"GET {path}: {code} {found.get('message', '')}")

    def backstay(
        self, *args: str, stdin: str = "", check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """The command on this machine, with the laptop's Config and this cluster."""
        done = subprocess.run(
            [self.program, *args],
            input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
            env=self.environment(), cwd=self.folder,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise RigError(f"backstay {' '.join(args)}: exit {done.returncode}", hint=done.stderr)
        return done

    @property
    def program(self) -> str:
        """The command on this machine, for those who start it themselves with `environment`."""
        return str(_BACKSTAY if self.gate is None else self._shims / "backstay")

    @property
    def _shims(self) -> Path:
        return self.folder / "shims"

    def environment(self) -> dict[str, str]:
        """What the command gets: this cluster, a home of its own, the restic of the image."""
        shims = "" if self.gate is None else f"{self._shims}:{_BACKSTAY.parent}:"
        return {
            "PATH": f"{shims}{restic_path().parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "LC_ALL": "C.UTF-8",
            "BACKSTAY_EXEC_LOG": str(self.folder / "exec.log"),
        }

    def push_policies(self, files: Mapping[str, str], message: str = "Change policies") -> str:
        """Commits exactly these files below policies/ and pushes them over SSH; the commit's id."""
        clone = self._clone(POLICIES)
        folder = clone / "policies"
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        self.git("add", "--all", cwd=clone)
        self.git("commit", "--quiet", "--allow-empty", "-m", message, cwd=clone)
        self.git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
        return self.git("rev-parse", "HEAD", cwd=clone).strip()

    def clone_captures(self) -> Path:
        """A fresh clone of the manifest repository, as `backstay log --clone` takes it."""
        clone = self.folder / "clones" / f"captures-{secrets.token_hex(3)}"
        self.git("clone", "--quiet", "--no-checkout", self.sshd.url(CAPTURES), str(clone))
        return clone

    def _clone(self, repository: str) -> Path:
        clone = self.folder / "clones" / repository
        if not clone.exists():
            clone.parent.mkdir(parents=True, exist_ok=True)
            self.git("init", "--quiet", "--initial-branch=main", str(clone))
            self.git("remote", "add", "origin", self.sshd.url(repository), cwd=clone)
            # So that a person who plays with the demo need not say where to push to.
            self.git("config", "branch.main.remote", "origin", cwd=clone)
            self.git("config", "branch.main.merge", "refs/heads/main", cwd=clone)
        return clone

    def git(self, *args: str, cwd: Path | None = None) -> str:
        """git as a person has it set up for this server."""
        git = self.folder / "credentials" / "git"
        ssh = (
            f"ssh -F /dev/null -i {git / 'identity'} -o IdentitiesOnly=yes -o BatchMode=yes"
            f" -o UserKnownHostsFile={git / 'known_hosts'} -o StrictHostKeyChecking=yes"
        )
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
               for part, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))}  # fmt: skip
        done = subprocess.run(
            ["git", *args], cwd=cwd, capture_output=True, text=True, check=False, timeout=400,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_SSH_COMMAND": ssh,
                 "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", **who},
        )  # fmt: skip
        if done.returncode != 0:
            raise RigError(f"git {' '.join(args)}: exit {done.returncode}", hint=done.stderr)
        return done.stdout

    def restic(self, namespace: str, *args: str) -> Any:
        """Plain restic on a namespace's repository, with the password that `backstay` prints."""
        return json.loads(self.restic_output(namespace, "--json", *args))

    def restic_output(self, namespace: str, *args: str) -> bytes:
        """The same, for commands whose output is no JSON."""
        if namespace not in self._opened:
            told = self.backstay("password", namespace, "-o", "json").stdout
            self._opened[namespace] = json.loads(told)
        said = self._opened[namespace]
        if self.s3 is None:
            raise RigError("the stage's servers do not run")
        done = subprocess.run(
            [str(restic_path()), "--no-cache", *args],
            capture_output=True, check=True, timeout=400,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder),
                 "RESTIC_REPOSITORY": said["url"], "RESTIC_PASSWORD": said["password"],
                 **self.s3.writer.environment()},
        )  # fmt: skip
        return done.stdout

    def cheapen_keys(self, *namespaces: str) -> None:
        """Takes the work out of checking these repositories' passwords (see `cheapkeys`)."""
        if self.s3 is None:
            raise RigError("the stage's servers do not run")
        master = (self.folder / "credentials" / "restic-main" / "RESTIC_PASSWORD").read_bytes()
        for namespace in namespaces:
            password = fingerprints.repository_password(master, self.name, namespace)
            for key in s3objects.keys(self.s3, BUCKET, f"{self.name}/{namespace}/keys/"):
                cheapkeys.cheapen_object(self.s3, BUCKET, key, password)

    # -- waiting ---------------------------------------------------------------------------------

    def wait(
        self, what: str, ready: Callable[[], Any], *, seconds: float = 300, every: float = 0.3
    ) -> Any:
        """Polls until ``ready`` returns something true; RigError with what was waited for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = ready()
            if found:
                return found
            time.sleep(every)
        raise RigError(f"after {seconds:.0f} s still not: {what}")

    def _exists(self, kind: str, name: str) -> bool:
        return bool(self.kubectl("get", kind, name, "--ignore-not-found", "-o", "name").strip())

    def exists(self, kind: str, name: str, namespace: str = NAMESPACE) -> bool:
        """Whether an object is there."""
        args = ("-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "name")
        return bool(self.kubectl(*args).strip())


def _write_private(path: Path, data: bytes) -> None:
    path.touch(0o600)
    path.chmod(0o600)
    path.write_bytes(data)
