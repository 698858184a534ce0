"""A recording's tags without its audio: for those who look through many."""

from datetime import date
from typing import Final

from agent.archive.store import Archive
from agent.common.errors import AgentError
from agent.formats.age import decrypt
from agent.formats.envelope import SegmentKey
from agent.formats.layout import manifest_key
from agent.formats.manifest import MAX_MANIFEST, Manifest, parse_manifest
from agent.upload.backend import ObjectMissingError, read_object

MAX_SEALED: Final = MAX_MANIFEST + (1 << 20)
"Bytes, with the header of age and its chunks."


class TagsError(AgentError):
    """What is stored as a recording's manifest is not its own."""

    hint = "Run `archive verify` for that day."


async def read_manifest(
    archive: Archive, recording_id: str, day: date, key: SegmentKey
) -> Manifest | None:
    """The manifest of a recording; None if there is none, as where its host died.

    Raises TagsError, AgeError, ManifestError, StorageError.
    """
    name = manifest_key(day, recording_id)
    try:
        sealed = await read_object(archive.locked, name, MAX_SEALED)
    except ObjectMissingError:
        return None
    manifest = parse_manifest(decrypt(sealed, [key.identity]))
    if manifest.id != recording_id:
        raise TagsError(f"{name} is another recording's manifest.")
    return manifest
