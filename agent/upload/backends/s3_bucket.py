"""The objects of one bucket, below a prefix, and what versions it keeps of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agent.upload.backend import (
    ObjectLockedError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
    check_key,
    folder_of,
)
from agent.upload.backends.s3_client import S3Client
from agent.upload.backends.s3_errors import told
from agent.upload.backends.s3_lock import is_locked

MAX_PAGES: Final = 100
"Of one object's versions."


@dataclass(frozen=True, slots=True)
class Version:
    """One of an object's."""

    id: str
    size: int
    modified: datetime


class Bucket:
    """Requests about keys, which are those of a StorageBackend."""

    def __init__(self, client: S3Client, name: str, prefix: str) -> None:
        self.client = client
        self.name = name
        self.prefix = folder_of(prefix)
        self._versioned: bool | None = None

    def at(self, key: str) -> dict[str, Any]:
        """What names an object in a request. Raises BadKeyError."""
        return {"Bucket": self.name, "Key": self.prefix + check_key(key)}

    async def call(self, operation: str, key: str, **arguments: Any) -> Any:
        """Ask something about one object. Raises StorageError."""
        return await self.client.call(operation, what=key, **self.at(key), **arguments)

    async def keeps_versions(self) -> bool:
        """Whether an object may have several. Raises StorageError."""
        if self._versioned is None:
            answer = await self.client.call(
                "get_bucket_versioning", what=self.name, Bucket=self.name
            )
            self._versioned = answer.get("Status") in {"Enabled", "Suspended"}
        return self._versioned

    async def oldest(self, key: str) -> Version:
        """Where storage lets a put overwrite, the first one is the one that counts.

        Raises ObjectMissingError, StorageError.
        """
        oldest = None
        after: dict[str, Any] = {}
        # The newest come first, in the order in which storage took them; that their
        # times have too few digits to tell.
        for _ in range(MAX_PAGES):
            page = await self._page(key, after)
            mine = self._mine(key, page, "Versions")
            if mine:
                oldest = mine[-1]
            some = mine or self._mine(key, page, "DeleteMarkers")
            if not page.get("IsTruncated") or not some:
                break
            after = {
                "KeyMarker": told(page, "NextKeyMarker"),
                "VersionIdMarker": told(page, "NextVersionIdMarker"),
            }
        if oldest is None:
            raise ObjectMissingError(f"{key} is not there.")
        return Version(
            told(oldest, "VersionId"),
            told(oldest, "Size"),
            told(oldest, "LastModified"),
        )

    async def version_ids(self, key: str) -> list[str]:
        """Of the newest versions of an object, the newest first."""
        page = await self._page(key, {})
        return [told(one, "VersionId") for one in self._mine(key, page, "Versions")]

    async def delete(self, key: str, version: str = "") -> None:
        """One version, or in a bucket without versions the object.

        Raises ObjectLockedError, StorageError.
        """
        which = {"VersionId": version} if version else {}
        try:
            await self.call("delete_object", key, **which)
        except ObjectMissingError:
            return
        except StorageDeniedError:
            if is_locked(await self.call("head_object", key, **which)):
                raise ObjectLockedError(f"{key} is locked.") from None
            raise

    async def delete_versions(self, key: str, *, but: str = "") -> None:
        """The newest first: what is read until the end is what was always read.

        Raises ObjectLockedError, StorageError.
        """
        for _ in range(MAX_PAGES):
            page = await self._page(key, {})
            marks = self._mine(key, page, "DeleteMarkers")
            found = [*marks, *self._mine(key, page, "Versions")]
            doomed = [v for one in found if (v := told(one, "VersionId")) != but]
            for version in doomed:
                await self.delete(key, version)
            if not doomed or not page.get("IsTruncated"):
                return
        raise StorageError(f"{key} has versions without end.")

    async def _page(self, key: str, after: dict[str, Any]) -> Any:
        # Names that go on where this one ends come after all of its versions.
        return await self.client.call(
            "list_object_versions",
            what=key,
            Bucket=self.name,
            Prefix=self.prefix + check_key(key),
            **after,
        )

    def _mine(self, key: str, page: Any, kind: str) -> list[Any]:
        """The object's own of the versions or delete markers on a page."""
        name = self.prefix + key
        return [one for one in page.get(kind, []) if told(one, "Key") == name]
