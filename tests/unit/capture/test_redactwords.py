"""Which texts hold a credential, and which only look as if: one line of a file each."""

from __future__ import annotations

import pytest

from reconciler.capture import redactwords

HOLDS = (
    "token: hunter2",
    "SECRET_KEY=changeme123",
    'api_key = "abc123"',
    "SECRET=hunter2",
    "SECRET=kafka-tls",
    "--token=hunter2",
    "serve --token hunter2",
    '{"token": "hunter2"}',
    "adminPassword: x1",
    "miniopassword=x1",
    "Server=db;Uid=shop;Pwd=/hunter",
    "password=$1$x",
    "passwd: hunter2",
    "password=${DB_PASSWORD:-hunter2}",
)
HOLDS_NONE = (
    "secret: kafka-tls",
    "secret: shop/kafka2-tls",
    "authorization: basic",
    "authorization: {",
    "use --token to log in",
    "password=$(cat /run/x)",
    "password=$password",
    "(password=$password)",
    "password=`cat /run/x`",
    "password=${DB_PASSWORD:?not set}",
    "password: {{ .Values.password }}",
    "token: ${{ secrets.TOKEN }}",
    'password = os.environ["DB_PASSWORD"]',
    "export PWD=/app",
    "passwd: files sss",
    "passwd:         compat systemd",
    "minPassword: 8",
    "x:\n  max_tokens=4096\n  min_password=8",
    "password: str",
    "password: {type: string}",
    "tokens: []",
    "password=%s",
)


@pytest.mark.parametrize("text", HOLDS)
def test_a_text_with_a_credential(text: str) -> None:
    assert redactwords.holds_credential(text)
    assert redactwords.holds_credential(f"{text}\n" + "# and more of the same file\n" * 9)


@pytest.mark.parametrize("text", HOLDS_NONE)
def test_a_text_that_only_looks_like_one(text: str) -> None:
    assert not redactwords.holds_credential(text)
    assert not redactwords.holds_credential(f"{text}\n" + "# and more of the same file\n" * 9)


@pytest.mark.parametrize("name", ["PWD", "minPassword", "MAX_TOKENS", "password.conf"])
def test_names_of_something_else(name: str) -> None:
    assert redactwords.strength_of(name) == ""


def test_an_empty_file_of_credentials_is_none() -> None:
    assert not redactwords.is_credential("tokens.json", "{}\n")
    assert redactwords.is_credential("requirepass", "hunter")
