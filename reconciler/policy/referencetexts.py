"""What the reference says beyond the language's docstrings: examples, and how each is meant.

A test parses every example and every snippet.
"""

from __future__ import annotations

from reconciler.model.policy import API_VERSION

_HEAD = f"apiVersion: {API_VERSION}\n"

EXAMPLES = {
    "BackupPolicy": _HEAD
    + """\
kind: BackupPolicy
metadata: {name: shop}
spec:
  schedule: {cron: "17 4 * * *", timeZone: Europe/Berlin}
  objectives: {rpo: 26h, rto: 1h}
  selector:
    namespaces: {names: [shop, "shop-*"], exclude: ["*-preview"]}
  volumes:
    rules:
      - {match: {claims: ["*-cache"]}, copyMethod: Skip, reason: rebuilt on start}
    copyMethod: Direct
  retention: {keepLast: 3, keepDaily: 7, keepWeekly: 5, keepMonthly: 12}
""",
    "Profile": _HEAD
    + """\
kind: Profile
metadata: {name: gold}
spec:
  schedule: {cron: "17 */6 * * *", timeZone: Europe/Berlin}
  volumes: {repository: main, copyMethod: Direct}
  retention: {keepLast: 8, keepDaily: 14, keepMonthly: 12}
""",
    "Repository": _HEAD
    + """\
kind: Repository
metadata: {name: main}
spec:
  url: "s3:https://s3.example.org/backups/{cluster}/{namespace}"
  secretRef: {name: restic-main}
""",
    "Exemption": _HEAD
    + """\
kind: Exemption
metadata: {name: ci-scratch}
spec:
  match: {namespaces: ["ci-*"], claims: ["workspace-*"]}
  reason: every pipeline starts from Git
  owner: team-ci
  expires: 2027-03-31
""",
    "Restore": _HEAD
    + """\
kind: Restore
metadata: {name: shop-after-incident-42}
spec:
  cluster: prod-eu
  from: {policy: shop, at: 2026-11-21T02:00:00Z}
  selector: {namespaces: [shop], claims: ["data-*"]}
  mapNamespaces: {shop: shop-restored}
""",
    "Config": _HEAD
    + """\
kind: Config
cluster: {name: prod-eu, labels: {env: prod}}
policySource:
  url: ssh://git@git.example.org/policies.git
  path: policies
  secretRef: {name: backstay-policy-git}
manifestStore:
  url: ssh://git@git.example.org/captures.git
  author: {name: Backstay, email: backstay@example.org}
  secretRef: {name: backstay-manifest-git}
image: registry.example.org/backstay:1
sharedKeyInTenants: true
""",
}
"""Kind → a whole document."""

MEANINGS = {
    "BackupPolicy": """\
Merged into the policy repository, this becomes a CronJob in every cluster that reads it. At 04:17
in Berlin a run captures every object of the namespace `shop` and of those that begin with `shop-`,
copies their volumes into the only Repository there is, and pushes one commit to the branch
`clusters/<cluster>/shop`.""",
    "Profile": """\
A policy that says `profile: gold` gets all of it. What stands in the policy replaces what stands
here: lists, labels and `retention` as a whole, everything else field by field. Policy and profile
together must be valid. `backstay show policy NAME` shows the result, each field with the file and
line that it comes from. While a profile has a problem, its policies stay at their last good
version.""",
    "Repository": """\
One restic repository per cluster and namespace, each with a password of its own that is derived
from the one in the Secret. `{namespace}` is also `_cluster`, for the Secrets of each run. Plain
restic opens them: `backstay password NAMESPACE` prints how.""",
    "Exemption": """\
A statement for reviewers and reports: this has no backup, on purpose. It changes no policy and
stops no run.""",
    "Restore": """\
Merged, it is to be executed once, in the cluster it names. Until a version does that,
`backstay restore` restores from a terminal.""",
    "Config": """\
The installation, in `backstay.yaml`, read with `--config`, the same in a cluster and on a laptop.
It never lies among the policies: rights come from the installation, never from a policy
repository.""",
}
"""Kind → what its example does."""

