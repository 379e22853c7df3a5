"""Small valid documents for the tests of this folder."""

from __future__ import annotations

from reconciler.model.config import Config
from reconciler.model.policy import BackupPolicy, ParsedFiles
from reconciler.policy import parse_config, parse_files

HEAD = "apiVersion: backstay.dev/v1alpha1\n"
MAIN = (
    HEAD
    + """\
kind: Repository
metadata: {name: main}
spec:
  url: "s3:https://s3.example.org/backups/{cluster}/{namespace}"
  secretRef: {name: restic-main}
"""
)
SHOP = (
    HEAD
    + """\
kind: BackupPolicy
metadata: {name: shop}
spec:
  schedule: "17 4 * * *"
  selector: {namespaces: [shop]}
  volumes: {copyMethod: Direct}
  retention: {keepDaily: 7}
"""
)
GOLD = (
    HEAD
    + """\
kind: Profile
metadata: {name: gold}
spec:
  schedule: {cron: "17 4 * * *", timeZone: Europe/Berlin}
  volumes: {copyMethod: Direct, concurrency: 2}
  retention: {keepDaily: 30, keepMonthly: 12}
"""
)
EXEMPT = (
    HEAD
    + """\
kind: Exemption
metadata: {name: scratch}
spec:
  match: {namespaces: ["scratch-*"]}
  reason: rebuilt every night
  owner: team-ci
  expires: 2027-03-31
"""
)
RESTORE = (
    HEAD
    + """\
kind: Restore
metadata: {name: shop-after-incident-42}
spec:
  cluster: prod-eu
  from: {policy: shop, at: 2026-11-21T02:00:00Z}
"""
)
CONFIG = (
    HEAD
    + """\
kind: Config
cluster: {name: prod-eu}
policySource: {url: "ssh://git@git.example.org/policies.git", secretRef: {name: git}}
manifestStore: {url: "ssh://git@git.example.org/captures.git", secretRef: {name: git}}
image: registry.example.org/backstay:1
"""
)


def parse(*documents: str, config: Config | None = None) -> ParsedFiles:
    """The documents as one file."""
    return parse_files({"a.yaml": "---\n".join(documents).encode()}, config)


def parse_policy(text: str) -> BackupPolicy:
    """The only policy, with the Repository main."""
    parsed = parse(MAIN, text)
    assert not parsed.problems, "\n".join(map(str, parsed.problems))
    (policy,) = parsed.policies
    return policy


def messages(parsed: ParsedFiles) -> list[str]:
    """``line:column message | hint`` of each problem."""
    return [f"{p.line}:{p.column} {p.message} | {p.hint}" for p in parsed.problems]


def config(text: str = CONFIG) -> Config:
    """The parsed Config."""
    return parse_config("backstay.yaml", text.encode())
