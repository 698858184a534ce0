"""Storage in a bucket that speaks S3: one conditional put per object, then proven."""

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, Literal

from botocore.exceptions import ClientError

from agent.formats.layout import Folder
from agent.upload.backend import (
    CHUNK,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectInfo,
    StorageDeniedError,
    StorageError,
    check_key,
    folder_of,
    is_key,
)
from agent.upload.backends.s3_bucket import Bucket
from agent.upload.backends.s3_client import S3Client
from agent.upload.backends.s3_errors import told
from agent.upload.backends.s3_lock import Lock

PIECE: Final = 4 * CHUNK
"Bytes of one ranged read."
PAGE: Final = 1000
MAX_EMPTY_PAGES: Final = 1000
"One after the other, of a listing; some servers pass over deleted names so."
EXPIRING: Final = frozenset({Folder.AUDIO, Folder.MANIFEST, Folder.KEYS, Folder.INDEX})
"What the bucket's own lifecycle may remove, long after our sweep should have."
TAG: Final = "expiry=normal"
"What such objects are tagged with."


class S3Backend:
    """One bucket, or the folder `prefix` of it."""

    page_costs: ClassVar[int] = 4

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str = "",
        *,
        lock: Literal["none", "governance", "compliance"] = "none",
    ) -> None:
        """`lock` is what the bucket's default is to give every object."""
        self._client = client
        self._bucket = Bucket(client, bucket, prefix)
        self._lock = Lock(client, bucket, lock)
        self._may_list_versions = True

    async def put(self, key: str, source: Path | bytes, *, sha256: str = "") -> None:
        arguments: dict[str, Any] = {"IfNoneMatch": "*"}
        if key.partition("/")[0] in EXPIRING:
            arguments["Tagging"] = TAG
        size = len(source) if isinstance(source, bytes) else _size(source)
        version = await self._put(key, source, size, sha256, arguments)
        await self._check_first(key, version)
        if sha256 and not await self._holds(key, sha256, size, version):
            raise ObjectDamagedError(f"{key} holds other bytes.")

    async def holds(self, key: str, *, sha256: str, size: int) -> bool:
        return await self._holds(key, sha256, size, "")

    async def get(self, key: str) -> AsyncIterator[bytes]:
        name = self._bucket.at(key)
        if await self._bucket.keeps_versions():
            name["VersionId"] = (await self._bucket.oldest(key)).id
        async for chunk in self._pieces(key, name):
            yield chunk

    async def head(self, key: str) -> ObjectInfo:
        if await self._bucket.keeps_versions():
            oldest = await self._bucket.oldest(key)
            return ObjectInfo(key, oldest.size, _ns(oldest.modified))
        answer = await self._bucket.call("head_object", key)
        modified = _ns(told(answer, "LastModified"))
        return ObjectInfo(key, told(answer, "ContentLength"), modified)

    async def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectInfo]:
        folder = folder_of(prefix)
        more: dict[str, Any] = {"Prefix": self._bucket.prefix + folder}
        if after:
            more["StartAfter"] = self._bucket.prefix + after
        last, empty = after, 0
        what = f"the list of {folder or 'all'}"
        while True:
            page = await self._client.call(
                "list_objects_v2",
                what=what,
                Bucket=self._bucket.name,
                MaxKeys=PAGE,
                **more,
            )
            found = page.get("Contents", [])
            for one in found:
                name = told(one, "Key")
                key = name.removeprefix(self._bucket.prefix)
                if not name.startswith(self._bucket.prefix + folder) or key <= last:
                    raise StorageError(f"{what} is out of order.")
                last = key
                if is_key(key):
                    modified = _ns(told(one, "LastModified"))
                    yield ObjectInfo(key, told(one, "Size"), modified)
            if not page.get("IsTruncated"):
                return
            empty = 0 if found else empty + 1
            if empty > MAX_EMPTY_PAGES or not page.get("NextContinuationToken"):
                raise StorageError(f"{what} has no end.")
            more["ContinuationToken"] = page["NextContinuationToken"]

    async def replace(self, key: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        version = await self._put(key, data, len(data), digest, {})
        if not await self._holds(key, digest, len(data), version):
            raise ObjectDamagedError(f"{key} holds other bytes.")
        if await self._bucket.keeps_versions():
            await self._bucket.delete_versions(key, but=version)

    async def delete(self, key: str) -> None:
        check_key(key)
        if await self._bucket.keeps_versions():
            await self._bucket.delete_versions(key)
        else:
            await self._bucket.delete(key)

    async def keep(self, key: str) -> None:
        check_key(key)
        if not await self._bucket.keeps_versions():
            await self._bucket.call("head_object", key)
            await self._bucket.call("delete_object_tagging", key)
            return
        versions = await self._bucket.version_ids(key)
        if not versions:
            await self._bucket.oldest(key)  # says that it is not there
        for version in versions:
            await self._bucket.call("delete_object_tagging", key, VersionId=version)

    async def _check_first(self, key: str, version: str) -> None:
        """Let one put win where storage has let several at once make versions.

        Raises ObjectExistsError. Who may not list versions, as hosts may not, puts
        only names that nobody else has.
        """
        if not version or not self._may_list_versions:
            return
        try:
            oldest = await self._bucket.oldest(key)
        except StorageDeniedError:
            self._may_list_versions = False
            return
        if oldest.id == version:
            return
        if not self._lock.wanted:
            await self._bucket.delete(key, version)
        raise ObjectExistsError(f"{key} exists.")

    # -- one object -----------------------------------------------------------------

    async def _put(
        self,
        key: str,
        source: Path | bytes,
        size: int,
        sha256: str,
        arguments: dict[str, Any],
    ) -> str:
        """Put it in one request; returns the version that was made, if any."""
        if isinstance(source, bytes):
            sha256 = sha256 or hashlib.sha256(source).hexdigest()
        if sha256:
            # Storage refuses what arrives as anything else.
            arguments["ChecksumSHA256"] = _base64(sha256)
            # Some do so only if they are told of it a second time.
            arguments["ChecksumAlgorithm"] = "SHA256"
        arguments |= self._bucket.at(key)

        def put(s3: Any) -> Any:
            if isinstance(source, bytes):
                return s3.put_object(Body=source, **arguments)
            with source.open("rb") as file:
                # Looked at before: what has been put cannot be taken back.
                if sha256 and _digest(file) != sha256:
                    raise ObjectDamagedError(f"{key} was to be other bytes.")
                return s3.put_object(Body=file, **arguments)

        answer = await self._client.run(key, put, size=size)
        return str(answer.get("VersionId", ""))

    async def _holds(self, key: str, sha256: str, size: int, version: str) -> bool:
        """Whether storage says so of its own checksum; if it keeps none, reads it."""
        which = {"VersionId": version} if version else {}
        answer = await self._bucket.call(
            "head_object", key, ChecksumMode="ENABLED", **which
        )
        await self._lock.check(key, answer)
        if told(answer, "ContentLength") != size:
            return False
        if checksum := answer.get("ChecksumSHA256"):
            return bool(checksum == _base64(sha256))
        digest, left = hashlib.sha256(), size
        async for chunk in self._pieces(key, self._bucket.at(key) | which):
            digest.update(chunk)
            left -= len(chunk)
            if left < 0:
                return False
        return digest.hexdigest() == sha256

    async def _pieces(self, key: str, at: dict[str, Any]) -> AsyncIterator[bytes]:
        """What one version holds, in ranged reads: no connection waits for a reader."""
        offset, total = 0, 1
        while offset < total:
            wanted = {"Range": f"bytes={offset}-{offset + PIECE - 1}", **at}

            def read(
                s3: Any, wanted: dict[str, Any] = wanted
            ) -> tuple[bytes, int, str]:
                return _read(s3, wanted)

            try:
                piece, total, etag = await self._client.run(key, read, size=PIECE)
            except ObjectExistsError:  # the condition below does not hold
                raise StorageError(f"{key} was replaced while it was read.") from None
            if len(piece) != min(PIECE, total - offset):
                raise StorageError(f"{key}: storage's answer is cut off.")
            for start in range(0, len(piece), CHUNK):
                yield piece[start : start + CHUNK]
            offset += len(piece)
            at |= {"IfMatch": etag}


def _read(s3: Any, wanted: dict[str, Any]) -> tuple[bytes, int, str]:
    """A piece, how large the whole is, and what names this state of it."""
    try:
        answer = s3.get_object(**wanted)
    except ClientError as error:
        # Of an empty object no range can be had.
        meta = error.response.get("ResponseMetadata", {})
        if meta.get("HTTPStatusCode") == 416 and wanted["Range"].startswith("bytes=0-"):
            return b"", 0, ""
        raise
    with answer["Body"] as body:
        piece = body.read(PIECE + 1)
    _, _, whole = answer.get("ContentRange", "").rpartition("/")
    total = int(whole) if whole.isdigit() else told(answer, "ContentLength")
    return piece, total, answer.get("ETag", "")


def _digest(file: BinaryIO) -> str:
    digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    return digest


def _size(source: Path) -> int:
    try:
        return source.stat().st_size
    except FileNotFoundError:
        return 0  # said by whoever opens it


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
