"""For whom Secrets are encrypted: from the admin folder only, age only, and each key whole."""

from __future__ import annotations

import pytest

from reconciler.model.policy import SecretsMode
from reconciler.policy import parse_files
from tests.unit.policy.test_grants import ADMIN, ALLOWED, A
from tests.unit.policy.yamltexts import SHOP

KEY = "age1pmwc3l23wm4yz6hkytlt94rlv8ash6ngs0p3jakfkumusgedmqhs2tvslf"
OTHER = "age1zu2nkr9pw60htma55vmv24e8qdc2kswpvl5zs4cyf46yh3vx09gszcrvs9"
HEAD = "apiVersion: backstay.dev/v1alpha1\n"
SEALED = f"  manifests: {{secrets: Sops, recipients: {{age: [{KEY}]}}}}\n"
PROFILE = f"{HEAD}kind: Profile\nmetadata: {{name: sealed}}\nspec:\n{SEALED}"
USER = SHOP.replace("spec:\n", "spec:\n  profile: sealed\n")


def problems(policy: str, profile: str = PROFILE, *, granted: bool = True) -> list[str]:
    files = ADMIN | {"admin/sealed.yaml": profile.encode(), A: policy.encode()}
    parsed = parse_files(files, ALLOWED if granted else None)
    return [f"{p.file}:{p.line} {p.message}" for p in parsed.problems]


def test_a_profile_of_the_admin_folder_gives_them() -> None:
    parsed = parse_files(ADMIN | {"admin/p.yaml": PROFILE.encode(), A: USER.encode()}, ALLOWED)
    assert parsed.problems == ()
    (policy,) = parsed.policies
    assert policy.manifests.secrets is SecretsMode.SOPS
    assert policy.manifests.recipients == (KEY,)


@pytest.mark.parametrize("base", [SHOP, USER])
def test_a_tenant_names_nobody_with_or_without_a_profile(base: str) -> None:
    (told,) = problems(f"{base}{SEALED.replace(KEY, OTHER)}")
    assert told.startswith(f"{A}:")
    assert told.endswith("recipients of Secrets are not taken from this folder")


def test_without_grants_anybody_may() -> None:
    assert problems(f"{SHOP}{SEALED}", granted=False) == []


def test_they_come_sorted_and_once() -> None:
    profile = PROFILE.replace(KEY, f"{OTHER}, {KEY}, {OTHER}")
    files = ADMIN | {"admin/p.yaml": profile.encode(), A: USER.encode()}
    (policy,) = parse_files(files, ALLOWED).policies
    assert policy.manifests.recipients == tuple(sorted([KEY, OTHER]))


@pytest.mark.parametrize("manifests", ["{secrets: Sops}", "{secrets: Sops, recipients: {age: []}}"])
def test_sops_needs_somebody_to_encrypt_for(manifests: str) -> None:
    (told,) = problems(f"{SHOP}  manifests: {manifests}\n")
    assert "Sops needs somebody to encrypt for" in told


@pytest.mark.parametrize("kind", ["kms", "gcpKms", "azureKv", "hcVault", "pgp"])
def test_other_kinds_of_keys_are_refused(kind: str) -> None:
    profile = PROFILE.replace("{age:", f"{{{kind}: [x], age:")
    assert any(f"`{kind}` is not supported yet" in told for told in problems(SHOP, profile))


@pytest.mark.parametrize(
    "key",
    [
        KEY[:-1] + "q",
        KEY.upper(),
        "age1pq1" + KEY[4:],
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA",
        "AGE-SECRET-KEY-1RS62A3U96AZWFFUR7AV9KAVRSRV7LEGTTEAL6SEYPUPSK2MKEW0Q65XKX8",
    ],
)
def test_a_key_with_a_mistake_is_refused_where_it_stands(key: str) -> None:
    (told,) = problems(SHOP, PROFILE.replace(KEY, f'"{key}"'))
    assert told.startswith("admin/sealed.yaml:5 ")
    assert "is no public key of age" in told
