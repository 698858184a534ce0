from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.upload.backend import (
    CHUNK,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectUnlockedError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends import s3 as s3_module
from agent.upload.backends.s3 import PIECE, S3Backend
from agent.upload.backends.s3_client import S3Client
from tests.conformance.backend_suite import KEY, BackendSuite, contents, keys
from tests.fakes.s3 import FakeS3, Request, Response, Serve, fake_s3, refusal

DATA = b"sealed"
DIGEST = sha256(DATA).hexdigest()
# botocore shows what it could not parse as a text.
QUIET = pytest.mark.filterwarnings("ignore:str.. on a bytes:BytesWarning")


@pytest.fixture
def plain() -> Iterator[FakeS3]:
    with fake_s3() as server:
        yield server


@pytest.fixture
def versioned() -> Iterator[FakeS3]:
    with fake_s3(versioned=True) as server:
        yield server


def client_of(server: FakeS3, **options: float) -> S3Client:
    destination = Destination("storage[0]", server.endpoint, "FI")
    keys = StorageKeys("access", "secret")
    return S3Client(Outgoing(RegionConfig()), destination, lambda: keys, **options)


def backend_of(server: FakeS3, prefix: str = "", **options: float) -> S3Backend:
    return S3Backend(client_of(server, **options), "bucket", prefix)


class TestPlainBucket(BackendSuite):
    @pytest.fixture
    def backend(self, plain: FakeS3) -> S3Backend:
        return backend_of(plain)


class TestFolderOfBucketWithVersions(BackendSuite):
    @pytest.fixture
    def backend(self, versioned: FakeS3) -> S3Backend:
        return backend_of(versioned, "site/one")


# -- what a put is, and what proves it ------------------------------------------------


async def test_a_put_is_one_signed_conditional_request(plain: FakeS3) -> None:
    backend = backend_of(plain)
    await backend.put(KEY, DATA, sha256=DIGEST)
    await backend.put("state/a/000001.json", DATA)
    put, head, other = plain.asked
    assert (put.method, put.target) == ("PUT", f"/bucket/{KEY}")
    assert put.headers["if-none-match"] == "*"
    assert put.headers["x-amz-content-sha256"] == DIGEST
    assert put.headers["x-amz-tagging"] == "expiry=normal"
    assert head.method == "HEAD"
    assert "x-amz-tagging" not in other.headers
    assert (
        other.headers["x-amz-checksum-sha256"] == put.headers["x-amz-checksum-sha256"]
    )


async def test_the_version_that_was_made_is_the_one_that_is_proven(
    versioned: FakeS3,
) -> None:
    await backend_of(versioned).put(KEY, DATA, sha256=DIGEST)
    head = versioned.asked[-1]
    assert (head.method, head.query["versionId"]) == ("HEAD", "v1")


async def test_a_host_that_may_not_list_versions_puts_all_the_same(
    versioned: FakeS3,
) -> None:
    def behave(request: Request, serve: Serve) -> Response:
        listing = "versions" in request.query or "versioning" in request.query
        return refusal(403, "AccessDenied") if listing else serve(request)

    versioned.behave = behave
    backend = backend_of(versioned)
    for key in (KEY, f"{KEY}.2", f"{KEY}.3"):
        await backend.put(key, DATA, sha256=DIGEST)
        assert await backend.holds(key, sha256=DIGEST, size=len(DATA))
    asked = ["versions" in request.query for request in versioned.asked]
    assert sum(asked) == 1, "asked once, and not again"
    with pytest.raises(StorageDeniedError):
        await contents(backend, KEY)


async def test_where_the_condition_is_ignored_one_put_wins_all_the_same(
    versioned: FakeS3,
) -> None:
    def behave(request: Request, serve: Serve) -> Response:
        request.headers.pop("if-none-match", None)
        return serve(request)

    versioned.behave = behave
    backend = backend_of(versioned)
    await backend.put(KEY, DATA)
    with pytest.raises(ObjectExistsError):
        await backend.put(KEY, b"another")
    assert await contents(backend, KEY) == DATA
    assert len(versioned.objects[f"bucket/{KEY}"]) == 1


async def test_a_source_that_was_altered_is_not_sent(
    plain: FakeS3, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"SEALED")
    with pytest.raises(ObjectDamagedError):
        await backend_of(plain).put(KEY, source, sha256=DIGEST)
    assert plain.asked == []


async def test_bytes_that_change_on_the_way_are_refused(plain: FakeS3) -> None:
    plain.behave = lambda request, serve: serve(
        Request(
            request.method, request.target, request.headers, b"S" + request.body[1:]
        )
    )
    with pytest.raises(ObjectDamagedError):
        await backend_of(plain).put(KEY, DATA, sha256=DIGEST)
    assert not any(plain.objects.values())


@pytest.mark.parametrize("kept", [DATA, b"sEaled", b"seale"])
async def test_what_tells_no_checksum_is_read_back(plain: FakeS3, kept: bytes) -> None:
    def behave(request: Request, serve: Serve) -> Response:
        request.headers.pop("x-amz-checksum-mode", None)
        answer = serve(request)
        if request.method == "PUT":
            plain.objects[f"bucket/{KEY}"][0].data = kept
        return answer

    plain.behave = behave
    putting = backend_of(plain).put(KEY, DATA, sha256=DIGEST)
    if kept == DATA:
        await putting
    else:
        with pytest.raises(ObjectDamagedError):
            await putting
    # What has not even the size need not be read.
    assert plain.asked[-1].method == ("GET" if len(kept) == len(DATA) else "HEAD")


async def test_a_wrong_checksum_is_not_believed(plain: FakeS3) -> None:
    def behave(request: Request, serve: Serve) -> Response:
        answer = serve(request)
        if request.method == "HEAD":
            answer.headers["x-amz-checksum-sha256"] = "A" * 43 + "="
        return answer

    plain.behave = behave
    with pytest.raises(ObjectDamagedError):
        await backend_of(plain).put(KEY, DATA, sha256=DIGEST)
    assert not await backend_of(plain).holds(KEY, sha256=DIGEST, size=len(DATA))


async def test_a_lock_that_was_dropped_without_a_word(plain: FakeS3) -> None:
    backend = S3Backend(client_of(plain), "bucket", lock="governance")
    with pytest.raises(ObjectUnlockedError) as caught:
        await backend.put(KEY, DATA, sha256=DIGEST)
    assert caught.value.permanent
    plain.lock_headers = {
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-retain-until-date": "2999-01-01T00:00:00Z",
    }
    assert await backend.holds(KEY, sha256=DIGEST, size=len(DATA))


# -- reading --------------------------------------------------------------------------


async def test_a_large_object_comes_in_ranges(plain: FakeS3) -> None:
    backend = backend_of(plain)
    data = bytes(range(251)) * (2 * PIECE // 251 + 1)
    await backend.put(KEY, data)
    plain.asked.clear()
    assert await contents(backend, KEY) == data
    ranges = [
        r.headers.get("range") for r in plain.asked if r.method == "GET" and r.key
    ]
    assert ranges == [f"bytes={n * PIECE}-{(n + 1) * PIECE - 1}" for n in range(3)]


async def test_an_object_replaced_while_it_is_read_is_not_mixed(plain: FakeS3) -> None:
    backend = backend_of(plain)
    await backend.put(KEY, bytes(2 * PIECE))
    reading = backend.get(KEY)
    await anext(reading)
    await backend.replace(KEY, b"x" * 2 * PIECE)
    with pytest.raises(StorageError, match="replaced"):
        async for _ in reading:
            pass


@QUIET
async def test_an_answer_that_is_cut_off(plain: FakeS3) -> None:
    backend = backend_of(plain)
    await backend.put(KEY, bytes(CHUNK))

    def behave(request: Request, serve: Serve) -> Response:
        answer = serve(request)
        answer.cut = len(answer.body) // 2
        return answer

    assert await keys(backend, "") == [KEY]
    plain.behave = behave
    with pytest.raises(StorageError):
        await keys(backend, "")
    plain.behave = lambda r, serve: behave(r, serve) if r.key else serve(r)
    with pytest.raises(StorageError):
        await contents(backend, KEY)


async def test_more_than_was_asked_for_is_not_taken(plain: FakeS3) -> None:
    backend = backend_of(plain)
    await backend.put(KEY, bytes(2 * PIECE))

    def behave(request: Request, serve: Serve) -> Response:
        request.headers.pop("range", None)
        return serve(request)

    plain.behave = behave
    with pytest.raises(StorageError, match="cut off"):
        await contents(backend, KEY)


async def test_listings_are_read_page_by_page(
    plain: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "PAGE", 3)
    backend = backend_of(plain)
    wanted = [f"keys/{n:02}" for n in range(8)]
    for key in wanted:
        await backend.put(key, b"")
    assert await keys(backend, "keys") == wanted
    assert await keys(backend, "keys", "keys/04") == wanted[5:]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<ListBucketResult>{b}{a}</ListBucketResult>", "out of order"),
        ("<ListBucketResult>{a}{a}</ListBucketResult>", "out of order"),
        (
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "no end",
        ),
        ("<ListBucketResult>{a}", "storage answers"),
        ("nothing of the kind", "storage answers"),
        (
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x"
            "</NextContinuationToken></ListBucketResult>",
            "no end",
        ),
    ],
)
@QUIET
async def test_a_listing_that_is_none(
    plain: FakeS3, answer: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "MAX_EMPTY_PAGES", 3)
    entry = (
        "<Contents><Key>{}</Key><Size>1</Size>"
        "<LastModified>2026-11-29T00:00:00.000Z</LastModified></Contents>"
    )
    body = answer.replace("{a}", entry.format("keys/a"))
    body = body.replace("{b}", entry.format("keys/b"))
    plain.behave = lambda _r, _s: Response(200, {}, body.encode())
    with pytest.raises(StorageError, match=reason):
        await keys(backend_of(plain), "keys")


