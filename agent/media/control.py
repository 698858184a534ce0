"""Messages between the main process and a media worker, and their framing.

One report, and one command or several, are one record of a SOCK_SEQPACKET Unix
socket: record borders are the kernel's business, and descriptors travel with the
commands that take them, in their order. Either side may be newer than the other after
an upgrade; they compare VERSION first. A field that is added, with a default that means
what it did without it, keeps the number: whoever does not know it reads on. All else
raises it, and costs the calls of an upgrade a gap of a second.
"""

import os
import socket
from array import array
from collections.abc import Iterable
from typing import Final

import msgspec

from agent.media.errors import ControlError
from agent.media.events import WorkerEvent
from agent.media.sound import SoundPart
from agent.model.media import Latch, NegotiatedAudio

VERSION: Final = 8
MAX_MESSAGE: Final = 160 * 1024
"Bytes of one message: a note of 60 kB fits, and the kernel's default send buffer too."
_CUT: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
MAX_DESCRIPTORS: Final = 16
"Of one record."
FOR_GOOD: Final = 10
"Exit status of a worker that is not to be started again, as its unit knows."
ORPHAN_SECONDS: Final = 5.0
"How long a worker relays and journals on without a main process."


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """First message of the main process."""

    version: int
    timeout: float
    "Seconds of silence until MediaQuiet."
    one_way_after: float = 0.0
    silent_after: float = 0.0
    "Seconds until the alarms of these names; 0: never."
    fsync_interval: float
    orphan_seconds: float = ORPHAN_SECONDS


