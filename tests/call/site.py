"""Call control with all its real parts but the workers, and parties that ring it.

Signalling is real: user agent cores on both sides, their datagrams carried by the
loop. Time is the loop's, and goes on when `advance` says so.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from agent.call.config import PeerConfig, RouteConfig
from agent.call.control import CallControl
from agent.call.joint import Joint
from agent.call.recorder import Recorder
from agent.call.routing import RouteTable
from agent.formats.age import KeyKind, generate_identity
from agent.formats.codecs.g711 import encode_alaw, encode_ulaw
from agent.identity.directory import Directory, OfficerEntry
from agent.identity.numbers import FINLAND
from agent.media.sound import Sound
from agent.model.media import PCMA, PCMU, Address, Codec, Direction, SrtpPolicy
from agent.model.recording import Verdict
from agent.recording.finisher import Finished, FinisherError, FinishJob
from agent.recording.ledger import Ledger, LedgerRow, read_rows
from agent.recording.spool import Spool
from agent.service.app import EXTENSIONS
from agent.signalling.config import Listener
from agent.signalling.guard import Guard
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import NameAddr, Uri, parse_uri
from agent.signalling.useragent import UserAgent
from tests.call.switch import Switch
from tests.fakes.media import RecordingMediaPool

AGENT = Address("192.0.2.1", 5060)
TRUNK = Address("192.0.2.10", 5060)
OFFICER = Address("192.0.2.20", 5060)
SECOND = Address("192.0.2.21", 5060)
THIRD = Address("192.0.2.22", 5060)
STRANGER = Address("203.0.113.66", 5060)
SERVICE = "0295000000"
CALLER = "0401234567"
NOTICE = Sound(
    name="fi-0",
    sha256="00" * 32,
    duration_ms=400,
    pcma=encode_alaw(bytes(6400)),
    pcmu=encode_ulaw(bytes(6400)),
    language="fi",
)


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Let the loop run until it is true; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what or condition}")
        await asyncio.sleep(0)


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


class Party:
    """A telephone or a trunk: one real user agent core."""

    def __init__(
        self,
        switch: Switch,
        address: Address,
        user: str,
        *,
        supported: tuple[str, ...] = (),
    ) -> None:
        self.address = address
        self.user = user
        self.switch = switch
        self.srtp = SrtpPolicy.OFFER
        self.events: list[Any] = []
        self.answers = True
        self.codecs: tuple[Codec, ...] = (PCMA, PCMU)
        self.early = False
        self.refuses = 0
        "A status to refuse calls with."
        self.redirects = ""
        "What the Contact of that refusal says."
        self.refuses_offers = 0
        self.holds_back = False
        "Leaves offers in a call unanswered until `accept_change`."
        self.answer_body: bytes | None = None
        "Answers calls with these words instead of its own."
        self.session = ""
        self.notified: list[str] = []
        "What NOTIFYs have told, `200 OK` and the like."
        self.negotiation = self._new_negotiation()
        self._negotiations: dict[str, OfferAnswer] = {}
        self.core = UserAgentCore(
            rng=random.Random(address.host),
            timers=DEFAULT_TIMERS,
            product="party",
            supported=supported,
        )
        self.agent = UserAgent(self.core, [Listener("udp", address)], self._on)
        switch.plug(self.agent, address, self._take_notify)

    def _new_negotiation(self) -> OfferAnswer:
        address = Address(self.address.host, 30000)
        return OfferAnswer(
            address=address,
            session_id=7,
            codecs=self.codecs,
            secure=self.address in self.switch.secure,
            srtp=self.srtp,
        )

    @property
    def uri(self) -> Any:
        return parse_uri(f"sip:{self.user}@{self.address}")

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def heard(self, kind: type, count: int = 1) -> Any:
        """Wait for the `count`th event of a kind."""
        await until(lambda: len(self.of(kind)) >= count, f"{self.user}: {kind}")
        return self.of(kind)[count - 1]

    def call(
        self,
        number: str = SERVICE,
        *,
        late: bool = False,
        body: bytes | None = None,
        max_forwards: int = 70,
        headers: Sequence[tuple[str, str]] = (),
        from_: NameAddr | None = None,
    ) -> None:
        self.negotiation = self._new_negotiation()
        target = parse_uri(f"sip:{number}@{AGENT}" if number else f"sip:{AGENT}")
        offer = b"" if late else self.negotiation.offer()
        self.session = self.core.invite(
            uri=target,
            flow=self.switch.flow(self.address, AGENT),
            from_=from_ or NameAddr(None, self.uri, ()),
            to=NameAddr(None, target, ()),
            contact=self.uri,
            body=offer if body is None else body,
            headers=headers,
            max_forwards=max_forwards,
            now=self.agent.now,
        )
        self._negotiations[self.session] = self.negotiation
        self.agent.flush()

    def send(self, method: str, *headers: tuple[str, str], session: str = "") -> None:
        """Send a request in a dialog of this party's."""
        found: Any = self.core._sessions.get(session or self.session)
        found._link.send(method, self.agent.now, headers=headers, owned=False)
        self.agent.flush()

    def refer(self, to: str, *, session: str = "") -> None:
        """Ask for a transfer."""
        self.send("REFER", ("Refer-To", f"<{to}>"), session=session)

    def replaces(self, session: str = "") -> str:
        """The Replaces that names a dialog of this party's, as the agent sees it."""
        found: Any = self.core._sessions.get(session or self.session)
        dialog = found._link.dialog
        return (
            f"{dialog.call_id};to-tag={dialog.remote.tag};from-tag={dialog.local.tag}"
        )

    async def told(self, status: int) -> None:
        """Wait for the NOTIFY that tells of a status."""
        await until(
            lambda: any(one.startswith(f"{status} ") for one in self.notified),
            f"{self.user}: NOTIFY of {status}, not {self.notified}",
        )

    def ring(self, status: int = 180, body: bytes = b"") -> None:
        self.core.ring(self.session, self.agent.now, status=status, body=body)
        self.agent.flush()

    def pick_up(self, body: bytes) -> None:
        self.core.accept(self.session, self.agent.now, contact=self.uri, body=body)
        self.agent.flush()

    def hang_up(self) -> None:
        self.core.hang_up(self.session, self.agent.now)
        self.agent.flush()

    def change(self, direction: Direction) -> None:
        """Offer another direction, seen from this party."""
        body = self.negotiation.offer(direction=direction)
        self.core.reoffer(self.session, self.agent.now, body=body)
        self.agent.flush()

    def accept_change(self, event: sip.OfferReceived) -> None:
        if event.body is None:
            body = self.negotiation.offer()
        else:
            try:
                body, _ = self.negotiation.answer(event.body)
            except NotAcceptableError as error:
                # Our own offer has met it, and waits to be sent again.
                self.core.refuse_offer(
                    event.session, self.agent.now, status=error.status
                )
                self.agent.flush()
                return
        self.core.accept_offer(event.session, self.agent.now, body=body)
        self.agent.flush()

    @property
    def direction(self) -> Direction | None:
        current = self.negotiation.current
        return None if current is None else current.direction

    def _take_notify(self, data: bytes) -> bytes | None:
        """Answer a NOTIFY, which our own core, no subscriber, would refuse."""
        if not data.startswith(b"NOTIFY "):
            return None
        notify = parse_message(data)
        assert isinstance(notify, Request)
        self.notified.append(notify.body.decode().removeprefix("SIP/2.0 ").strip())
        return response_to(notify, 200).to_bytes()

    def _on(self, event: Any) -> None:
        self.events.append(event)
        if (known := self._negotiations.get(event.session)) is not None:
            self.negotiation = known
        match event:
            case sip.InviteReceived():
                self._invited(event)
            case sip.Accepted():
                body = event.response.body
                if self.negotiation.pending:
                    self.negotiation.receive_answer(body)
                elif body:  # we made no offer: this is one
                    answer, _ = self.negotiation.answer(body)
                    if self.answer_body is not None:
                        answer = self.answer_body
                    self.core.acknowledge(event.session, self.agent.now, body=answer)
            case sip.OfferReceived():
                if self.refuses_offers:
                    self.core.refuse_offer(
                        event.session, self.agent.now, status=self.refuses_offers
                    )
                elif not self.holds_back:
                    self.accept_change(event)
            case sip.OfferAnswered():
                self.negotiation.receive_answer(event.response.body)
            case sip.OfferRefused():
                self.negotiation.cancel_offer()
            case sip.Acknowledged() if self.negotiation.pending and event.request.body:
                self.negotiation.receive_answer(event.request.body)
            case _:
                pass

    def _invited(self, event: sip.InviteReceived) -> None:
        self.session = event.session
        now = self.agent.now
        if self.refuses:
            headers = [("Contact", self.redirects)] if self.redirects else []
            self.core.refuse(event.session, now, status=self.refuses, headers=headers)
            return
        self.negotiation = self._new_negotiation()
        self._negotiations[event.session] = self.negotiation
        if event.request.body:
            answer, _ = self.negotiation.answer(event.request.body)
        else:
            answer = self.negotiation.offer()
        if self.early:
            self.core.ring(event.session, now, status=183, body=answer)
        else:
            self.core.ring(event.session, now)
        if self.answers:
            if self.answer_body is not None:
                answer = self.answer_body
            self.core.accept(event.session, now, contact=self.uri, body=answer)


