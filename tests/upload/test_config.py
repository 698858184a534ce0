import msgspec
import pytest

from agent.upload.config import StorageConfig


def test_names_two_places() -> None:
    config = msgspec.convert(
        {"locked_url": "file:///srv/locked", "url": "file:///srv/state"}, StorageConfig
    )
    assert (config.locked_url, config.url) == (
        "file:///srv/locked",
        "file:///srv/state",
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"url": "s3://bucket"}, "url must be a file"),
        ({"url": "file://host/srv"}, "url must be a file"),
        ({"locked_url": "/srv/locked"}, "locked_url must be a file"),
        ({"url": "file:///srv/locked"}, "must differ"),
        ({"bucket": "x"}, "unknown field"),
    ],
)
def test_refuses(changed: dict[str, str], reason: str) -> None:
    raw = {"locked_url": "file:///srv/locked", "url": "file:///srv/state"} | changed
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(raw, StorageConfig)
