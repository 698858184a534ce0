"""Builds the agent from its configuration and runs it.

Parts start bottom-up and stop top-down: READY is said when ports, spool, keys,
storage and notices have been proven, never before.
"""

import asyncio
import functools
import os
import random
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent import __version__
from agent.archive.host_log import HostLog
from agent.call.authentication import phone_authentication
from agent.call.control import CallControl
from agent.call.joint import Joint
from agent.call.keeper import Keeper
from agent.call.recorder import Recorder
from agent.call.routing import RouteTable
from agent.call.sealing import Sealing
from agent.call.takeover import adopt, catch_up
from agent.call.telling import Telling
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.files import make_private_directory
from agent.common.ids import SecureRandom, new_id
from agent.common.service_manager import ServiceManager
from agent.common.tasks import TaskSet
from agent.formats.layout import day_of
from agent.media.encoding import encode
from agent.media.pool import MediaPool
from agent.media.sound import Sound
from agent.media.tones import busy, congestion, ringback
from agent.model.recording import RecordingState
from agent.recording.dispatch import Dispatch
from agent.recording.finisher_pool import FinisherPool
from agent.recording.ledger import Ledger, load_hash_key
from agent.recording.recovery import Recovered, recover, salvage_waiting
from agent.recording.room import SpoolRoom
from agent.recording.seal_chain import SealChain
from agent.recording.spool import Spool
from agent.service.commands import Commands
from agent.service.config import Config
from agent.service.control import ControlServer
from agent.service.host_status import host_status, peer_statuses
from agent.service.logs import Masker
from agent.service.material import (
    Material,
    credentials_directory,
    read_material,
)
from agent.service.people import remember_roster, reread_roster
from agent.service.protection import (
    Protection,
    Renewal,
    read_protection,
    remember_day_keys,
)
from agent.service.succession import Succession
from agent.service.watching import lists_of, watch
from agent.service.witness import Witness
from agent.signalling.config import parse_listen, parse_nameserver
from agent.signalling.guard import Guard
from agent.signalling.kept import KeptConnections
from agent.signalling.prober import Prober
from agent.signalling.registrar import Registrar
from agent.signalling.resolver import Resolver
from agent.signalling.secrets import Secrets
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.state import encode_state
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import parse_uri
from agent.signalling.useragent import UserAgent
from agent.upload.uploader import Uploader

EXTENSIONS: Final = ("100rel", "timer", "replaces", "norefersub")
"SIP option tags that peers may require of us."
DRAIN_SECONDS: Final = 5.0
SEAL_SECONDS: Final = 30.0
PROVEN_SECONDS: Final = 2.0
"After that, what was taken over is not what ends this process."


