"""How it stands with the host: room in the spool, and what waits."""

from collections.abc import Callable

import msgspec

from agent.call.sealing import Sealing
from agent.recording.dispatch import Dispatch
from agent.recording.room import SpoolRoom
from agent.upload.uploader import Uploader


class StorageStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One central storage."""

    name: str
    to_store: int
    "Recordings that it has not got …"
    to_store_for: float | None
    "… the first of them for so many seconds; None if there is none."
    away: bool
    "Whether it failed when it was last asked."


class HostStatus(msgspec.Struct, frozen=True, kw_only=True):
    """No number and no name."""

    spool_used: float
    "Fraction of its file system, 0 to 1 …"
    spool_high_water: float
    "… from which on no recording begins."
    spool_free_mb: int
    spool_alarm: bool
    "Whether the mark was passed, and the level is not well below it again."
    to_finish: int
    "Recordings whose call has ended, and that are not sealed yet …"
    to_finish_for: float | None
    "… the first of them for so many seconds; None if there is none."
    finishing_alarm: bool
    "Whether so many wait that no recording begins."
    to_store: int
    "Recordings sealed and not stored yet …"
    to_store_for: float | None
    "… the first of them for so many seconds."
    storage_away: bool
    "Whether a storage failed when it was last asked."
    storages: tuple[StorageStatus, ...] = ()
    "Each of them: a recording is stored when all have it."
    day_keys_for: int | None = None
    "Days from today on that the gate's list has keys for; None without a gate."


def host_status(
    room: SpoolRoom,
    sealing: Sealing,
    uploader: Uploader,
    dispatch: Dispatch,
    utc_ns: Callable[[], int],
) -> HostStatus:
    """How it stands now. Raises OSError if the spool cannot be read."""
    level, now = room.look(), utc_ns()

    def seconds_since(moment: int | None) -> float | None:
        # A clock may have been stepped back meanwhile.
        return None if moment is None else max(0.0, (now - moment) / 1e9)

    return HostStatus(
        spool_used=level.fraction,
        spool_high_water=room.high_water,
        spool_free_mb=level.free >> 20,
        spool_alarm=room.high,
        to_finish=sealing.waiting,
        to_finish_for=seconds_since(sealing.waiting_since()),
        finishing_alarm=sealing.full,
        to_store=uploader.pending,
        to_store_for=seconds_since(uploader.waiting_since()),
        storage_away=uploader.away,
        storages=tuple(
            StorageStatus(
                name=line.target.name,
                to_store=len(line),
                to_store_for=seconds_since(uploader.waiting_since(line)),
                away=line.away,
            )
            for line in uploader.lines
        ),
        day_keys_for=dispatch.coming_days(),
    )
