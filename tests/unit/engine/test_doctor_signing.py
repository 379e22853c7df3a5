"""The doctor reads commits without the key that they are signed with, and asks for it by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.model.config import Credentials
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Refused, Transient
from tests.unit.engine.doctor_world import DoctorWorld

NO_KEY = Refused("Secret signing has no identity", hint="put the private key there")


@pytest.fixture
def world() -> DoctorWorld:
    """A healthy installation whose runs sign."""
    made = DoctorWorld()
    store = replace(made.config.manifest_store, signing_key="signing")
    made.config = replace(made.config, manifest_store=store)
    return made


def asked(world: DoctorWorld, signing: Callable[[], str]) -> Finding:
    """The one finding; all others are as good as ever."""
    made = world.doctor(signing=signing)
    (found,) = (one for one in made.findings if one.id == "git/signing")
    (opened,) = (one for one in made.findings if one.id == "git/manifests")
    assert opened.level is Level.OK
    return found


def lacking(error: Exception) -> Callable[[], str]:
    """A key that can't be had."""

    def read() -> str:
        raise error

    return read


def test_a_key_that_is_there_is_told_with_its_place(world: DoctorWorld) -> None:
    found = asked(world, lambda: "Secret signing")
    assert (found.level, found.where) == (Level.OK, "Secret signing")


def test_without_the_runs_key_their_secret_is_a_problem(world: DoctorWorld) -> None:
    found = asked(world, lacking(NO_KEY))
    assert (found.level, found.hint) == (Level.PROBLEM, "put the private key there")


def test_who_may_not_read_the_secret_learns_that_and_the_rest(world: DoctorWorld) -> None:
    world.cluster.denied.add(("", "get", "secrets"))
    found = asked(world, lacking(Refused("get secret: not allowed")))
    assert (found.level, "you may not read" in found.message) == (Level.UNKNOWN, True)


@pytest.mark.parametrize("keys", [Credentials(file="/keys"), Credentials(env="SIGNING_")])
def test_a_machine_that_only_reads_needs_no_key(world: DoctorWorld, keys: Credentials) -> None:
    world.config = replace(world.config, secrets={"signing": keys})
    found = asked(world, lacking(NO_KEY))
    assert found.level is Level.INFO
    assert "nothing can be signed from here: Secret signing has no identity" in found.message


def test_what_could_not_be_asked_is_no_answer(world: DoctorWorld) -> None:
    assert asked(world, lacking(Transient("away"))).level is not Level.OK


def test_without_a_key_in_config_nothing_is_asked(world: DoctorWorld) -> None:
    store = replace(world.config.manifest_store, signing_key="")
    world.config = replace(world.config, manifest_store=store)
    found = asked(world, lacking(NO_KEY))
    assert (found.level, found.message) == (Level.INFO, "Config names no key: nothing is signed")
