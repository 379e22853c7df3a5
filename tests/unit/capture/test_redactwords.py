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
    "env:\n- name: DB_PASSWORD\n  value: Hunter2x",
    "env:\r\n- name: 'DB_PASSWORD'\r\n  value: Hunter2x",
    '{"name": "DB_PASSWORD", "value": "Hunter2x"}',
    '{\n "name": "API_TOKEN",\n "value": "hunter2"\n}',
    r'"{\"name\":\"DB_PASSWORD\",\"value\":\"Hunter2x\"}"',
    r'"- name: DB_PASSWORD\n  value: Hunter2x\n"',
    '<add key="Password" value="x1"/>',
    "port 6379\nrequirepass Hunter2x",
    "masterauth hunter",
    "config set requirepass x1",
    "redis-server --requirepass x1",
    "CREATE USER shop IDENTIFIED BY 'x1'",
    "create user shop identified with caching_sha2_password by 'x1'",
    "ALTER ROLE shop WITH PASSWORD 'x1'",
    "password:\n  x1",
    "db:\n  password: |\n    x1\n",
    "passwords:\n  - x1",
    '{"password":\n  "x1"\n}',
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
    "if password == None:",
    "def login(password: str, token: str):",
    "token = get_token()",
    '{"password": null}',
    'PASSWORD="$1"',
    "- name: DB_PASSWORD\n  value: $(FROM_ELSEWHERE)",
    "- name: DB_PASSWORD\n  valueFrom: {}",
    "- name: DB_SECRET\n  value: shop-db",
    "- name: MODE\n  value: fast",
    "# requirepass foobared",
    "identified by their name",
    "identified by '$PW'",
    "password:\n  secretKeyRef:\n    name: db",
    "password:\n  ${PASSWORD}",
    "password:\nuser: me",
    "password:\n",
    "Give your password:\n  then wait",
    "secrets:\n  - registry1",
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
