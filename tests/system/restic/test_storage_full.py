"""A storage without room: said at once and in its own words, and the next copy is a good one."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.errors import Refused
from tests.rig.proxies import Answer, S3Proxy
from tests.rig.servers.seaweedfs import SeaweedFS
from tests.system.restic.conftest import Restic

FULL = {
    "as a quota of Ceph": Answer(
        403,
        b'<?xml version="1.0"?><Error><Code>QuotaExceeded</Code></Error>',
        {"Content-Type": "application/xml"},
    ),
    "as MinIO without disk": Answer(
        507,
        b'<?xml version="1.0"?><Error><Code>XMinioStorageFull</Code>'
        b"<Message>Storage backend has reached its minimum free drive threshold.</Message></Error>",
        {"Content-Type": "application/xml"},
    ),
    "by its status alone": Answer(507),
}


@pytest.mark.parametrize("how", FULL)
def test_a_full_storage_ends_a_copy_at_once(
    restic: Restic, s3: SeaweedFS, tmp_path: Path, how: str
) -> None:
    volume = tmp_path / "data"
    volume.mkdir()
    (volume / "file").write_bytes(b"x" * 1000)
    with S3Proxy(s3.url) as proxy:
        url = proxy.repository(f"full-{len(how)}")
        repository = restic.open(url, keys=s3.writer)
        repository.initialise()
        with (
            proxy.rule("PUT|POST", r"/data/", FULL[how], times=0) as rule,
            pytest.raises(Refused) as failed,
        ):
            repository.backup_folder(volume, host="h/n", tags=("run:1",))
        # restic alone would go on for a quarter of an hour, with one more after each pause.
        assert 1 <= rule.hits <= 5
        assert "give the storage, the volume or the cache more room" in failed.value.hint
        result = repository.backup_folder(volume, host="h/n", tags=("run:2",))
        assert result.files == 1
        assert [found.tags for found in repository.snapshots()] == [("run:2",)]