async def test_names_that_are_none_of_ours_are_passed_over(plain: FakeS3) -> None:
    backend = backend_of(plain)
    await backend.put("keys/a", b"")
    for name in ("keys/", "keys/..", "keys/a b", "keys/a//b"):
        plain.objects[f"bucket/{name}"] = plain.objects["bucket/keys/a"]
    assert await keys(backend, "keys") == ["keys/a"]


async def test_an_answer_without_an_end_is_not_taken_into_memory(
    plain: FakeS3,
) -> None:
    plain.behave = lambda _r, _s: Response(200, {}, bytes(20 << 20))
    with pytest.raises(StorageError, match="no S3"):
        await keys(backend_of(plain), "keys")


# -- versions and deletion ------------------------------------------------------------


async def test_the_oldest_version_counts_and_all_of_them_are_deleted(
    versioned: FakeS3,
) -> None:
    backend = backend_of(versioned)
    await backend.put(KEY, b"first")
    await backend.put(f"{KEY}.beside", b"beside")
    [first] = versioned.objects[f"bucket/{KEY}"]
    versioned.objects[f"bucket/{KEY}"] = [
        first,
        type(first)("v8", b"other", "", ""),
        type(first)("v9", b"", "", "", deleted=True),
    ]
    assert await contents(backend, KEY) == b"first"
    assert (await backend.head(KEY)).size == 5
    versioned.asked.clear()
    await backend.delete(KEY)
    gone = [r.query["versionId"] for r in versioned.asked if r.method == "DELETE"]
    assert gone == ["v9", "v8", "v1"], "what is read until the end is the oldest"
    assert await contents(backend, f"{KEY}.beside") == b"beside"


async def test_a_delete_that_is_refused(plain: FakeS3) -> None:
    backend = backend_of(plain)
    await backend.put(KEY, DATA)
    plain.behave = lambda r, serve: (
        refusal(403, "AccessDenied") if r.method == "DELETE" else serve(r)
    )
    with pytest.raises(StorageDeniedError):
        await backend.delete(KEY)
    plain.behave = lambda r, serve: (
        refusal(404, "NoSuchKey") if r.method == "DELETE" else serve(r)
    )
    await backend.delete(KEY)


async def test_storage_asked_to_keep_an_object_takes_its_tag_away(
    versioned: FakeS3,
) -> None:
    backend = backend_of(versioned)
    await backend.put(KEY, DATA)
    await backend.keep(KEY)
    assert [version.tags for version in versioned.objects[f"bucket/{KEY}"]] == [""]
    with pytest.raises(ObjectMissingError):
        await backend.keep("keys/none")
