"""A recording's tags without its audio: for those who look through many."""

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Final

from agent.archive.store import Archive
from agent.common.errors import AgentError
from agent.formats.age import decrypt
from agent.formats.envelope import SegmentKey
from agent.formats.layout import manifest_key, seal_key
from agent.formats.manifest import MAX_MANIFEST, Manifest, parse_manifest
from agent.formats.seal import MAX_SEAL, verify_seal
from agent.formats.sshsig import PublicKey
from agent.upload.backend import ObjectMissingError, read_object

MAX_SEALED: Final = MAX_MANIFEST + (1 << 20)
"Bytes, with the header of age and its chunks."


class TagsError(AgentError):
    """What is stored as a recording's manifest is not its own."""

    hint = "Run `archive verify` for that day."


async def read_manifest(
    archive: Archive,
    recording_id: str,
    day: date,
    key: SegmentKey,
    *,
    hosts: Mapping[str, tuple[PublicKey, ...]] | None = None,
) -> Manifest | None:
    """The manifest of a recording; None if there is none, as where its host died.

    With `hosts`, only one that such a host has sealed, for that day and key. Raises
    TagsError, SealError, AgeError, ManifestError, StorageError.
    """
    name = manifest_key(day, recording_id)
    try:
        sealed = await read_object(archive.locked, name, MAX_SEALED)
    except ObjectMissingError:
        return None
    if hosts is not None:
        await _check_seal(archive, recording_id, day, sealed=sealed, hosts=hosts)
    manifest = parse_manifest(decrypt(sealed, [key.identity]))
    if manifest.id != recording_id:
        raise TagsError(f"{name} is another recording's manifest.")
    return manifest


async def _check_seal(
    archive: Archive,
    recording_id: str,
    day: date,
    *,
    sealed: bytes,
    hosts: Mapping[str, tuple[PublicKey, ...]],
) -> None:
    try:
        data = await read_object(archive.locked, seal_key(day, recording_id), MAX_SEAL)
    except ObjectMissingError:
        raise TagsError("no host has sealed the recording.") from None
    statement = verify_seal(data, hosts)
    digest = hashlib.sha256(sealed).hexdigest()
    name = manifest_key(day, recording_id)
    if (statement.id, statement.day) != (recording_id, day.isoformat()):
        raise TagsError("the seal is another recording's.")
    if digest not in {one.sha256 for one in statement.objects if one.key == name}:
        raise TagsError(f"{name} is not what its host has sealed.")
