"""Builds the agent's parts from what is configured; `app` says in which order.

What a part is given here it is given once: nothing is started, and nothing is closed.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path

import structlog

from agent.archive.host_log import HostLog
from agent.call.keeper import Keeper
from agent.common.clock import utc_ns
from agent.common.ids import new_id
from agent.media.encoding import encode
from agent.media.events import MediaEvent
from agent.media.pool import MediaPool
from agent.media.sound import Sound
from agent.media.tones import busy, congestion, ringback
from agent.model.recording import RecordingState
from agent.recording.dispatch import Dispatch
from agent.recording.ledger import Ledger
from agent.recording.room import NoRoomError, SpoolRoom
from agent.recording.seal_chain import SealChain
from agent.recording.spool import Spool
from agent.service.config import Config
from agent.service.drain import Drain
from agent.service.health import Health, Signs
from agent.service.material import Material
from agent.service.witness import Witness
from agent.upload.uploader import Uploader


def build_witness(config: Config, root: Path, material: Material) -> Witness:
    """Who writes the host's audit log, where there is a key to sign it with."""
    signing = material.protection.signing
    log = None
    if signing is not None:
        log = HostLog(
            root / "audit",
            config.agent.name,
            signing,
            [(target.name, target.locked) for target in material.storages],
            rng=random.Random(os.urandom(8)),  # noqa: S311 - jitter
        )
    return Witness(log, config, root)


def build_dispatch(
    config: Config, spool: Spool, material: Material, problem: Callable[[str], None]
) -> Dispatch:
    """Who says what of a recording goes where, and seals it. Raises AgentError."""
    protection, chain = material.protection, None
    if protection.signing is not None:
        name = config.agent.name
        chain = SealChain(spool, protection.signing, name, new_id=new_id, utc_ns=utc_ns)
        chain.open()
    return Dispatch(
        spool,
        chain=chain,
        day_keys=protection.day_keys,
        utc_ns=utc_ns,
        problem=problem,
    )


def build_uploader(
    spool: Spool, ledger: Ledger, dispatch: Dispatch, material: Material
) -> Uploader:
    """Who brings recordings to storage, and has the ledger say so."""
    log = structlog.get_logger()

    async def stored(recording_id: str) -> None:
        await ledger.advance(recording_id, RecordingState.STORED)
        call_id = await ledger.call_of(recording_id)
        log.info("stored", call_id=call_id, recording_id=recording_id)

    async def purged(recording_id: str) -> None:
        await ledger.advance(recording_id, RecordingState.PURGED)

    return Uploader(
        spool,
        material.storages,
        on_stored=stored,
        on_purged=purged,
        objects_of=dispatch.objects,
    )


def build_media(
    config: Config,
    spool: Spool,
    root: Path,
    keeper: Keeper | None,
    on_event: Callable[[MediaEvent], None],
) -> MediaPool:
    """The pool of media workers: children, or units of their own."""
    # With a runtime directory of the unit's, the workers are units too.
    shared = os.environ.get("RUNTIME_DIRECTORY") if keeper is not None else None
    return MediaPool(
        config.media,
        runtime_directory=Path(shared) if shared else root / "run",
        on_event=on_event,
        journal_directory=spool.journal_directory,
        workers_apart=bool(shared),
    )


def rtp_addresses(config: Config) -> set[str]:
    """Addresses of ours that calls need RTP ports on."""
    own = {peer.media_address for peer in config.peers if peer.media_address}
    return {config.media.address, *own}


def build_room(config: Config, spool: Spool) -> SpoolRoom:
    """Who watches how full the spool's disk is."""
    return SpoolRoom(
        spool.journal_directory,
        high_water=config.recording.spool_high_water,
        min_free=config.recording.min_free_mb << 20,
    )


def build_health(
    media: MediaPool,
    room: SpoolRoom,
    uploader: Uploader,
    dispatch: Dispatch,
    drain: Drain,
) -> Health:
    """Who judges whether the daemon lives, and should be sent calls."""

    def signs() -> Signs:
        no_room = ""
        try:
            room.check()
        except NoRoomError as error:
            no_room = str(error)
        return Signs(
            workers=media.workers,
            no_room=no_room,
            away=tuple(line.target.name for line in uploader.lines if line.away),
            day_keys_for=dispatch.coming_days(),
            draining=drain.on,
        )

    return Health(signs)


def build_sounds(config: Config, material: Material) -> list[Sound]:
    """Notices and tones, in every codec that a route may need them in."""
    tones = config.tones
    sounds = [
        *material.notices.values(),
        ringback(frequency=tones.frequency, cadence=tones.ringback),
        busy(frequency=tones.frequency, cadence=tones.busy),
        congestion(frequency=tones.frequency, cadence=tones.congestion),
    ]
    codecs = {name for route in config.routes for name in route.codecs}
    return [encode(sound, codecs) for sound in sounds]
