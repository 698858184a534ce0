"""The configuration, read again while calls are carried: all of it counts, or nothing.

It is read and judged beside the loop, with every file that it names, as at the start.
Only if nothing is wrong is it used, between two turns of the loop: no call sees half of
it. Calls that are up keep the routes and notices that they began with.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from agent.call.routing import RouteTable
from agent.call.siprec.sources import RecordingSources
from agent.common.clock import monotonic_ns
from agent.common.errors import AgentError
from agent.common.logs import Level
from agent.common.service_manager import ServiceManager
from agent.common.strict_toml import ConfigError
from agent.common.tasks import TaskSet
from agent.identity.numbers import mask
from agent.media.pool import MediaPool
from agent.media.sound import Sound
from agent.service.config import Config
from agent.service.material import Material, read_material
from agent.service.parts import build_sounds
from agent.service.peer_secrets import PeerSecrets
from agent.service.peer_watch import PeerWatch
from agent.service.people import remember_roster
from agent.service.protection import Renewal, remember_day_keys
from agent.service.reloadable import merged
from agent.service.sip_parts import certificate_names
from agent.service.witness import Witness
from agent.signalling.useragent import UserAgent
from agent.upload.uploader import Uploader

MAX_RETIRED: Final = 32
"Notices that may still be heard, though no route has them any more."
_NUMBER: Final = re.compile(r"\+?[0-9]{5,}")
"In a mistake: it quotes what is wrong."


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The parts that go by a configuration, and can be given another."""

    routes: RouteTable
    sources: RecordingSources
    secrets: PeerSecrets
    user_agent: UserAgent
    peers: PeerWatch
    media: MediaPool
    uploader: Uploader
    renewal: Renewal
    witness: Witness
    set_level: Callable[[Level], None]


@dataclass(frozen=True, slots=True)
class _Read:
    config: Config
    material: Material
    sounds: tuple[Sound, ...]
    left: tuple[str, ...]


class Reloading:
    """Reads again at a signal; `read` gives the file as it is now."""

    def __init__(
        self,
        read: Callable[[], Config],
        base: Path,
        *,
        config: Config,
        material: Material,
        running: Running,
        manager: ServiceManager,
    ) -> None:
        """`config` and `material` are what the parts of `running` go by."""
        self._reader = read
        self._base = base
        self._config = config
        self._material = material
        self._running = running
        self._manager = manager
        self._tasks = TaskSet(self._failed)
        self._sounds = tuple(build_sounds(config, material))
        self._busy = self._again = False
        self._log = structlog.get_logger()
        self.notes: tuple[str, ...] = ()
        "What somebody should know of the last time; empty if all of it is in use."

    @property
    def config(self) -> Config:
        """What is in use."""
        return self._config

    def __call__(self) -> None:
        """Begin to; while it is being done: do it once more after that."""
        if self._busy:
            self._again = True
            return
        self._busy = True
        now_us = monotonic_ns() // 1000
        self._manager.tell("RELOADING=1", f"MONOTONIC_USEC={now_us}")
        self._tasks.spawn(self._reload(), name="reload")

    async def _reload(self) -> None:
        try:
            self._again = True
            while self._again:
                self._again = False
                await self._once()
        finally:
            self._busy = False
            self._manager.tell("READY=1")

    async def close(self) -> None:
        """Read no more."""
        await self._tasks.close()

    async def _once(self) -> None:
        try:
            found = await asyncio.to_thread(self._read)
            for sound in found.sounds:
                self._running.media.add_sound(sound)
        except ConfigError as error:
            self._refuse(error.mistakes)
            return
        except (AgentError, OSError) as error:
            self._refuse((str(error),))
            return
        self._use(found)
        spool = self._base / self._config.agent.spool
        try:
            await asyncio.to_thread(remember_roster, self._material.people, spool)
            protection = self._running.renewal.protection
            await asyncio.to_thread(remember_day_keys, protection, spool)
        except AgentError as error:
            self._log.error("serial_not_remembered", reason=str(error))
        await self._running.peers.use(
            self._config.peers, self._material.credentials.accounts
        )

    def _read(self) -> _Read:
        """All there is, judged. Raises AgentError, OSError."""
        config, left = merged(self._config, self._reader())
        material = read_material(config, self._base, storages=self._material.storages)
        # Its patterns and addresses are judged as it is made.
        RouteTable(
            config.peers,
            config.routes,
            emergency=config.recording.emergency,
            exempt=config.recording.exempt,
            identity=config.identity,
        )
        sounds = tuple(
            sound
            for sound in build_sounds(config, material)
            if sound not in self._sounds
        )
        return _Read(config, material, sounds, left)

    def _use(self, found: _Read) -> None:
        """Give every part what was read. Nothing in here fails or waits."""
        config, material, parts = found.config, found.material, self._running
        old = self._material
        parts.routes.replace(
            config.peers,
            config.routes,
            emergency=config.recording.emergency,
            exempt=config.recording.exempt,
            identity=config.identity,
        )
        parts.sources.replace(config.siprec)
        parts.secrets.replace(material.credentials)
        parts.user_agent.replace_certificate_names(certificate_names(config))
        old.people.become(material.people)
        parts.renewal.use(material.protection)
        if old.tls is not None and material.tls is not None:
            old.tls.become(material.tls)
        self._renew_notices(material)
        parts.set_level(config.log.level)
        self._config = config
        # People, notices and TLS stay the objects that calls know.
        self._material = replace(
            material,
            people=old.people,
            notices=old.notices,
            tls=old.tls,
            storages=old.storages,
        )
        self._sounds = (*self._sounds, *found.sounds)[-4 * MAX_RETIRED :]
        for warning in material.warnings:
            self._log.warning("configuration", reason=warning)
        self.notes = ()
        if found.left:
            self.notes = (f"needs a restart: {', '.join(found.left)}",)
            self._log.warning("restart_needed", keys=list(found.left))
        self._log.info("configuration_reloaded")
        parts.witness.reloaded()

    def _renew_notices(self, material: Material) -> None:
        """Routes name the new ones; those that still play are found by their names."""
        notices = self._material.notices
        known = {sound.name for sound in material.notices.values()}
        kept = {
            sound.name: sound for sound in notices.values() if sound.name not in known
        }
        notices.clear()
        notices.update(list(kept.items())[-MAX_RETIRED:])
        notices.update(material.notices)
        for digest, data in material.notice_files.items():
            if digest not in self._material.notice_files:
                self._tasks.spawn(
                    self._running.uploader.ensure_notice(digest, data),
                    name=f"notice-{digest}",
                )

    def _failed(self, name: str, error: BaseException) -> None:
        # Nothing was changed, or all of it: calls need not pay for it.
        self.notes = ("configuration not reloaded: an error of ours",)
        self._log.critical("task_failed", task=name, exc_info=error)

    def _refuse(self, mistakes: tuple[str, ...]) -> None:
        """Say where it is wrong; everything stays as it was."""
        shown = [_NUMBER.sub(lambda m: mask(m[0]), mistake) for mistake in mistakes]
        first = shown[0].partition(": ")[0]
        more = f" and {len(shown) - 1} more" if len(shown) > 1 else ""
        self.notes = (f"configuration not reloaded, wrong: {first}{more}",)
        self._log.error("configuration_not_reloaded", mistakes=shown)
        self._running.witness.problem("not-reloaded")
