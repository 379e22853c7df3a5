"""What the cluster says of a policy in its object's status: the same for kubectl and for programs.

Seconds are integers, times UTC. Conditions follow kstatus: `Ready` always, `Reconciling` and
`Stalled` only while they are true.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from reconciler.policy import fields
from reconciler.policy.parts import Part

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Count = Annotated[int, Field(ge=0)]


class ConditionPart(Part):
    """One aspect of the policy's state, as Kubernetes' own conditions."""

    type: Annotated[str, Field(max_length=316)]
    """`Ready`: its schedule is in the cluster as its policy asks for. `Reconciling`: it is being
    made so. `Stalled`: somebody must change something; the message has the line to change."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    observed_generation: Count | None = None
    """The generation of the object that this was said of."""
    last_transition_time: Time
    """When the status changed."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """One word in CamelCase, for programs."""
    message: Annotated[str, Field(max_length=32768)]
    """A sentence, for people."""


class LastRunPart(Part):
    """The newest run that ended."""

    name: Annotated[str, Field(max_length=253)]
    """Its run id, for `backstay show run`."""
    outcome: Literal["Completed", "PartiallyFailed", "Failed", "FailedValidation", "Skipped"]
    """The worst outcome of its namespaces."""
    started: Time
    """When it started."""
    finished: Time | None = None
    """When it ended."""


class RpoPart(Part):
    """What `objectives.rpo` promised against what is there."""

    state: Literal["Met", "Missed", "Unknown"]
    """`Missed` when the newest good recovery point is older than promised."""
    promised_seconds: Count | None = None
    """`objectives.rpo`."""
    last_good: Time | None = None
    """Since when the newest good recovery point holds: the start of its run."""
    achieved_seconds: Count | None = None
    """Age of the newest good recovery point when this was said."""


class ProtectedPart(Part):
    """What a run would protect now."""

    namespaces: Count
    """Selected namespaces."""
    claims: Count
    """Claims in them whose data is copied."""
    newest: Time | None = None
    """When the youngest of them was created: what came later is told when a controller returns."""


class ScheduleStatusPart(Part):
    """The schedule as the CronJob has it."""

    cron: Annotated[str, Field(max_length=1024)]
    """Five fields: macros expanded, `H` replaced."""
    time_zone: fields.TimeZone
    """IANA name."""


class BackupPolicyStatus(Part):
    """What is in force, and how it goes. Written by the controller only."""

    observed_generation: Count | None = None
    """The generation of the object that this was said of."""
    conditions: list[ConditionPart] = Field(default_factory=list, max_length=16)
    """`Ready`, and while they are true `Reconciling` and `Stalled`."""
    revision: Annotated[str, Field(max_length=1024)] | None = None
    """The Git revision that the version in force came from, `main@sha1:<hex>`."""
    source: Annotated[str, Field(max_length=4096)] | None = None
    """File and index of the document in it, `policies/shop.yaml#0`."""
    digest: Annotated[str, Field(max_length=80)] | None = None
    """Digest of the compiled policy, `sha256:<hex>`."""
    schedule: ScheduleStatusPart | None = None
    """The schedule as the CronJob has it."""
    last_run: LastRunPart | None = None
    """The newest run that ended."""
    next_run: Time | None = None
    """When the next run starts; absent while the policy is suspended."""
    rpo: RpoPart | None = None
    """What `objectives.rpo` promised against what is there."""
    protected: ProtectedPart | None = None
    """What a run would protect now."""
    last_handled_reconcile_at: Annotated[str, Field(max_length=1024)] | None = None
    """The last value of the annotation that asks for a cycle which was acted on."""
