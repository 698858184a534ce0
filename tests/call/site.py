"""Call control with all its real parts but the workers, and parties that ring it.

Signalling is real: user agent cores on both sides, their datagrams carried by the
loop. Time is the loop's, and goes on when `advance` says so.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from agent.call.config import PeerConfig, RouteConfig
from agent.call.control import CallControl
from agent.call.joint import Joint
from agent.call.keeper import Keeper
from agent.call.recorder import Recorder
from agent.call.routing import RouteTable
from agent.call.sealing import Sealing
from agent.call.takeover import adopt, catch_up
from agent.call.telling import Telling
from agent.formats.age import KeyKind, generate_identity
from agent.formats.checkpoint import HEADER_SIZE, Checkpoint
from agent.formats.codecs.g711 import encode_alaw, encode_ulaw
from agent.identity.directory import Directory, OfficerEntry
from agent.identity.numbers import FINLAND
from agent.media.events import MediaEvent
from agent.media.sound import Sound
from agent.model.recording import Verdict
from agent.recording.finisher import Finished, FinisherError, FinishJob
from agent.recording.journal_keys import SLOT_SIZE, JournalKeys
from agent.recording.ledger import Ledger, LedgerRow, read_rows
from agent.recording.room import SpoolRoom
from agent.recording.spool import Spool
from agent.service.sip_parts import ACCEPTS, EXTENSIONS
from agent.signalling.config import Listener
from agent.signalling.guard import Guard
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import Uri
from agent.signalling.siprec.recognition import SIPREC
from agent.signalling.useragent import UserAgent
from tests.call.party import (
    AGENT,
    CALLER,
    OFFICER,
    SECOND,
    SERVICE,
    STRANGER,
    THIRD,
    TRUNK,
    Party,
    until,
)
from tests.call.switch import Switch
from tests.fakes.media import RecordingMediaPool

__all__ = [
    "AGENT",
    "CALLER",
    "NOTICE",
    "OFFICER",
    "SECOND",
    "SERVICE",
    "STRANGER",
    "THIRD",
    "TRUNK",
    "Finishers",
    "Party",
    "Site",
    "key",
    "until",
]

NOTICE = Sound(
    name="fi-0",
    sha256="00" * 32,
    duration_ms=400,
    pcma=encode_alaw(bytes(6400)),
    pcmu=encode_ulaw(bytes(6400)),
    language="fi",
)


class Steered(UserAgent):
    """A user agent whose calls go where a test says, and when."""

    ways: Sequence[Flow] | None = None
    "Instead of what the resolver finds, whatever the URI."

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.held: dict[str, asyncio.Event] = {}
        "By the user of a URI, what its look-up waits for."

    async def flows_to(self, uri: Uri) -> list[Flow]:
        if (gate := self.held.get(uri.user or "")) is not None:
            await gate.wait()
        return await super().flows_to(uri) if self.ways is None else list(self.ways)


class Finishers:
    """Finishes at once, after as many failures as it is told."""

    workers = 1

    def __init__(self) -> None:
        self.jobs: list[FinishJob] = []
        self.failures = 0
        self.salvaged = ""

    async def finish(self, job: FinishJob) -> Finished:
        self.jobs.append(job)
        if self.failures:
            self.failures -= 1
            raise FinisherError("the disk is full.")
        return Finished(
            recording_id=job.recording_id,
            outcome=job.end.outcome,
            duration_ms=1,
            size=1,
            lost=0,
            verdict="" if self.salvaged else Verdict.ONE_WAY,
            salvaged=self.salvaged,
        )


class Uploads:
    """Takes note of what waits for upload."""

    def __init__(self) -> None:
        self.notified: list[str] = []

    def notify(self, recording_id: str) -> None:
        self.notified.append(recording_id)


class TestLedger(Ledger):
    """The real ledger; `broken` is what its next calls raise."""

    __test__ = False
    broken: Exception | None = None
    broken_segments: Exception | None = None
    broken_states: Exception | None = None

    async def begin(self, intent: Any) -> None:
        if self.broken is not None:
            raise self.broken
        await super().begin(intent)

    async def segment(self, *arguments: Any) -> None:
        if self.broken_segments is not None:
            raise self.broken_segments
        await super().segment(*arguments)

    async def advance(self, *arguments: Any, **more: Any) -> None:
        if self.broken_states is not None:
            raise self.broken_states
        await super().advance(*arguments, **more)

    async def forget_recording(self, *arguments: Any) -> None:
        if self.broken_states is not None:
            raise self.broken_states
        await super().forget_recording(*arguments)

    async def close_call(self, *arguments: Any, **named: Any) -> None:
        if self.broken is not None:
            raise self.broken
        await super().close_call(*arguments, **named)


def key(kind: KeyKind = KeyKind.CLASSIC, seed: int = 1) -> Any:
    return generate_identity(kind, random.Random(seed).randbytes).recipient()


class Site:
    """Everything between the network and the workers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.offset = 0.0
        self.restless = False
        "Whether another main process takes over after every event of calls."
        self.taken_over = 0
        self.switch = Switch()
        self.trunk = Party(self.switch, TRUNK, CALLER)
        self.officer = Party(self.switch, OFFICER, "201")
        self.second = Party(self.switch, SECOND, "202")
        self.third = Party(self.switch, THIRD, "203")
        self.stranger = Party(self.switch, STRANGER, "mallory")
        self.log: list[dict[str, Any]] = []

    async def start(
        self,
        *,
        peers: tuple[PeerConfig, ...] | None = None,
        inbound: dict[str, Any] | None = None,
        outbound: dict[str, Any] | None = None,
        officers: Sequence[OfficerEntry] | None = None,
        max_calls: int = 10,
        max_segment: float = 7200.0,
        emergency: tuple[str, ...] = ("112",),
        exempt: tuple[str, ...] = ("0409999999",),
        trunk: dict[str, Any] | None = None,
        phones: dict[str, Any] | None = None,
        routes: Sequence[RouteConfig] = (),
        min_free: int = 0,
    ) -> None:
        loop = asyncio.get_running_loop()
        loop.time = lambda: time.monotonic() + self.offset  # type: ignore[method-assign]
        structlog.configure(
            processors=[structlog.processors.add_log_level, self._take_log],
            cache_logger_on_first_use=False,
        )
        self.spool = Spool(self.root / "spool")
        self.spool.prepare()
        self.ledger = TestLedger(
            self.root / "ledger.sqlite", hash_key=b"k" * 32, host="host"
        )
        await self.ledger.start()
        directory = Directory(
            officers
            if officers is not None
            else [OfficerEntry("201", "One", str(key(seed=3)))]
        )
        table = RouteTable(
            peers or self._peers(trunk or {}, phones or {}),
            [*routes, *self._routes(inbound or {}, outbound or {})],
            emergency=emergency,
            exempt=exempt,
            identity=FINLAND,
        )
        self.memory = bytearray(HEADER_SIZE + 2 * 1_000_000)
        self.key_memory = bytearray(10 * SLOT_SIZE)
        checkpoint = Checkpoint.create(self.memory, bytes(16))
        self.keeper = Keeper(checkpoint, JournalKeys(self.key_memory))

        def connect() -> None:
            self._connect(
                table,
                directory,
                max_calls=max_calls,
                max_segment=max_segment,
                min_free=min_free,
            )

        self._connect_again = connect
        rng = random.Random(3)
        self.core = UserAgentCore(
            rng=rng,
            timers=DEFAULT_TIMERS,
            product="agent",
            supported=EXTENSIONS,
            understood=(SIPREC,),
            accepts=ACCEPTS,
            admit=self._admit,
        )
        self.agent = Steered(self.core, [Listener("udp", AGENT)], self._on_sip)
        flush = self.agent.flush

        def commit_and_flush() -> None:
            self.keeper.commit()
            flush()

        self.agent.flush = commit_and_flush  # type: ignore[method-assign]
        self.switch.plug(self.agent, AGENT)
        self.media = RecordingMediaPool(
            on_event=self._on_media,
            journal_directory=self.spool.journal_directory,
        )
        self.finishers = Finishers()
        self.uploads = Uploads()
        connect()
        for agent in (
            self.agent,
            self.trunk.agent,
            self.officer.agent,
            self.second.agent,
            self.third.agent,
            self.stranger.agent,
        ):
            await agent.start()

    def _connect(
        self,
        routes: RouteTable,
        directory: Directory,
        *,
        max_calls: int,
        max_segment: float,
        min_free: int,
    ) -> None:
        """Make what knows of calls: call control and the recorder."""
        guard = Guard(rate=0.001, burst=2, max_sources=10)
        self.control = CallControl(ledger=self.ledger, guard=guard, max_calls=max_calls)
        media: Any = self.media
        self.room = SpoolRoom(
            self.spool.journal_directory, high_water=1.0, min_free=min_free
        )
        self.sealing = Sealing(
            finishers=self.finishers, ledger=self.ledger, uploader=self.uploads
        )
        self.sealing.start()
        quality = (key(seed=1), key(seed=2))
        self.recorder = Recorder(
            signs=True,
            media=media,
            spool=self.spool,
            room=self.room,
            ledger=self.ledger,
            sealing=self.sealing,
            quality=lambda: quality,
            on_failed=self.control.on_recording_failed,
            keeper=self.keeper,
        )
        self.joint = self._made_joint(
            user_agent=self.agent,
            media=media,
            recorder=self.recorder,
            routes=routes,
            directory=lambda: directory,
            notices={"fi.wav": NOTICE},
            identity=FINLAND,
            mask=lambda number: "…",
            host="host",
            software="agent/0",
            rng=random.Random(3),
            advertised="",
            max_segment=max_segment,
            spawn=self.control.spawn,
            telling=Telling(
                self.ledger, self.control.spawn, show=lambda number: f"…{number[-2:]}"
            ),
            register=self.control.register,
            unregister=self.control.unregister,
            call_of=self.control.call_of,
            guard=self.control.guard,
            keeper=self.keeper,
        )
        self.control.connect(self.joint)

    def _made_joint(self, **parts: Any) -> Joint:
        return Joint(**parts)

    def _admit(self, request: Request, flow: Flow) -> int | None:
        return self.control.admit(request, flow)

    def _on_sip(self, event: sip.Event) -> None:
        self.control.on_sip(event)
        busy = self.control._tasks or self.recorder._tasks or self.sealing.waiting
        if self.restless and not busy:
            calls = list(self.control._calls.values())
            if calls and all(call.state is not None for call in calls):
                self._take_over()
                self.taken_over += 1

    def _on_media(self, event: MediaEvent) -> None:
        self.control.on_media(event)

    async def take_over(self) -> None:
        """Another main process: of calls it knows what the one before has kept.

        Its signalling and its workers are taken to be as they were.
        """
        self.keeper.commit()
        await self.control.close()
        await self.recorder.stop()
        self._take_over()

    def _take_over(self) -> None:
        self.keeper.commit()
        if (timer := self.control._timer) is not None:
            timer.cancel()
        self.sealing._tasks.cancel()
        checkpoint = Checkpoint.open(self.memory, bytes(16))
        self.keeper = Keeper(checkpoint, JournalKeys(self.key_memory))
        self._connect_again()
        keys = self.keeper.keys.all()
        self.recorder.resume(self.keeper.segments(), keys, keys)
        self.recorder.grant_again()
        keeper, control = self.keeper, self.control
        catch_up(control, adopt(control, keeper.calls(), keeper.endings(), ()))
        self.agent.flush()

    def _peers(
        self, trunk: dict[str, Any], phones: dict[str, Any]
    ) -> tuple[PeerConfig, ...]:
        return (
            PeerConfig(
                name="trunk",
                match=(str(TRUNK),),
                uri=f"sip:{TRUNK}",
                **({"trusted": True} | trunk),
            ),
            PeerConfig(
                name="officers",
                match=(str(OFFICER), str(SECOND), str(THIRD)),
                **({"trusted": True} | phones),
            ),
        )

    def _routes(
        self, inbound: dict[str, Any], outbound: dict[str, Any]
    ) -> list[RouteConfig]:
        into = {
            "name": "in",
            "from_": "trunk",
            "number": SERVICE,
            "direction": "inbound",
            "to": (f"sip:201@{OFFICER}", f"sip:202@{SECOND}"),
            "notice": ("fi.wav",),
        }
        out = {
            "name": "out",
            "from_": "officers",
            "number": "*",
            "direction": "outbound",
            "to": ("trunk",),
            "notice": ("fi.wav",),
        }
        return [RouteConfig(**(into | inbound)), RouteConfig(**(out | outbound))]

    async def stop(self) -> None:
        await self.control.close()
        await self.recorder.stop()
        await self.ledger.close()
        self.spool.close()
        for party in (self.trunk, self.officer, self.second, self.third, self.stranger):
            party.agent.close()
        self.agent.close()
        structlog.reset_defaults()

    def _take_log(self, logger: Any, method: str, event: Any) -> Any:
        self.log.append(dict(event))
        raise structlog.DropEvent

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.log if entry["event"] == event]

    async def until_logged(self, event: str, count: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.logged(event)) >= count, f"{event} in the log")
        return self.logged(event)[count - 1]

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, and what is due happen."""
        self.offset += seconds
        for _ in range(20):
            await asyncio.sleep(0)

    async def rows(self) -> list[LedgerRow]:
        return read_rows(self.root / "ledger.sqlite")

    async def ended(self) -> LedgerRow:
        """The one call's row, once it has ended."""
        await self.until_logged("ended")
        await until(lambda: not self.control._tasks, "all tasks of control")
        [row] = await self.rows()
        return row

    async def talk(self) -> None:
        """An inbound call as far as the conversation, being recorded."""
        self.trunk.call()
        await self.until_logged("recording_begun")
        await until(lambda: self.media.told("grant_journal"))
        await self.officer.heard(sip.Acknowledged)
