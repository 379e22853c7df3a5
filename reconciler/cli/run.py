"""``backstay run``: starts a policy's run and follows it; inside the Job, executes it."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from reconciler import ports
from reconciler.adapters.agekeys import AgeSealer
from reconciler.adapters.movers import JobMover
from reconciler.capture import message
from reconciler.cli import finishing, options, wiring
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.follow import follow_job, start_job
from reconciler.engine.formername import check_former_name
from reconciler.engine.patience import Patience, insist
from reconciler.engine.run import RunResult, execute_run
from reconciler.engine.runlease import Busy
from reconciler.model import kinds, naming
from reconciler.model.config import Config
from reconciler.model.errors import Refused, UsageError
from reconciler.model.policy import Compiled, compiled_digest, load_compiled
from reconciler.model.run import Outcome, PolicyRef, Trigger
from reconciler.plan import clustername
from reconciler.plan.moverjob import MoverSettings
from reconciler.plan.reasons import tell_reasons
from reconciler.report.loglines import (
    RUN_ENDS,
    json_line,
    parse_line,
    render_line,
    run_document,
)

_EXIT = {Outcome.COMPLETED: 0, Outcome.SKIPPED: 0, Outcome.PARTIALLY_FAILED: 3, Outcome.FAILED: 1}
_MARGIN = 600
"""Seconds of a Job's life that are kept for recording and pushing what was reached."""
_DEFAULT_LIFE = 12 * 3600


@click.command(name="run", short_help="Run a policy now.")
@click.argument("policy")
@click.option(
    "--compiled", type=click.Path(path_type=Path), default=None,
    help="Execute in this process what this compiled policy says (inside a Job).",
)  # fmt: skip
@click.option(
    "--finish", metavar="LEASE", default="",
    help="End the hooks that a dead run of POLICY left open in a pod (the controller's Job does).",
)  # fmt: skip
@click.option("--no-follow", is_flag=True, help="Start the Job and return at once.")
@options.config_option
@options.kubeconfig_option
@options.context_option
@options.output_option
def command(
    policy: str, compiled: Path | None, finish: str, no_follow: bool, config_file: Path,
    kubeconfig: Path | None, context: str | None, output: str,
) -> int:  # fmt: skip
    """Run POLICY now: make a Job from its CronJob, as its schedule would, and follow it.

    The same as `kubectl create job --from=cronjob/backstay-POLICY`, with the outcome's exit
    code: 0 done or skipped, 1 failed, 3 partially failed, 10, 11, 12 for the repository.
    """
    if finish:
        return finishing.execute(policy, finish, kubeconfig, context)
    if compiled is not None:
        return _execute(policy, compiled, config_file)
    client = wiring.cluster(kubeconfig, context)
    clock, namespace = wiring.clock(), wiring.own_namespace()
    name = start_job(client, client, policy, namespace=namespace, now=clock.now())
    if no_follow:
        started = {"formatVersion": 1, "type": "runStart", "job": name}
        click.echo(json.dumps(started) if output == "json" else name)
        return 0
    tell, end = telling(name, output)
    code = follow_job(
        client, name, policy=policy, namespace=namespace, clock=clock,
        reporter=wiring.reporter(output), tell=tell,
    )  # fmt: skip
    end(code)
    return code


def telling(job: str, output: str) -> tuple[Callable[[str], None], Callable[[int], None]]:
    """(what tells a line of a pod, what tells the end with its exit code).

    Text is for people, all of it. As JSON the log is a stream on stderr, the end one document.
    """
    if output != "json":
        return (lambda line: click.echo(render_line(line)), lambda _: None)
    ends: list[Mapping[str, object]] = [{}]

    def tell(line: str) -> None:
        click.echo(json_line(line), err=True)
        entry = parse_line(line)
        if entry is not None and entry["event"] == RUN_ENDS:
            ends.append(entry)

    return tell, lambda code: click.echo(json.dumps(run_document(job, ends[-1], code)))


def _execute(policy: str, compiled_file: Path, config_file: Path) -> int:
    try:
        text = compiled_file.read_text(encoding="utf-8")
        compiled = load_compiled(text)
    except FileNotFoundError as error:
        raise UsageError(
            f"{compiled_file} is not there: this Job is of a version of policy {policy} whose"
            " ConfigMap was removed",
            hint="it stays 48 h after its last use; start a run of today's version: backstay run",
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{compiled_file} can't be read as a compiled policy: {error}",
            hint="the controller writes it into a ConfigMap; look at what is mounted there",
        ) from error
    if compiled.policy.name != policy:
        raise UsageError(f"{compiled_file} holds policy {compiled.policy.name}, not {policy}")
    config = wiring.load_config(config_file)
    reporter = wiring.reporter()
    client = wiring.cluster(None)
    clock = wiring.clock()
    with wiring.stop_on_signals() as stopped:
        patience = functools.partial(
            Patience, clock=clock, reporter=reporter, stopped=stopped.is_set
        )
        request = await_request(client, config, compiled, compiled_digest(text), patience, clock)
        reporter.event(
            "run starts", run=request.run_id, policy=policy, trigger=str(request.trigger)
        )
        resolve = wiring.resolver(client)
        opened = insist(
            lambda: wiring.manifest_store(config, resolve, writes=True),
            patience(what="reading the keys of the manifest store", deadline=request.deadline),
        )
        with opened as store:
            request = insist(
                functools.partial(check_former_name, request, store, reporter),
                patience(what="asking for the policy's former name", deadline=request.deadline),
            )
            world = RunPorts(
                sealer=AgeSealer(),
                reader=client,
                writer=client,
                store=store,
                mover=JobMover(client, client, MoverSettings.of(config)),
                keyring=wiring.keyring(config, resolve),
                reporter=reporter,
                clock=clock,
                execute=client.execute(),
            )
            try:
                result = execute_run(request, world, stopped=stopped.is_set)
            except Busy as busy:
                reporter.event(RUN_ENDS, run=request.run_id, outcome="Skipped", why=busy.message)
                return 0
    return _conclude(result, reporter)


