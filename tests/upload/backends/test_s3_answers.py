import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256

import pytest

from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.upload.backend import StorageError
from agent.upload.backends import s3, s3_bucket
from agent.upload.backends.s3 import S3Backend
from agent.upload.backends.s3_client import S3Client
from tests.conformance.backend_suite import contents, keys
from tests.fakes.s3 import FakeS3, Response, fake_s3

DIGEST = sha256(b"x").hexdigest()
ENTRY = "<Key>keys/a</Key><VersionId>v</VersionId><Size>1</Size>"
DATE = "<LastModified>2026-11-29T00:00:00Z</LastModified>"
NASTY = [
    Response(200, {}, b""),
    Response(200, {}, b"\x00\xff" * 9),
    Response(200, {"content-length": "99"}, b"short", cut=3),
    Response(200, {"last-modified": "yesterday", "etag": "x"}, b"x"),
    Response(206, {"content-range": "bytes 0-0/99999999999999999999"}, b"x"),
    Response(206, {"content-range": "of a kind"}, b"x"),
    Response(302, {"location": "http://192.0.2.1/"}, b""),
    Response(404, {}, b"<Error><Code/></Error>"),
    Response(403, {"date": "Sun, 99 Foo 2026"}, b"<html>"),
    Response(600, {}, b""),
    *(
        Response(200, {}, f"<R>{inner}</R>".encode())
        for inner in (
            "<Contents/>",
            f"<Contents>{ENTRY}</Contents>",
            f"<Contents><Key>keys/a</Key>{DATE}</Contents>",
            f"<Contents>{ENTRY}<LastModified>then</LastModified></Contents>",
            f"<Contents><Key>keys/a</Key><Size>much</Size>{DATE}</Contents>",
            f"<Contents><Key>elsewhere</Key><Size>1</Size>{DATE}</Contents>",
            "<Status>Enabled</Status><Version/>",
            f"<Status>Enabled</Status><Version>{ENTRY}</Version>",
            f"<Status>Enabled</Status><Version>{ENTRY}{DATE}</Version>"
            "<IsTruncated>true</IsTruncated>",
            "<Status>Enabled</Status><DeleteMarker/>",
        )
    ),
]


ACTS: list[Callable[[S3Backend], Awaitable[object]]] = [
    lambda backend: backend.put("keys/a", b"x", sha256=DIGEST),
    lambda backend: backend.holds("keys/a", sha256=DIGEST, size=1),
    lambda backend: contents(backend, "keys/a"),
    lambda backend: backend.head("keys/a"),
    lambda backend: keys(backend, "keys"),
    lambda backend: backend.replace("keys/a", b"x"),
    lambda backend: backend.delete("keys/a"),
    lambda backend: backend.keep("keys/a"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeS3]:
    with fake_s3() as server:
        yield server


# botocore shows what it could not parse as a text.
@pytest.mark.filterwarnings("ignore:str.. on a bytes:BytesWarning")
@pytest.mark.parametrize("answer", NASTY)
async def test_nothing_that_storage_answers_is_more_than_a_storage_error(
    server: FakeS3, answer: Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MAX_EMPTY_PAGES", 3)
    monkeypatch.setattr(s3_bucket, "MAX_PAGES", 3)
    server.behave = lambda _request, _serve: dataclasses.replace(answer)
    destination = Destination("storage[0]", server.endpoint, "FI")
    key = StorageKeys("access", "secret")
    client = S3Client(Outgoing(RegionConfig()), destination, lambda: key)
    asked = len(server.asked)
    for act in ACTS:
        # Some of it passes for an answer to some request: an empty list is one.
        with contextlib.suppress(StorageError):
            await act(S3Backend(client, "bucket", lock="governance"))
    assert len(server.asked) - asked < 60