class Finishers:
    """Finishes at once, after as many failures as it is told."""

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

    async def advance(self, *arguments: Any, verdict: str = "") -> None:
        if self.broken_states is not None:
            raise self.broken_states
        await super().advance(*arguments, verdict=verdict)

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
        self.ledger = TestLedger(self.root / "ledger.sqlite", hash_key=b"k" * 32)
        await self.ledger.start()
        guard = Guard(rate=0.001, burst=2, max_sources=10)
        self.control = CallControl(ledger=self.ledger, guard=guard, max_calls=max_calls)
        self.media = RecordingMediaPool(
            on_event=self.control.on_media,
            journal_directory=self.spool.journal_directory,
        )
        self.finishers = Finishers()
        self.uploads = Uploads()
        media: Any = self.media
        finishers: Any = self.finishers
        uploads: Any = self.uploads
        self.recorder = Recorder(
            media=media,
            spool=self.spool,
            ledger=self.ledger,
            finishers=finishers,
            uploader=uploads,
            quality=(key(seed=1), key(seed=2)),
            min_free_bytes=min_free,
            on_failed=self.control.on_recording_failed,
        )
        rng = random.Random(3)
        self.core = UserAgentCore(
            rng=rng,
            timers=DEFAULT_TIMERS,
            product="agent",
            supported=EXTENSIONS,
            admit=self.control.admit,
        )
        self.agent = Steered(self.core, [Listener("udp", AGENT)], self.control.on_sip)
        self.switch.plug(self.agent, AGENT)
        directory = Directory(
            officers
            if officers is not None
            else [OfficerEntry("201", "One", str(key(seed=3)))]
        )
        self.joint = Joint(
            user_agent=self.agent,
            media=media,
            recorder=self.recorder,
            routes=RouteTable(
                peers or self._peers(trunk or {}, phones or {}),
                [*routes, *self._routes(inbound or {}, outbound or {})],
                emergency=emergency,
                exempt=exempt,
                identity=FINLAND,
            ),
            directory=lambda: directory,
            notices={"fi.wav": NOTICE},
            identity=FINLAND,
            mask=lambda number: "…",
            host="host",
            software="agent/0",
            rng=rng,
            advertised="",
            max_segment=max_segment,
            spawn=self.control.spawn,
            register=self.control.register,
            call_of=self.control.call_of,
            guard=self.control.guard,
        )
        self.control.connect(self.joint)
        for agent in (
            self.agent,
            self.trunk.agent,
            self.officer.agent,
            self.second.agent,
            self.third.agent,
            self.stranger.agent,
        ):
            await agent.start()

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