_CREDENTIALS = """\
Credentials are at most one of three: `secretRef`, a Secret in Backstay's own namespace; `file`, a
folder with one file per key; `env`, a prefix of environment variables (`GIT_` and key `ca.crt`:
`GIT_CA_CRT`). Keys are Flux's: `username` and `password`, `bearerToken`, `identity` and
`known_hosts`, `ca.crt`. Over plain http they are refused."""

WRITING = {
    ("BackupPolicy", "clusters"): """\
Clusters may share one policy repository. A policy is taken by those whose `cluster.name` and
`cluster.labels` in Config it chooses; left out, by all. Names are OR, names and labels are AND,
`exclude` wins. A cluster that a policy does not choose any more deletes its schedule there, as if
the policy had been removed: runs, recovery points and manifests stay.""",
    ("BackupPolicy", "profile"): """\
A Profile gives what is left out here. What stands here replaces it: lists, labels and `retention`
as a whole, everything else field by field. With a profile, `schedule`, `selector` and `retention`
are required in one of the two. A profile that does not exist is a problem of the policy; one that
has a problem leaves its policies at their last good version.""",
    ("BackupPolicy", "suspend"): """\
`true` starts no new runs. Nothing is deleted, a run that works goes on, and `backstay run` still
starts one by hand.""",
    ("BackupPolicy", "schedule"): """\
When runs start. Five fields (minute, hour, day of month, month, day of week) or a macro such as
`@daily`, in the time zone `timeZone`, by default UTC. `H` in minute or hour stands for a number
that cluster and policy name decide, so that policies of one text spread. Only what CronJob and
Backstay read alike is taken, the rest is refused with the reason. A wall time that a clock change
skips has no run. See [schedules](../schedules.md).""",
    ("BackupPolicy", "objectives"): """\
What was promised to the owners of the data: `rpo`, the longest time between two recovery points,
and `rto`, the longest time that a restore may take.""",
    ("BackupPolicy", "selector"): """\
What is protected. A namespace is selected when one of the names matches and it carries all labels
and nothing in `exclude` matches. One that appears later is protected from the next run on. `*`
leaves out `kube-*` and Backstay's own namespace unless they are named. A selector that selects
nothing makes a run fail.""",
    ("BackupPolicy", "manifests"): """\
Git never has the values of Secrets in plain text: `Restic` encrypts them into a restic repository
of their own and leaves a keyed fingerprint in Git; `Sops` encrypts them into Git for the public
keys in `recipients`, which an administrator gives in a Profile; `Omit` keeps Secrets nowhere, and
the record names them. See [Secrets](../secrets.md). What looks like a credential elsewhere is
redacted by default rules; `redact` has a policy's own rules, and `keep` what it leaves in clear,
which Config must grant. See [redaction](../redaction.md).""",
    ("BackupPolicy", "volumes"): """\
The first rule that matches a claim decides how its data is copied, `copyMethod` decides for the
rest; each claim's method and reason stand in the plan and in the record. `Direct` reads the volume
itself, on the node where it is mounted; `Skip` copies nothing. A rule has `claims`, `storageClass`
or both, which then must both match. `exclude` has restic's patterns, below each volume's root.""",
    ("BackupPolicy", "hooks"): """\
A command in a pod before the data of a namespace is copied, and one after it. `post` runs whenever
`pre` was started.""",
    ("BackupPolicy", "retention"): """\
Which recovery points are kept, in restic's words; at least one of them. `keepDaily: 7` keeps the
newest of each of the last seven days that have one, `keepWithin: 30d` all of thirty days. Spans
have years, days and hours (`1y6d12h`): `m` is refused, because it means months to restic. A
policy's retention replaces its profile's as a whole.""",
    ("BackupPolicy", "guards"): """\
What makes a run withhold deletions until somebody has accepted them.""",
    ("Repository", "url"): """\
restic's URL with the scheme `s3`, `rest` or `sftp`, with `{cluster}` and `{namespace}` once each as
whole parts of its path. Credentials belong into the Secret, never into the URL; link-local
addresses are refused.""",
    ("Repository", "secretRef"): """\
A Secret in Backstay's own namespace with `RESTIC_PASSWORD` (32 characters or more: every
repository's own password is derived from it) and the storage's keys as restic names them.""",
    ("Repository", "scope"): """\
`Namespace` makes one restic repository per namespace, so that nothing that is done to one reaches
another.""",
    ("Exemption", "match"): """\
`namespaces` as in a policy's selector. With `claims`, only those claims are exempt; without, the
namespaces with all that is in them.""",
    ("Exemption", "expires"): """\
A date (its end, UTC) or a time. After it the exemption counts no more, so that somebody looks at it
again.""",
    ("Restore", "from"): """\
Exactly one of `at`, `run` and `commit`. `at` is a time or a date; `latest` is refused, because it
means another recovery point every day. `at` and `commit` need the `policy`; a run's name has
it.""",
    ("Restore", "mapNamespaces"): """\
Restores beside the original. Two namespaces can't become one.""",
    ("Config", "cluster"): """\
The name stands in branches, restic's hosts and URLs: choose it once. Policies choose clusters by
name and labels.""",
    ("Config", "policySource"): f"""\
The Git repository that policies come from: `https://`, `ssh://`, `http://` or `file://`.
{_CREDENTIALS}""",
    ("Config", "manifestStore"): """\
The Git repository that captures go to, with credentials as in `policySource`.""",
    ("Config", "secrets"): """\
For a place that can't read Secrets, such as a laptop: name of a Secret → `file` or `env`.""",
    ("Config", "sharedKeyInTenants"): """\
A `Direct` mover runs in the application's namespace and holds the Repository's own storage key
there for as long as its Job runs. Without this word policies with `Direct` are refused.""",
    ("Config", "maxDelete"): """\
When one revision takes away more of the policies than this, nothing is deleted and the plan says
so.""",
}
"""(kind, field) → how to write it; a Profile's fields are a BackupPolicy's."""

