"""Runs the agent: in which order its parts start, and in which they stop.

Parts start bottom-up and stop top-down: READY is said when ports, spool, keys,
storage and notices have been proven, never before. `parts` and `sip_parts` build them.
"""

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog

from agent.call.control import CallControl
from agent.call.joint import Joint
from agent.call.keeper import Keeper
from agent.call.recorder import Recorder
from agent.call.sealing import Sealing
from agent.call.siprec.sources import RecordingSources
from agent.call.takeover import adopt, catch_up
from agent.common.clock import utc_ns
from agent.common.files import make_private_directory
from agent.common.ids import SecureRandom
from agent.common.logs import set_level
from agent.common.release import release
from agent.common.service_manager import ServiceManager
from agent.common.tasks import TaskSet
from agent.formats.layout import day_of
from agent.recording.finisher_pool import FinisherPool
from agent.recording.ledger import Ledger, load_hash_key
from agent.recording.recovery import recover
from agent.recording.spool import Spool
from agent.service.alarm_board import AlarmBoard
from agent.service.commands import Commands
from agent.service.config import Config
from agent.service.control import ControlServer
from agent.service.counting import start_counting
from agent.service.drain import Drain
from agent.service.host_status import HostStatus, host_status
from agent.service.log_upkeep import keep_log
from agent.service.logs import Masker
from agent.service.manager_news import ManagerNews, state_of
from agent.service.material import Material, credentials_directory, read_material
from agent.service.metrics.endpoint import Parts
from agent.service.mqtt import build_mqtt, build_telling
from agent.service.parts import (
    build_dispatch,
    build_health,
    build_media,
    build_room,
    build_sounds,
    build_uploader,
    build_witness,
    rtp_addresses,
)
from agent.service.peer_watch import PeerWatch
from agent.service.people import remember_roster
from agent.service.protection import (
    Protection,
    Renewal,
    read_protection,
    remember_day_keys,
)
from agent.service.reloading import Reloading, Running
from agent.service.rereading import Rereading
from agent.service.salvage import salvage, tell_recovered
from agent.service.sip_parts import (
    SOFTWARE,
    build_guard,
    build_sip,
)
from agent.service.storage_proof import (
    StorageRefusesError,
    are_known,
    prove_storages,
)
from agent.service.succession import Succession, keep_calls
from agent.service.watching import lists_of, watch
from agent.signalling.kept import KeptConnections
from agent.signalling.secrets import Secrets

SEAL_SECONDS: Final = 30.0
PROVEN_SECONDS: Final = 2.0
"After that, what was taken over is not what ends this process."