class AddSound(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sound to play; comes with one descriptor, of the memory that holds it."""

    name: str
    parts: tuple[SoundPart, ...]


class OpenLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A new leg; comes with two descriptors, RTP and RTCP."""

    leg: str
    resumed: bool = False
    "Whether a worker that died had it: its sockets may be latched already."
    deaf: bool = False
    "Whether packets are to wait in its sockets until `Listen`; a resumed leg's do."


class Listen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All is told that a deaf leg's packets need: its bridge, its recording."""

    legs: tuple[str, ...]


class Configure(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What offer and answer agreed, anew."""

    leg: str
    audio: NegotiatedAudio
    latch: Latch


class Play(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Play sounds to a leg, in place of what plays."""

    leg: str
    token: int
    sounds: tuple[str, ...]
    loop: bool


class StopPlaying(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Break off what plays."""

    leg: str


class Bridge(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Relay between two legs, both ways."""

    a: str
    b: str


class Unbridge(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Part a leg from its partner."""

    leg: str


class StartRecording(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Tap legs from now on; nothing touches the disk before Grant.

    Comes with one descriptor, of the memory of its open block, if `kept`.
    """

    recording: str
    legs: tuple[str, ...]
    tapped: tuple[bool, ...]
    since_ns: tuple[int, ...]
    """When that changed last, for each leg; 0: never. What came since then is taken
    from a recording of the leg that was told to stop in the same round."""
    journal_key: bytes
    key_id: bytes
    epoch: int
    path: str
    notes: tuple[bytes, ...]
    "The first notes of the journal, in order."
    first: int = 1
    "How many of them tell how it began, and who has joined: they go before the rest."
    kept: bool = False
    "Whether what is not written yet is to outlive the worker."

    def __repr__(self) -> str:
        return f"StartRecording(recording={self.recording!r}, …)"


class AddLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One more leg for a recording: the note, and from then on all it hears."""

    recording: str
    leg: str
    index: int
    note: bytes

    def __repr__(self) -> str:
        return f"AddLeg(recording={self.recording!r}, leg={self.leg!r}, …)"


class Grant(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The key envelope is durable: the journal may be created."""

    recording: str


class Mark(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One more note for the journal."""

    recording: str
    note: bytes

    def __repr__(self) -> str:
        return f"Mark(recording={self.recording!r}, …)"


class Tap(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Journal what a leg hears from `at_ns` on, or nothing of it any more."""

    recording: str
    leg: str
    on: bool
    at_ns: int
    "CLOCK_MONOTONIC; what arrived before and was not read yet is before it."


class StopRecording(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Write the last note and close the journal."""

    recording: str
    end: bytes

    def __repr__(self) -> str:
        return f"StopRecording(recording={self.recording!r}, …)"


class CloseLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Say RTCP BYE and let the sockets go."""

    leg: str


class Retire(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Close every journal, then exit."""

    cause: str
    "One of agent.model.call.EndCause, for journals that have no end yet."
    for_good: bool = False
    "Whether nobody is to take its place: one of the new release does so already."


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """First message of the worker."""

    version: int
    pid: int
    release: str = ""
    "What it was started from, as agent.common.release has it."


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker's loop goes round: told every agent.media.life.SIGN_SECONDS."""

    journal_lag: float
    "Seconds for which the oldest of its journals' bytes has not been durable."


class HeldLeg(msgspec.Struct, frozen=True, kw_only=True):
    """A leg that a worker has; comes with two descriptors, RTP and RTCP."""

    leg: str
    playing: int
    "Token of what plays to it; 0 if nothing does."


class HeldRecording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that a worker has; comes with its open block's memory, if kept."""

    recording: str
    epoch: int
    opened: str
    "Path of its journal; empty while there is none."
    kept: bool


class Held(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """After Welcome: a part of what the worker has, for a main process that is new."""

    legs: tuple[HeldLeg, ...] = ()
    recordings: tuple[HeldRecording, ...] = ()
    last: bool = False
    "Whether that was all."


Command = (
    Hello
    | AddSound
    | OpenLeg
    | Listen
    | Configure
    | Play
    | StopPlaying
    | Bridge
    | Unbridge
    | StartRecording
    | AddLeg
    | Grant
    | Mark
    | Tap
    | StopRecording
    | CloseLeg
    | Retire
)
Report = Welcome | Held | Alive | WorkerEvent

_LIST_HEADER: Final = 5
"Octets before the messages of a record that has several, at most."
_encoder: Final = msgspec.msgpack.Encoder()
_commands: Final[msgspec.msgpack.Decoder[Command | list[Command]]] = (
    msgspec.msgpack.Decoder(Command | list[Command])
)
_reports: Final[msgspec.msgpack.Decoder[Report]] = msgspec.msgpack.Decoder(Report)


def encode(message: Command | Report) -> bytes:
    """One message as bytes. Raises ControlError beyond MAX_MESSAGE."""
    data = _encoder.encode(message)
    if len(data) > MAX_MESSAGE:
        raise ControlError("A control message is too long.")
    return data


def first_record(
    queue: Iterable[tuple[bytes, tuple[int, ...]]],
) -> tuple[int, bytes, tuple[int, ...]]:
    """As many encoded messages from the head of a queue as one record holds.

    Returns how many these are, the record, and its descriptors.
    """
    taken: list[bytes] = []
    descriptors: tuple[int, ...] = ()
    room = MAX_MESSAGE - _LIST_HEADER
    for data, more in queue:
        room -= len(data)
        if taken and (room < 0 or len(descriptors + more) > MAX_DESCRIPTORS):
            break
        taken.append(data)
        descriptors += more
    if len(taken) == 1:
        return 1, taken[0], descriptors
    record = _encoder.encode([msgspec.Raw(data) for data in taken])
    return len(taken), record, descriptors


def decode_commands(data: bytes) -> list[Command]:
    """What the main process said. Raises ControlError if these are no commands."""
    try:
        commands = _commands.decode(data)
    except msgspec.MsgspecError as error:
        raise ControlError("The main process sent no valid message.") from error
    return commands if isinstance(commands, list) else [commands]


def decode_report(data: bytes) -> Report:
    """What a worker said. Raises ControlError if it is no report."""
    try:
        return _reports.decode(data)
    except msgspec.MsgspecError as error:
        raise ControlError("A media worker sent no valid message.") from error


def receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """One record and its descriptors; empty bytes are the end of the connection.

    Raises OSError as recvmsg does, ControlError if the message was cut.
    """
    # Not socket.recv_fds: it drops the flags it is given.
    data, ancillary, flags, _ = channel.recvmsg(
        MAX_MESSAGE,
        socket.CMSG_LEN(MAX_DESCRIPTORS * array("i").itemsize),
        socket.MSG_CMSG_CLOEXEC,
    )
    descriptors = array("i")
    for level, kind, body in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(body)
    if flags & _CUT:
        for fd in descriptors:
            os.close(fd)
        raise ControlError("A control message was cut.")
    return data, list(descriptors)


def send(channel: socket.socket, data: bytes, descriptors: tuple[int, ...]) -> None:
    """Send one record. Raises OSError as sendmsg does."""
    if descriptors:
        socket.send_fds(channel, [data], descriptors)
    else:
        channel.send(data)
