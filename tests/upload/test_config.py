import msgspec
import pytest

from agent.upload.config import StorageConfig, bucket_of

DIRECTORY = {"locked_url": "file:///srv/locked", "url": "file:///srv/state"}
S3 = {
    "locked_url": "s3://recordings-locked",
    "url": "s3://recordings-state/site/one",
    "endpoint": "https://s3.test:9000",
    "credentials": "credential:s3",
}


def test_names_two_places() -> None:
    config = msgspec.convert(DIRECTORY, StorageConfig)
    assert (config.locked_url, config.url) == tuple(DIRECTORY.values())
    assert not config.is_s3
    assert config.destination(1).name == "storage[1]"
    assert config.destination(1).is_directory


def test_names_two_buckets() -> None:
    config = msgspec.convert(S3 | {"lock": "governance", "name": "b-1"}, StorageConfig)
    assert config.is_s3
    assert bucket_of(config.url) == ("recordings-state", "site/one")
    assert bucket_of(config.locked_url) == ("recordings-locked", "")
    assert config.destination(0).url == "https://s3.test:9000"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_in_the_clear_only_on_this_host(host: str) -> None:
    msgspec.convert(S3 | {"endpoint": f"http://{host}:9000"}, StorageConfig)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"url": "file://host/srv"}, "url must be a file"),
        ({"locked_url": "/srv/locked"}, "locked_url must be a file"),
        ({"url": "file:///srv/locked"}, "must differ"),
        ({"url": "s3://bucket"}, "of one kind"),
        ({"bucket": "x"}, "unknown field"),
        ({"name": "a b"}, "name is"),
        ({"endpoint": "https://s3.test"}, "endpoint is for s3"),
        ({"credentials": "x"}, "credentials is for s3"),
        ({"ca": "x"}, "ca is for s3"),
        ({"lock": "governance"}, "directories lock nothing"),
        ({"lock": "some"}, "lock"),
    ],
)
def test_refuses_of_a_directory(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(DIRECTORY | changed, StorageConfig)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"url": "s3://recordings-locked/other"}, "two buckets"),
        ({"url": "s3://"}, "no name of a bucket"),
        ({"url": "s3://Bucket"}, "no name of a bucket"),
        ({"url": "s3://bucket/../x"}, "prefix"),
        ({"url": "s3://bucket/a?b"}, "prefix"),
        ({"url": "s3://bucket/a#b"}, "prefix"),
        ({"endpoint": ""}, "endpoint is missing"),
        ({"credentials": ""}, "credentials is missing"),
        ({"endpoint": "s3.test"}, "endpoint must"),
        ({"endpoint": "https://s3.test/path"}, "endpoint must"),
        ({"endpoint": "https://s3.test:port"}, "endpoint must"),
        ({"endpoint": "https://me@s3.test"}, "endpoint must"),
        ({"endpoint": "http://s3.test"}, "only on this host"),
        ({"endpoint": "ftp://127.0.0.1"}, "only on this host"),
    ],
)
def test_refuses_of_an_object_store(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(S3 | changed, StorageConfig)
