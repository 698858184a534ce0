import threading
from collections.abc import Callable, Iterator

import pytest

from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.upload.backend import StorageDeniedError, StorageError
from agent.upload.backends.s3_client import S3Client
from agent.upload.s3_credentials import S3CredentialsError
from tests.fakes.s3 import FakeS3, Request, Response, Serve, fake_s3, refusal


@pytest.fixture
def server() -> Iterator[FakeS3]:
    with fake_s3() as server:
        yield server


class Keyring:
    """Keys that can be changed, as a file's can."""

    def __init__(self) -> None:
        self.keys = StorageKeys("first", "secret")
        self.asked = 0

    def read(self) -> StorageKeys:
        self.asked += 1
        return self.keys


def client_of(endpoint: str, keyring: Keyring, **options: float) -> S3Client:
    destination = Destination("storage[0]", endpoint, "FI")
    return S3Client(Outgoing(RegionConfig()), destination, keyring.read, **options)


async def head(client: S3Client) -> object:
    return await client.call("head_bucket", what="the bucket", Bucket="bucket")


def of(name: str) -> Callable[[Request, Serve], Response]:
    return lambda r, serve: (
        serve(r)
        if f"={name}/" in r.headers["authorization"]
        else refusal(403, "Expired")
    )


async def test_keys_are_read_when_they_are_needed_and_again_when_refused(
    server: FakeS3,
) -> None:
    keyring = Keyring()
    server.behave = of("first")
    client = client_of(server.endpoint, keyring)
    assert keyring.asked == 0
    await head(client)
    await head(client)
    assert keyring.asked == 1
    server.behave = of("second")
    with pytest.raises(StorageDeniedError):
        await head(client)
    keyring.keys = StorageKeys("second", "secret")
    await head(client)
    assert len(server.asked) == 5


async def test_keys_that_cannot_be_read(server: FakeS3) -> None:
    def read() -> StorageKeys:
        raise S3CredentialsError("these are no credentials.")

    destination = Destination("storage[0]", server.endpoint, "FI")
    client = S3Client(Outgoing(RegionConfig()), destination, read)
    with pytest.raises(S3CredentialsError):
        await head(client)


async def test_a_temporary_key_has_its_token_with_it(server: FakeS3) -> None:
    keyring = Keyring()
    keyring.keys = StorageKeys("first", "secret", "the-token")
    await head(client_of(server.endpoint, keyring))
    assert server.asked[0].headers["x-amz-security-token"] == "the-token"


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (502, "BadGateway")]
)
async def test_nothing_is_tried_twice_by_itself(
    server: FakeS3, status: int, code: str
) -> None:
    server.behave = lambda _r, _s: refusal(status, code)
    client = client_of(server.endpoint, Keyring())
    with pytest.raises(StorageError, match=f"{status}") as caught:
        await client.call("list_objects_v2", what="the list", Bucket="bucket")
    assert not caught.value.permanent
    assert len(server.asked) == 1


async def test_storage_that_does_not_answer(server: FakeS3) -> None:
    done = threading.Event()

    def hang(request: Request, serve: Serve) -> Response:
        done.wait(20)
        return serve(request)

    server.behave = hang
    client = client_of(server.endpoint, Keyring(), read_seconds=0.2)
    with pytest.raises(StorageError, match="does not answer"):
        await head(client)
    client = client_of(server.endpoint, Keyring(), call_seconds=0.2)
    with pytest.raises(StorageError, match="come to an end"):
        await head(client)
    done.set()


async def test_nobody_is_there(server: FakeS3) -> None:
    server.close()
    with pytest.raises(StorageError, match="cannot be reached"):
        await head(client_of(server.endpoint, Keyring()))


async def test_a_connection_that_ends_before_an_answer(server: FakeS3) -> None:
    def vanish(_request: Request, _serve: Serve) -> Response:
        raise ConnectionError

    server.behave = vanish
    with pytest.raises(StorageError, match="closed the connection"):
        await head(client_of(server.endpoint, Keyring()))


async def test_tls_towards_who_speaks_none(server: FakeS3) -> None:
    endpoint = server.endpoint.replace("http:", "https:")
    with pytest.raises(StorageError, match="certificate or TLS"):
        await head(client_of(endpoint, Keyring()))
