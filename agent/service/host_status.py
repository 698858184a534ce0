"""How it stands with the host: room in the spool, what waits, and who is there."""

from collections.abc import Callable, Iterable

import msgspec

from agent.call.config import PeerConfig
from agent.call.sealing import Sealing
from agent.media.pool import MediaPool
from agent.recording.dispatch import Dispatch
from agent.recording.room import SpoolRoom
from agent.service.alarm_board import Alarm
from agent.signalling.prober import Prober
from agent.signalling.probing import PeerState
from agent.signalling.registrar import Registrar
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


class PeerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One configured peer."""

    name: str
    up: bool | None = None
    "Whether it answers when it is asked; None if it is not, or has not said yet."
    registered: bool | None = None
    "Whether its registrar knows where to find us; None if it need not."


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One place for a media worker."""

    number: int
    alive: bool
    restarts: int
    "Workers that died in this place since the start."
    version: str = ""
    "Of the release that who is in it was started from; empty if nobody is."


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
    peers: tuple[PeerStatus, ...] = ()
    "As they are configured."
    workers: tuple[WorkerStatus, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    "Those that are on, the oldest first."
    draining: bool = False
    "Whether no new call is taken, but for emergency calls."
    broker_away: bool | None = None
    "Whether the MQTT broker is not there; None if none is configured, or asked yet."


def peer_statuses(
    peers: Iterable[PeerConfig], prober: Prober, registrars: Iterable[Registrar]
) -> tuple[PeerStatus, ...]:
    """What is known of each peer now."""
    registered = {one.peer: one.registered for one in registrars}
    up = {PeerState.UP: True, PeerState.DOWN: False}
    return tuple(
        PeerStatus(
            name=peer.name,
            up=up.get(prober.state_of(peer.name)) if peer.probe else None,
            registered=registered.get(peer.name),
        )
        for peer in peers
    )


def host_status(
    *,
    room: SpoolRoom,
    sealing: Sealing,
    uploader: Uploader,
    dispatch: Dispatch,
    media: MediaPool,
    peers: Callable[[], tuple[PeerStatus, ...]],
    broker_away: Callable[[], bool | None],
    draining: Callable[[], bool] = lambda: False,
    alarms: Callable[[], tuple[Alarm, ...]] = tuple,
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
        peers=peers(),
        draining=draining(),
        broker_away=broker_away(),
        alarms=alarms(),
        workers=tuple(
            WorkerStatus(
                number=number,
                alive=worker.up,
                restarts=worker.lost,
                version=worker.release,
            )
            for number, worker in enumerate(media.workers)
        ),
    )
