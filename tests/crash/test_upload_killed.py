"""An upload killed before any one of its steps, and begun again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.httpsession
import pytest

from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.upload.backends.s3 import S3Backend
from agent.upload.backends.s3_client import S3Client
from agent.upload.targets import Target
from tests.crash.killed_upload import Doom, Site, dies_at_each_step
from tests.fakes.s3 import FakeS3, fake_s3


class BucketSite(Site):
    """Its storage is an object store that keeps versions."""

    def __init__(self, root: Path, server: FakeS3) -> None:
        super().__init__(root)
        self._server = server
        server.objects.clear()

    def target(self) -> Target:
        destination = Destination("storage[0]", self._server.endpoint, "FI")
        keys = StorageKeys("access", "secret")
        client = S3Client(Outgoing(RegionConfig()), destination, lambda: keys)
        return Target(S3Backend(client, "locked"), S3Backend(client, "state"))

    def stored(self) -> dict[str, bytes]:
        kept = {}
        for key, versions in self._server.objects.items():
            [version] = versions
            kept[key] = version.data
        return kept


def count_requests(patch: pytest.MonkeyPatch, doom: Doom) -> None:
    """A request is a step, and so is the way back of its answer."""
    send: Callable[..., Any] = botocore.httpsession.URLLib3Session.send

    def counted(session: object, request: object) -> object:
        doom.step()
        answer = send(session, request)
        doom.step()
        return answer

    patch.setattr(botocore.httpsession.URLLib3Session, "send", counted)


@pytest.mark.crash
async def test_whatever_step_it_dies_before_the_next_start_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = await dies_at_each_step(
        lambda step: Site(tmp_path / str(step)), monkeypatch, lambda _patch, _doom: None
    )
    assert steps > 30, "the operations were not there to be counted"


@pytest.mark.crash
async def test_the_same_where_storage_is_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_s3(versioned=True) as server:
        steps = await dies_at_each_step(
            lambda step: BucketSite(tmp_path / str(step), server),
            monkeypatch,
            count_requests,
        )
    assert steps > 25, "the requests were not there to be counted"