class Agent:
    """The whole daemon."""

    def __init__(
        self, config: Config, base: Path, manager: ServiceManager | None = None
    ) -> None:
        """`manager` is who has started this process, if it is a service manager."""
        self._config = config
        self._base = base
        self._manager = manager or ServiceManager({})
        self._stop = asyncio.Event()
        self._reloads: list[Callable[[], None]] = []
        "Each reads its files again; what cannot be read stays as it was, and is told."
        self._log = structlog.get_logger()

    def stop(self) -> None:
        """Ask the daemon to end in good order."""
        self._stop.set()

    async def serve(self, ready: Callable[[], None] | None = None) -> None:
        """Run until `stop` is called. Raises AgentError if it cannot start."""
        config = self._config
        material = read_material(config, self._base)
        for warning in material.warnings:
            self._log.warning("configuration", reason=warning)
        async with AsyncExitStack() as stack:
            await self._start(material, stack)
            self._log.info("ready", version=__version__, host=config.agent.name)
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
        root = self._base / config.agent.spool
        spool = Spool(root)
        spool.prepare()
        stack.callback(spool.close)
        witness = self._witness(root, material)
        await witness.start()
        stack.push_async_callback(witness.stop)
        remember_roster(material.people, root)
        remember_day_keys(material.protection, root)
        ledger = Ledger(root / "ledger.sqlite", hash_key=load_hash_key(root))
        await ledger.start()
        if ledger.set_aside is not None:
            self._log.critical("ledger_set_aside", path=str(ledger.set_aside))
        stack.push_async_callback(ledger.close)
        succession = Succession(self._manager)
        succession.begin(config.sip.max_calls)
        keeper, left = succession.keeper, succession.inheritance
        tasks = TaskSet(self._part_failed)
        stack.push_async_callback(tasks.close)
        tasks.spawn(witness.run(), name="audit-log")
        protection = material.protection
        dispatch = Dispatch(
            spool,
            chain=self._seal_chain(spool, protection),
            day_keys=protection.day_keys,
            utc_ns=utc_ns,
            problem=lambda word: loop.call_soon_threadsafe(witness.problem, word),
        )
        uploader = self._uploader(spool, ledger, dispatch, material)
        finishers = FinisherPool(
            spool, workers=config.recording.finishers, kept=config.recording.kept
        )
        renewal = Renewal(
            functools.partial(self._read_protection, material),
            protection,
            dispatch=dispatch,
            indexing=finishers,
            today=lambda: day_of(utc_ns()),
            problem=witness.problem,
        )
        await finishers.start()
        stack.push_async_callback(finishers.close)
        guard = Guard(
            rate=config.sip.stranger_rate,
            burst=int(config.sip.stranger_rate * 2),
            max_sources=10_000,
        )
        control = CallControl(
            ledger=ledger, guard=guard, max_calls=config.sip.max_calls
        )
        # With a runtime directory of the unit's, the workers are units too.
        shared = os.environ.get("RUNTIME_DIRECTORY") if keeper is not None else None
        media = MediaPool(
            config.media,
            runtime_directory=Path(shared) if shared else root / "run",
            on_event=control.on_media,
            journal_directory=spool.journal_directory,
            workers_apart=bool(shared),
        )
        await media.start()
        if media.orphans_retired:
            self._log.warning("orphans_retired", workers=media.orphans_retired)
        stack.push_async_callback(media.stop)
        for sound in self._sounds(material):
            media.add_sound(sound)
        taken = left.taken(spool)
        sealing = Sealing(finishers=finishers, ledger=ledger, uploader=uploader)
        sealing.start()
        room = SpoolRoom(
            spool.journal_directory,
            high_water=config.recording.spool_high_water,
            min_free=config.recording.min_free_mb << 20,
        )
        recorder = Recorder(
            media=media,
            spool=spool,
            room=room,
            ledger=ledger,
            sealing=sealing,
            quality=material.people.quality,
            on_failed=control.on_recording_failed,
            keeper=keeper,
            signs=protection.signing is not None,
        )
        stack.push_async_callback(recorder.stop)
        # Tags and branches protect dialogs: they must not be foreseeable.
        rng = SecureRandom()
        software = f"recording-agent/{__version__}"
        routes = RouteTable(
            config.peers,
            config.routes,
            emergency=config.recording.emergency,
            exempt=config.recording.exempt,
            identity=config.identity,
        )
        phones = phone_authentication(
            material.credentials.users, routes, config.sip, config.identity, rng
        )
        core = UserAgentCore(
            rng=rng,
            timers=Timers(t1=config.sip.t1),
            supported=EXTENSIONS,
            session_expires=config.sip.session_expires,
            min_se=config.sip.min_se,
            product=software,
            admit=control.admit,
            authenticate=None if phones is None else phones.judge,
            credentials_for=material.credentials.told_to(routes),
            max_sessions=4 * config.sip.max_calls,
            limits_of=control.limits_of,
            is_emergency=control.is_emergency,
            in_emergency=control.in_emergency,
            session_names=f"s{rng.getrandbits(32):08x}-",
        )
        listeners = [parse_listen(entry) for entry in config.sip.listen]
        kept = None if keeper is None else KeptConnections(self._manager)
        if keeper is not None and kept is not None:
            keeper.connections_changed = kept.changed
        user_agent = UserAgent(
            core,
            listeners,
            control.on_sip,
            tls=material.tls,
            resolver=Resolver(
                [parse_nameserver(entry) for entry in config.sip.nameservers], rng=rng
            ),
            certificate_names={
                parse_uri(peer.uri).host.lower(): peer.certificate.lower()
                for peer in config.peers
                if peer.certificate
            },
            limits_of=control.limits_of,
            is_emergency=control.is_emergency,
            in_emergency=control.in_emergency,
            max_connections=config.sip.max_connections,
            connection_idle=config.sip.connection_idle,
            sockets=succession.sockets,
            kept=kept,
            connections=succession.connections,
        )
        self._reloads += [witness.reloaded, user_agent.reload_tls]
        reread = functools.partial(self._reread, material, renewal, witness, tasks)
        self._reloads.append(reread)
        tasks.spawn(watch(lists_of(config, self._base), reread), name="lists")
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        control.connect(
            Joint(
                user_agent=user_agent,
                media=media,
                recorder=recorder,
                routes=routes,
                directory=material.people.directory,
                notices=material.notices,
                identity=config.identity,
                mask=Masker(config.log.numbers),
                host=config.agent.name,
                software=software,
                rng=rng,
                advertised=config.media.advertised,
                max_segment=config.recording.max_segment,
                proven_number=(
                    (lambda *_: None) if phones is None else phones.proven_number
                ),
                spawn=control.spawn,
                telling=Telling(ledger, control.spawn),
                register=control.register,
                call_of=control.call_of,
                guard=control.guard,
                keeper=keeper,
            )
        )
        user_agent.before_leaving = media.flush
        if keeper is not None:
            self._keep(keeper, media, user_agent)
            loop.add_signal_handler(signal.SIGUSR2, self._leave, keeper)
            core.resume(left.sessions, loop.time())
            recorder.resume(left.segments, taken.recordings, keeper.keys.all())
        names = [state.session for state in left.sessions]
        calls = adopt(control, left.calls, left.endings, names)
        await media.resume(left.media, {} if keeper is None else keeper.keys.all())
        found = await recover(spool, ledger, taken)
        for one in found:
            self._tell_recovered(one)
        tasks.spawn(self._salvage(found, spool, ledger, uploader), name="salvage")
        tasks.spawn(room.watch(), name="spool-room")
        tasks.spawn(uploader.run(), name="uploader")
        for digest, data in material.notice_files.items():
            tasks.spawn(uploader.ensure_notice(digest, data), name=f"notice-{digest}")
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
        stack.push_async_callback(control.drain, DRAIN_SECONDS)
        make_private_directory(root / "run")
        accounts = material.credentials.accounts
        registrars = [Registrar(user_agent, account, rng) for account in accounts]
        for registrar in registrars:
            stack.push_async_callback(registrar.stop)
        prober = Prober(
            user_agent,
            {p.name: (parse_uri(p.uri), p.probe) for p in config.peers if p.probe},
            rng,
        )
        routes.is_down = prober.is_down
        peers = functools.partial(peer_statuses, config.peers, prober, registrars)
        host = functools.partial(
            host_status,
            room=room,
            sealing=sealing,
            uploader=uploader,
            dispatch=dispatch,
            media=media,
            peers=peers,
            utc_ns=utc_ns,
        )
        commands = Commands(control.orders, host, witness.command)
        server = ControlServer(root / "run", commands)
        server.start()
        stack.push_async_callback(server.close)
        registering = TaskSet(self._part_failed)
        stack.push_async_callback(registering.close)
        for registrar in registrars:
            registering.spawn(registrar.run(), name=f"register-{registrar.peer}")
        registering.spawn(prober.run(), name="prober")

    def _keep(self, keeper: Keeper, media: MediaPool, user_agent: UserAgent) -> None:
        """Have everything kept that the process after this one needs."""
        core = user_agent.core
        core.track()

        def session_of(session: str) -> bytes | None:
            state = core.state_of(session)
            return None if state is None else encode_state(state)

        def media_of(call_id: str) -> bytes | None:
            state = media.state_of(call_id)
            return msgspec.msgpack.encode(state) if state.legs else None

        keeper.session_of = session_of
        keeper.media_of = media_of
        user_agent.before_sending = keeper.commit

    def _reload(self) -> None:
        """Read again what SIGHUP is for."""
        for reload in self._reloads:
            reload()

    def _reread(
        self, material: Material, renewal: Renewal, witness: Witness, tasks: TaskSet
    ) -> None:
        async def reread() -> None:
            # The lists are judged by the roster, so that comes first.
            await reread_roster(
                material.people, self._config, self._base, witness.problem
            )
            renewal()
            spool = self._base / self._config.agent.spool
            try:
                await asyncio.to_thread(remember_day_keys, renewal.protection, spool)
            except AgentError as error:
                self._log.error("serial_not_remembered", reason=str(error))

        tasks.spawn(reread(), name="reread")

    def _leave(self, keeper: Keeper) -> None:
        """Go at once, and leave the calls to the process after this one."""
        keeper.commit()
        keeper.attempt_succeeded()
        self._log.warning("leaving")
        # As if it were killed: that way out is the one that has to work anyway.
        os._exit(0)

    async def _salvage(
        self, found: list[Recovered], spool: Spool, ledger: Ledger, uploader: Uploader
    ) -> None:
        """Seal what a killed run left, while calls are carried again."""
        indexed = bool(self._config.index.keys)
        async for one in salvage_waiting(found, spool, ledger, indexed=indexed):
            self._tell_recovered(one)
            if one.action == "salvaged":
                uploader.notify(one.recording_id)

    def _tell_recovered(self, found: Recovered) -> None:
        bad = found.action in {"left", "quarantined"}
        level = self._log.error if bad else self._log.warning
        level("recovered", recording_id=found.recording_id, action=found.action)

    def _seal_chain(self, spool: Spool, protection: Protection) -> SealChain | None:
        if protection.signing is None:
            return None
        name = self._config.agent.name
        chain = SealChain(spool, protection.signing, name, new_id=new_id, utc_ns=utc_ns)
        chain.open()
        return chain

    def _witness(self, root: Path, material: Material) -> Witness:
        config, signing = self._config, material.protection.signing
        log = None
        if signing is not None:
            log = HostLog(
                root / "audit",
                config.agent.name,
                signing,
                [target.locked for target in material.storages],
                rng=random.Random(os.urandom(8)),  # noqa: S311 - jitter
            )
        return Witness(log, config, root)

    def _read_protection(
        self, material: Material, mistakes: list[str], floor: int
    ) -> Protection:
        config, secrets = self._config, Secrets(self._base, credentials_directory())
        return read_protection(
            config, self._base, secrets, material.roster, mistakes, floor=floor
        )

    def _uploader(
        self, spool: Spool, ledger: Ledger, dispatch: Dispatch, material: Material
    ) -> Uploader:
        async def stored(recording_id: str) -> None:
            await ledger.advance(recording_id, RecordingState.STORED)
            call_id = await ledger.call_of(recording_id)
            self._log.info("stored", call_id=call_id, recording_id=recording_id)

        async def purged(recording_id: str) -> None:
            await ledger.advance(recording_id, RecordingState.PURGED)

        return Uploader(
            spool,
            material.storages,
            on_stored=stored,
            on_purged=purged,
            objects_of=dispatch.objects,
        )

    def _sounds(self, material: Material) -> list[Sound]:
        tones = self._config.tones
        sounds = [
            *material.notices.values(),
            ringback(frequency=tones.frequency, cadence=tones.ringback),
            busy(frequency=tones.frequency, cadence=tones.busy),
            congestion(frequency=tones.frequency, cadence=tones.congestion),
        ]
        codecs = {name for route in self._config.routes for name in route.codecs}
        return [encode(sound, codecs) for sound in sounds]

    def _part_failed(self, name: str, error: BaseException) -> None:
        """A part that must run for ever has failed: the daemon cannot go on."""
        self._log.critical("part_failed", part=name, exc_info=error)
        self.stop()
