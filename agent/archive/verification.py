"""One recording against its host's seal: who sealed it, and whether it is what it was.

No key is needed: what is verified is what storage holds. What only who opens it can
tell, the segment's key and its recipients, agent.access.opening verifies as well.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from agent.archive.store import Archive
from agent.common.errors import AgentError
from agent.formats.layout import Folder
from agent.formats.roster import Roster
from agent.formats.seal import (
    MAX_SEAL,
    Hosts,
    SealError,
    SealPlace,
    Statement,
    parse_seal,
    seal_place,
    verify_seal,
)
from agent.formats.sshsig import PublicKey
from agent.upload.backend import read_object

MAX_OBJECT: Final = 1 << 30
"Bytes: two hours of stereo are 115 MB."
SEAL: Final = "seal"
"What a seal's name ends in."


class VerificationError(AgentError):
    """Something of a recording is not what its host stored; `object` says what."""

    hint = "Nothing of it was shown. Keep it as it is, and find out who altered it."

    def __init__(self, object_: str, reason: str) -> None:
        super().__init__(f"{object_}: {reason}")
        self.object = object_
        "Such as `seal`, `wav.age`, `json.age`, `envelope`, `index`."


@dataclass(frozen=True, slots=True)
class Verified:
    """A recording whose objects are as its host sealed them."""

    statement: Statement
    place: SealPlace
    "Where in which chain its seal stands."


def verify_objects(
    recording_id: str, seal: bytes, objects: Mapping[str, bytes], hosts: Hosts
) -> Verified:
    """Hold a recording's objects against its seal.

    `objects` are all but seal and envelope, by what their names end in behind the id
    (`wav.age`, `json.age`, `0.journal`). Raises VerificationError.
    """
    if not seal:
        raise VerificationError(SEAL, "it is missing: nobody says what was stored.")
    try:
        statement = verify_seal(seal, hosts)
    except SealError as error:
        raise VerificationError(SEAL, str(error)) from None
    if statement.id != recording_id:
        raise VerificationError(SEAL, "it is that of another recording.")
    stated = {suffix_of(one.key): one for one in statement.objects}
    if foreign := sorted(objects.keys() - stated.keys()):
        raise VerificationError(foreign[0], "the host has stored no such object.")
    for suffix, one in stated.items():
        if suffix not in objects:
            raise VerificationError(suffix, "it is missing.")
        data = objects[suffix]
        if (len(data), hashlib.sha256(data).hexdigest()) != (one.size, one.sha256):
            raise VerificationError(suffix, "it is not what the host has stored.")
    return Verified(statement, seal_place(seal, statement))


def hosts_of(roster: Roster, seal: bytes) -> dict[str, tuple[PublicKey, ...]]:
    """The hosts' keys that may have made a seal, by the day that it names."""
    try:
        day = date.fromisoformat(parse_seal(seal).day)
    except SealError:
        return {}  # who verifies it says what is wrong with it
    return roster.host_keys(day)


async def verify_recording(
    archive: Archive, recording_id: str, day: date, roster: Roster
) -> Verified:
    """Read a recording's objects and hold them against its seal.

    Raises VerificationError, StorageError.
    """
    seal, objects = b"", {}
    for folder in (Folder.AUDIO, Folder.MANIFEST):
        for stored in await archive.objects(folder, recording_id, day):
            if stored.name.suffix == SEAL:
                seal = await read_object(archive.locked, stored.key, MAX_SEAL)
            else:
                data = await read_object(archive.locked, stored.key, MAX_OBJECT)
                objects[stored.name.suffix] = data
    verified = verify_objects(recording_id, seal, objects, roster.host_keys(day))
    if verified.statement.day != day.isoformat():
        raise VerificationError(SEAL, "the recording lies under another day.")
    return verified


def suffix_of(key: str) -> str:
    """What an object's name has behind its id and a dot."""
    return key.rpartition("/")[2].partition(".")[2]
