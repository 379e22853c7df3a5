"""Config says where the webhook's key is, and never the key."""

from __future__ import annotations

import pytest

from reconciler.model.config import Credentials
from reconciler.model.errors import InvalidInput
from reconciler.policy import parse_config

TEXT = """\
apiVersion: backstay.dev/v1alpha1
kind: Config
cluster: {{name: prod-eu}}
policySource: {{url: "https://git.example.org/p.git", webhook: {webhook}}}
manifestStore: {{url: "https://git.example.org/m.git"}}
image: backstay:1
"""


@pytest.mark.parametrize(
    ("webhook", "credentials"),
    [
        ("{secretRef: {name: backstay-webhook}}", Credentials(secret_ref="backstay-webhook")),
        ("{file: /keys}", Credentials(file="/keys")),
        ("{env: HOOK_}", Credentials(env="HOOK_")),
    ],
)
def test_where_the_key_is(webhook: str, credentials: Credentials) -> None:
    config = parse_config("backstay.yaml", TEXT.format(webhook=webhook).encode())
    assert config.policy_source.webhook == credentials
    assert config.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "webhook", ["{}", "{file: /keys, env: HOOK_}", "{token: abc}", "{key: {name: x}}"]
)
def test_what_names_no_place_or_two_or_the_key_itself(webhook: str) -> None:
    with pytest.raises(InvalidInput):
        parse_config("backstay.yaml", TEXT.format(webhook=webhook).encode())