def _conclude(result: RunResult, reporter: ports.Reporter) -> int:
    made = result.record
    outcome = made.outcome
    if not result.commit and outcome is Outcome.COMPLETED:
        outcome = Outcome.PARTIALLY_FAILED  # nothing is done before it is on the branch
    reporter.event(
        RUN_ENDS,
        run=made.name,
        outcome=str(outcome),
        commit=result.commit,
        objects=made.objects.captured,
        volumes=sum(len(found.volumes) for found in made.namespaces),
        why="; ".join(tell_reasons(made.namespaces)),
    )
    if result.error is not None:
        raise result.error
    if made.failure is not None:  # told by the pod before this one
        return made.failure.exit_code
    return _EXIT.get(made.outcome, 1)


def await_request(
    reader: ports.ClusterReader,
    config: Config,
    compiled: Compiled,
    digest: str,
    patience: Callable[..., Patience],
    clock: ports.Clock,
) -> RunRequest:
    """What the Job of this pod asks for, also where the API server is away as the pod starts.

    An error would be this run's end, and it has no record yet. Only the Job says how long it has.
    """
    until = clock.now() + timedelta(seconds=_DEFAULT_LIFE - _MARGIN)
    return insist(
        lambda: _make_request(reader, config, compiled, digest),
        patience(what="reading the Job of this run", deadline=until),
    )


def _make_request(
    reader: ports.ClusterReader, config: Config, compiled: Compiled, digest: str
) -> RunRequest:
    """Who this run is follows from its Job, so that a second pod of it is the same run."""
    namespace = wiring.own_namespace()
    name, pod = os.environ.get("BACKSTAY_JOB", ""), os.environ.get("BACKSTAY_POD", "")
    if not name or not pod:
        raise UsageError(
            "--compiled is for the inside of a Job: BACKSTAY_JOB and BACKSTAY_POD are not set",
            hint="without --compiled this command starts the Job and follows it",
        )
    job = reader.get(kinds.JOBS, name, namespace=namespace)
    if job is None:
        raise Refused(f"the Job {namespace}/{name} of this run is gone")
    clustername.check_job(job, config.cluster)
    metadata = job["metadata"]
    annotations = metadata.get("annotations") or {}
    _check_digest(compiled.policy.name, digest, annotations.get(naming.DIGEST, digest))
    started = datetime.fromisoformat(metadata["creationTimestamp"]).astimezone(UTC)
    life = int(job["spec"].get("activeDeadlineSeconds") or _DEFAULT_LIFE)
    return RunRequest(
        compiled=compiled,
        config=config,
        policy=PolicyRef(
            name=compiled.policy.name,
            revision=annotations.get(naming.REVISION, ""),
            digest=digest,
            source=annotations.get(naming.SOURCE, ""),
            renamed_from=compiled.policy.renamed_from or "",
        ),
        run_id=message.make_run_id(compiled.policy.name, started, metadata["uid"]),
        trigger=_trigger(annotations),
        started=started,
        deadline=started + timedelta(seconds=max(life - _MARGIN, life // 2)),
        namespace=namespace,
        pod=pod,
        writer=wiring.program(),
        job=name,
    )


def _check_digest(policy: str, found: str, named: str) -> None:
    """A ConfigMap is immutable, and yet it can be deleted and made anew with other data."""
    if found != named:
        raise UsageError(
            f"the policy {policy} that is mounted here ({found}) is not the one that this Job names"
            f" ({named}): somebody has made its ConfigMap anew",
            hint=f"delete it: kubectl -n {wiring.own_namespace()} delete configmap"
            f" {naming.configmap_name(policy, named)}; the controller's next cycle makes it again",
        )


def _trigger(annotations: Mapping[str, str]) -> Trigger:
    scheduled = "batch.kubernetes.io/cronjob-scheduled-timestamp" in annotations
    manual = annotations.get("cronjob.kubernetes.io/instantiate") == "manual"
    return Trigger.SCHEDULE if scheduled and not manual else Trigger.MANUAL
