"""What every call uses of the rest of the agent."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from agent.call.any_state import AnyCallState
from agent.call.keeper import Keeper
from agent.call.leg_status import LegStatus
from agent.call.recorder import Recorder
from agent.call.routing import RouteTable
from agent.call.siprec.sources import RecordingSources
from agent.call.siprec.stats import SessionStats
from agent.call.telling import Spawn, Telling
from agent.identity.directory import Directory
from agent.identity.numbers import IdentityConfig
from agent.media.pool import MediaPool
from agent.media.sound import Sound
from agent.model.recording import RecordState
from agent.signalling.sip import core as sip
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.useragent import UserAgent

if TYPE_CHECKING:
    from agent.call.recording_orders import RecordingOrders
    from agent.call.transfers import Transfers


class CallStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with one call: no number and no name."""

    call_id: str
    route: str
    direction: str
    state: str
    "Phase of the call, or of the conversation once there is one, in lower case."
    recording: RecordState
    exempt: bool
    paused_for: float | None
    "Seconds since a pause began; None if none is on."
    resumes_in: float | None
    "Seconds until it is over by itself."
    recorded_for: float = 0.0
    "Seconds that it was recorded up to now, holds and pauses apart."
    legs: tuple[LegStatus, ...] = ()
    "Those that have media, the first party's first."


class RunningCall(Protocol):
    """What call control asks of a call, recorded or passed through."""

    call_id: str

    @property
    def recording(self) -> "RecordingOrders | None":
        """What may be ordered of its recording; None where it passes us by."""
        ...

    @property
    def transfers(self) -> "Transfers | None":
        """What hands its parties on; None where it has none of their media."""
        ...

    @property
    def status(self) -> CallStatus:
        """How it stands with it."""
        ...

    @property
    def names(self) -> list[str]:
        """Ids of the SIP sessions and media legs whose events belong to it."""
        ...

    @property
    def peer_name(self) -> str:
        """The peer that sent it."""
        ...

    @property
    def state(self) -> AnyCallState | None:
        """What the next main process needs of it; None if that would be of no use."""
        ...

    def caught_up(self) -> None:
        """It is resumed, and so is all it talks to: see what came to an end."""

    def begin(self) -> None:
        """The intent is durable: go on with the plan."""

    def refuse_unrecordable(self) -> None:
        """The intent cannot be written, and the route refuses such calls."""

    def on_sip(self, event: sip.Event) -> None:
        """One event of one of its SIP sessions."""

    def get_timer(self) -> float | None:
        """Its next deadline, in monotonic seconds."""

    def handle_timer(self, now: float) -> None:
        """Act on the deadline."""

    def stop(self) -> None:
        """Clear it: the agent is stopping, or its code has failed."""


@dataclass(slots=True)
class CallStats:
    """Counters since the start, of all calls."""

    notices_played: int = 0
    "To every leg that was to hear them."
    notices_failed: int = 0
    "Broken off, or not there to be played."
    sessions: SessionStats = field(default_factory=SessionStats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """The agent's parts, as one call sees them."""

    user_agent: UserAgent
    media: MediaPool
    recorder: Recorder
    routes: RouteTable
    directory: Callable[[], Directory]
    notices: dict[str, Sound]
    "Configured notice path to the sound the workers know."
    identity: IdentityConfig
    mask: Callable[[str], str]
    "Shows a number as the log may show it."
    host: str
    software: str
    rng: random.Random
    advertised: str
    "Media address told to peers where a NAT stands between; empty if none does."
    max_segment: float
    spawn: Spawn
    telling: Telling
    "Tells ledger and events what happens, behind a call's back."
    proven_number: Callable[[Request, Flow], str | None] = lambda *_: None
    "The number of who sent an INVITE, where a password has proven it."
    register: Callable[[str, RunningCall], None]
    "Makes a session's or a media leg's events reach its call."
    unregister: Callable[[str], None]
    "A media leg of a call that goes on is no more."
    call_of: Callable[[str], RunningCall | None]
    "The call a SIP session belongs to."
    guard: Callable[[RunningCall, Callable[[], None]], None]
    "Does something to a call, whose failure there hurts no other."
    sources: RecordingSources = field(default_factory=RecordingSources)
    "The peers that send recording sessions."
    stats: CallStats = field(default_factory=CallStats)
    keeper: Keeper | None = None
    "Keeps calls for the main process after this one, if somebody keeps our memory."
    log: structlog.typing.FilteringBoundLogger = field(
        default_factory=lambda: structlog.get_logger().bind()
    )
    "Each call binds several of its own to this one, and the first binding is dear."

    def is_officer(self, number: str) -> bool:
        """Whether the directory knows a number."""
        return self.directory().lookup(number) is not None