class Agent:
    """The whole daemon."""

    def __init__(
        self,
        config: Config,
        base: Path,
        manager: ServiceManager | None = None,
        *,
        source: Callable[[], Config] | None = None,
    ) -> None:
        """`manager` is who has started this process, if it is a service manager.

        `source` gives the configuration as its file has it now; without it only the
        files that `config` names are read again.
        """
        self._config = config
        self._source = source or (lambda: config)
        self._base = base
        self._manager = manager or ServiceManager({})
        self._stop = asyncio.Event()
        self._hurry: Callable[[], None] = lambda: None
        self._reload: Callable[[], None] | None = None
        self._reload_wanted = False
        self._log = structlog.get_logger()

    def stop(self) -> None:
        """Ask the daemon to end in good order; again: without waiting for calls."""
        if self._stop.is_set():
            self._hurry()
        self._stop.set()

    async def serve(self, ready: Callable[[], None] | None = None) -> None:
        """Run until `stop` is called. Raises AgentError if it cannot start."""
        config = self._config
        material = read_material(config, self._base)
        for warning in material.warnings:
            self._log.warning("configuration", reason=warning)
        async with AsyncExitStack() as stack:
            await self._start(material, stack)
            self._log.info("ready", version=release(), host=config.agent.name)
            if ready is not None:
                ready()
            self._manager.tell("READY=1")
            await self._stop.wait()
            self._log.info("stopping")
            self._manager.tell("STOPPING=1")

    async def _start(self, material: Material, stack: AsyncExitStack) -> None:
        config = self._config
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        alarms = AlarmBoard()
        stack.callback(alarms.follow(loop))
        root = self._base / config.agent.spool
        # -- what must be there before the first recording
        spool = Spool(root)
        spool.prepare()
        stack.callback(spool.close)
        witness = build_witness(config, root, material)
        await witness.start()
        stack.push_async_callback(witness.stop)
        remember_roster(material.people, root)
        remember_day_keys(material.protection, root)
        ledger = Ledger(
            root / "ledger.sqlite",
            hash_key=load_hash_key(root),
            host=config.agent.name if material.broker is not None else "",
        )
        await ledger.start()
        if ledger.set_aside is not None:
            self._log.critical("ledger_set_aside", path=str(ledger.set_aside))
        stack.push_async_callback(ledger.close)
        mqtt = build_mqtt(config, material, ledger)
        if mqtt is not None:
            # After all that has something to tell, before what keeps it.
            stack.push_async_callback(mqtt.close)
            mqtt.follow(alarms)
        succession = Succession(self._manager)
        succession.begin(config.sip.max_calls)
        keeper, left = succession.keeper, succession.inheritance
        tasks = TaskSet(self._part_failed)
        stack.push_async_callback(tasks.close)
        tasks.spawn(witness.run(), name="audit-log")
        tasks.spawn(keep_log(alarms), name="log")

        # -- from a closed recording to storage
        def problem(word: str) -> None:
            loop.call_soon_threadsafe(witness.problem, word)

        dispatch = build_dispatch(config, spool, material, problem)
        uploader = build_uploader(spool, ledger, dispatch, material)
        finishers = FinisherPool(
            spool, workers=config.recording.finishers, kept=config.recording.kept
        )
        renewal = Renewal(
            functools.partial(self._read_protection, material),
            material.protection,
            dispatch=dispatch,
            indexing=finishers,
            today=lambda: day_of(utc_ns()),
            problem=witness.problem,
        )
        await finishers.start()
        stack.push_async_callback(finishers.close)
        # -- media, recordings, signalling
        control = CallControl(
            ledger=ledger, guard=build_guard(config), max_calls=config.sip.max_calls
        )
        media = build_media(config, spool, root, keeper, control.on_media)
        await media.start()
        if media.orphans_retired:
            self._log.warning("orphans_retired", workers=media.orphans_retired)
        stack.push_async_callback(media.stop)
        for sound in build_sounds(config, material):
            media.add_sound(sound)
        taken = left.taken(spool)
        sealing = Sealing(finishers=finishers, ledger=ledger, uploader=uploader)
        sealing.start()
        room = build_room(config, spool)
        recorder = Recorder(
            media=media,
            spool=spool,
            room=room,
            ledger=ledger,
            sealing=sealing,
            quality=material.people.quality,
            on_failed=control.on_recording_failed,
            keeper=keeper,
            signs=material.protection.signing is not None,
        )
        stack.push_async_callback(recorder.stop)
        # Tags and branches protect dialogs: they must not be foreseeable.
        rng = SecureRandom()
        kept = None if keeper is None else KeptConnections(self._manager)
        if keeper is not None and kept is not None:
            keeper.connections_changed = kept.changed
        sip = build_sip(
            config, material, control, succession=succession, kept=kept, rng=rng
        )
        routes, user_agent = sip.routes, sip.user_agent
        sources = RecordingSources(config.siprec)
        reread = Rereading(
            config,
            self._base,
            people=material.people,
            renewal=renewal,
            witness=witness,
            tasks=tasks,
        )
        tasks.spawn(watch(lists_of(config, self._base), reread), name="lists")
        control.connect(
            Joint(
                user_agent=user_agent,
                media=media,
                recorder=recorder,
                routes=routes,
                sources=sources,
                directory=material.people.directory,
                notices=material.notices,
                identity=config.identity,
                mask=Masker(config.log.numbers),
                host=config.agent.name,
                software=SOFTWARE,
                rng=rng,
                advertised=config.media.advertised,
                max_segment=config.recording.max_segment,
                proven_number=sip.secrets.proven_number,
                spawn=control.spawn,
                telling=build_telling(ledger, control, mqtt),
                register=control.register,
                unregister=control.unregister,
                call_of=control.call_of,
                guard=control.guard,
                keeper=keeper,
            )
        )
        user_agent.before_leaving = media.flush
        # -- what the process before this one left
        if keeper is not None:
            keep_calls(keeper, media, user_agent)
            loop.add_signal_handler(signal.SIGUSR2, self._leave, keeper)
            sip.core.resume(left.sessions, loop.time())
            recorder.resume(left.segments, taken.recordings, keeper.keys.all())
        names = [state.session for state in left.sessions]
        calls = adopt(control, left.calls, left.endings, names)
        await media.resume(left.media, {} if keeper is None else keeper.keys.all())
        found = await recover(spool, ledger, taken)
        tell_recovered(found)
        indexed = bool(config.index.keys)
        tasks.spawn(
            salvage(found, spool, ledger, uploader, indexed=indexed), name="salvage"
        )
        tasks.spawn(room.watch(), name="spool-room")
        tasks.spawn(media.watch(), name="media-workers")
        tasks.spawn(uploader.run(), name="uploader")
        for digest, data in material.notice_files.items():
            tasks.spawn(uploader.ensure_notice(digest, data), name=f"notice-{digest}")
        # -- calls, from here on
        proof = prove_storages(
            list(zip(config.storage, material.storages, strict=True)),
            material.notice_files,
            root,
            on_unproven=uploader.doubt,
        )
        if left.calls or are_known(config.storage, root):
            # Calls are not kept waiting, or ended, for what recordings can wait for.
            tasks.spawn(self._tell_unproven(proof), name="storage-proof")
        else:
            await proof
        if not left.calls:
            media.prove_ports(rtp_addresses(config))
        await user_agent.start()
        succession.keep_sockets(user_agent.sockets())
        recorder.grant_again()
        catch_up(control, calls)
        user_agent.flush()
        if keeper is not None:
            loop.call_later(PROVEN_SECONDS, keeper.attempt_succeeded)
        stack.callback(user_agent.close)
        stack.push_async_callback(control.close)
        stack.push_async_callback(recorder.drain, SEAL_SECONDS)
        # -- peers
        peers = PeerWatch(user_agent, rng, self._part_failed)
        routes.is_down = peers.is_down
        # -- who asks and is told
        make_private_directory(root / "run")
        host = functools.partial(
            host_status,
            room=room,
            sealing=sealing,
            uploader=uploader,
            dispatch=dispatch,
            media=media,
            peers=peers.statuses,
            broker_away=lambda: None if mqtt is None else mqtt.publisher.away,
            draining=lambda: control.draining,
            alarms=alarms.active,
            utc_ns=utc_ns,
        )
        drain = Drain(control, witness)
        health = build_health(media, room, uploader, dispatch, drain)
        reloading = Reloading(
            self._source,
            self._base,
            config=config,
            material=material,
            running=Running(
                routes=routes,
                sources=sources,
                secrets=sip.secrets,
                user_agent=user_agent,
                peers=peers,
                media=media,
                uploader=uploader,
                renewal=renewal,
                witness=witness,
                set_level=set_level,
            ),
            manager=self._manager,
        )
        stack.push_async_callback(reloading.close)
        line = functools.partial(self._line, control, host, reloading)
        news = ManagerNews(self._manager, health, line)
        tasks.spawn(news.run(), name="service-manager")
        commands = Commands(control.orders, host, witness.command, drain=drain)
        server = ControlServer(root / "run", commands)
        server.start()
        stack.push_async_callback(server.close)
        if mqtt is not None:
            mqtt.start(
                lambda: (control.active_calls, control.draining, host()),
                commands,
                material.people,
                witness,
            )
        numbered = Parts(
            config=lambda: reloading.config,
            control=control,
            ledger=ledger,
            media=media,
            witness=witness,
            alarms=alarms,
            health=health,
            status=host,
            events=None if mqtt is None else mqtt.publisher.stats,
        )
        await start_counting(numbered, self._base, root=root, stack=stack, tasks=tasks)
        stack.push_async_callback(peers.close)
        await peers.use(config.peers, material.credentials.accounts)
        health.started = True
        self._reload = reloading
        if self._reload_wanted:
            reloading()
        # The first that is done at a stop: all else must be there for it.
        self._hurry = control.hurry
        stack.push_async_callback(self._drain, control, reloading)

    async def _tell_unproven(self, proof: Coroutine[object, object, None]) -> None:
        # It has said so of each; there is no start to be refused any more.
        with contextlib.suppress(StorageRefusesError):
            await proof

    def _hung_up(self) -> None:
        """Read the configuration again; while it begins: once it has begun."""
        if self._reload is None:
            self._reload_wanted = True
        else:
            self._reload()

    async def _drain(self, control: CallControl, reloading: Reloading) -> None:
        await control.drain(reloading.config.agent.drain)

    def _line(
        self,
        control: CallControl,
        host: Callable[[], HostStatus],
        reloading: Reloading,
    ) -> str:
        """What `systemctl status` shows."""
        try:
            status = host()
        except OSError:
            status = None  # the spool's watch has said so
        return state_of(control.active_calls, status, reloading.notes)

    def _leave(self, keeper: Keeper) -> None:
        """Go at once, and leave the calls to the process after this one."""
        keeper.commit()
        keeper.attempt_succeeded()
        self._log.warning("leaving")
        # As if it were killed: that way out is the one that has to work anyway.
        os._exit(0)

    def _read_protection(
        self, material: Material, mistakes: list[str], floor: int
    ) -> Protection:
        config, secrets = self._config, Secrets(self._base, credentials_directory())
        return read_protection(
            config, self._base, secrets, material.roster, mistakes, floor=floor
        )

    def _part_failed(self, name: str, error: BaseException) -> None:
        """A part that must run for ever has failed: the daemon cannot go on."""
        self._log.critical("part_failed", part=name, exc_info=error)
        self.stop()