STATUSES = {
    "Profile": "Has none. `backstay validate` tells its problems; they hold its policies.",
    "Repository": "Has none. `backstay doctor` opens every restic repository and says what it is.",
    "Exemption": "Has none.",
    "Restore": "Has none: this version executes no Restore.",
    "Config": "Has none: it is a file. `backstay doctor` checks what it says.",
}
"""Kind → what the part on status says; a BackupPolicy's is made from its schema."""

SNIPPETS = {
    ("BackupPolicy", "clusters"): 'clusters: {names: ["prod-*"], matchLabels: {region: eu}}',
    ("BackupPolicy", "profile"): "profile: gold",
    ("BackupPolicy", "schedule"): 'schedule: "17 4 * * 1-5"                    # in UTC',
    ("BackupPolicy", "selector"): """\
selector:
  namespaces: {names: ["*"], matchLabels: {backup: gold}, exclude: ["*-preview"]}
  objects: {matchLabels: {tier: gold}, exclude: [secret, "*.example.org"], clusterScoped: All}""",
    ("BackupPolicy", "volumes"): """\
volumes:
  repository: main
  rules:
    - {match: {claims: ["*-cache"]}, copyMethod: Skip, reason: rebuilt on start}
    - {match: {storageClass: "csi-*"}, copyMethod: Direct}
  copyMethod: Skip
  concurrency: 2
  exclude: ["lost+found", "**/*.tmp"]""",
    ("BackupPolicy", "hooks"): """\
hooks:
  - name: quiesce
    pods: {matchLabels: {app: mongo}}
    container: mongo
    pre: {command: [mongosh, --quiet, --eval, "db.fsyncLock()"], timeout: 60s, onError: Fail}
    post: {command: [mongosh, --quiet, --eval, "db.fsyncUnlock()"]}""",
    ("BackupPolicy", "retention"): "retention: {keepLast: 3, keepDaily: 7, keepWithinHourly: 2d}",
    ("BackupPolicy", "guards"): "guards: {maxShrink: 50%}",
    ("Repository", "url"): 'url: "sftp:backup@nas.example.org:/srv/backups/{cluster}/{namespace}"',
    ("Repository", "maintenance"): 'maintenance: {cron: "7 5 * * 0", check: {readData: 5%}}',
    ("Exemption", "match"): "match: {namespaces: {matchLabels: {tier: scratch}}}",
    ("Restore", "from"): "from: {run: shop-20261121-021703-7c1e9}",
    ("Restore", "mapNamespaces"): "mapNamespaces: {shop: shop-restored}",
}
"""(kind, field) → how it is written."""
