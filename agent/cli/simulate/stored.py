"""What a storage has of one recording, asked for by name: hosts may list nothing."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final

from agent.access.opening import AUDIO_NAMES, Found
from agent.archive.verification import MAX_OBJECT
from agent.formats.layout import (
    Folder,
    dated,
    envelope_key,
    manifest_key,
    seal_key,
)
from agent.upload.backend import ObjectMissingError, StorageBackend, read_object
from agent.upload.targets import Target

MAX_SECONDS: Final = 60.0
"For all objects of a call of some seconds."


async def fetch(recording_id: str, days: Sequence[date], target: Target) -> Found:
    """All of its objects that are there, under the first of the days that has any.

    Raises StorageError, TimeoutError.
    """
    found = Found(recording_id)
    async with asyncio.timeout(MAX_SECONDS):
        for day in days:
            found = Found(recording_id)
            for key, backend in _named(recording_id, day, target):
                if (data := await _get(backend, key)) is not None:
                    found.take(key.partition(f"{recording_id}.")[2], data)
            if found.audio:
                return found
    return found


def _named(
    recording_id: str, day: date, target: Target
) -> list[tuple[str, StorageBackend]]:
    names = [
        (dated(Folder.AUDIO, day, f"{recording_id}.{suffix}"), target.locked)
        for suffix in sorted(AUDIO_NAMES)
    ]
    names.append((manifest_key(day, recording_id), target.locked))
    names.append((seal_key(day, recording_id), target.locked))
    names.append((envelope_key(day, recording_id), target.state))
    return names


async def _get(backend: StorageBackend, key: str) -> bytes | None:
    try:
        return await read_object(backend, key, MAX_OBJECT)
    except ObjectMissingError:
        return None
