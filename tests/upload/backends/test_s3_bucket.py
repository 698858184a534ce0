from typing import Any

import pytest

from agent.upload.backend import ObjectMissingError, StorageError
from agent.upload.backends import s3_bucket
from agent.upload.backends.s3_bucket import Bucket

STORED = "2026-11-29"


class Pages:
    """A client whose listings come from a list; the other requests are written down."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = list(pages)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def call(self, operation: str, *, what: str, **arguments: Any) -> Any:
        self.asked.append((operation, arguments))
        if operation != "list_object_versions":
            return {"Status": "Suspended"}
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


def version(number: int, key: str = "site/keys/a") -> dict[str, Any]:
    return {
        "Key": key,
        "VersionId": f"v{number}",
        "Size": number,
        "LastModified": STORED,
    }


def more(page: dict[str, Any]) -> dict[str, Any]:
    goes_on = {"NextKeyMarker": "k", "NextVersionIdMarker": "v"}
    return page | {"IsTruncated": True} | goes_on


def bucket_of(*pages: dict[str, Any]) -> tuple[Bucket, Pages]:
    client = Pages(*pages)
    return Bucket(client, "bucket", "site"), client  # type: ignore[arg-type]


async def test_the_oldest_is_the_last_one_of_the_last_page() -> None:
    longer = version(1, "site/keys/a.more")
    bucket, client = bucket_of(
        more({"Versions": [version(9), version(8)]}),
        more({"DeleteMarkers": [version(7)]}),
        {"Versions": [version(6), longer]},
    )
    assert (await bucket.oldest("keys/a")).id == "v6"
    assert [a.get("KeyMarker") for _, a in client.asked] == [None, "k", "k"]


async def test_the_pages_of_longer_names_are_not_read() -> None:
    bucket, client = bucket_of(
        more({"Versions": [version(2), version(1, "site/keys/a.more")]}),
        more({"Versions": [version(1, "site/keys/a.more")]}),
    )
    assert (await bucket.oldest("keys/a")).id == "v2"
    assert len(client.asked) == 2


async def test_an_object_of_which_only_the_deletion_is_left() -> None:
    bucket, _ = bucket_of({"DeleteMarkers": [version(3)]})
    with pytest.raises(ObjectMissingError):
        await bucket.oldest("keys/a")
    assert await bucket.version_ids("keys/a") == []


async def test_deletes_all_of_one_object_and_nothing_beside_it() -> None:
    beside = version(1, "site/keys/a.more")
    bucket, client = bucket_of(
        more({"Versions": [version(5), version(4)], "DeleteMarkers": [version(9)]}),
        {"Versions": [version(3), version(2), beside]},
    )
    await bucket.delete_versions("keys/a", but="v2")
    gone = [a["VersionId"] for name, a in client.asked if name == "delete_object"]
    assert gone == ["v9", "v5", "v4", "v3"]


async def test_versions_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_bucket, "MAX_PAGES", 3)
    bucket, client = bucket_of(more({"Versions": [version(1)]}))
    with pytest.raises(StorageError, match="without end"):
        await bucket.delete_versions("keys/a")
    await bucket.oldest("keys/a")
    assert len(client.asked) == 9


async def test_a_bucket_is_asked_once_whether_it_keeps_versions() -> None:
    bucket, client = bucket_of({})
    for _ in range(3):
        assert await bucket.keeps_versions()
    assert len(client.asked) == 1
