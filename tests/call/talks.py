"""A conversation without a call, and what it commands."""

import itertools
from typing import Any

from agent.call import commands as do
from agent.call.config import RouteConfig
from agent.call.conversation import Conversation
from agent.call.notices import Notices
from agent.call.routing import Destination
from agent.call.segments import Segments
from agent.model.call import CallDirection, EndCause
from tests.call.sessions import evidence

ROUTE: dict[str, Any] = {
    "name": "r",
    "from_": "trunk",
    "number": "1",
    "direction": "inbound",
    "to": ("sip:201@h",),
    "notice": ("fi.wav",),
}
COLLEAGUE = Destination(rounds=(("sip:202@h",),), staff=True)
OUTSIDE = Destination(rounds=(("sip:0401@h",),), staff=False)
EMERGENCY = Destination(
    rounds=(("sip:112@h",),), staff=False, exempt=True, emergency=True
)
SEGMENT_1 = do.CloseRecording(cause=EndCause.TRANSFERRED)


class Talk:
    """A conversation between an outside caller and an officer, and its commands."""

    def __init__(
        self,
        *,
        wanted: bool = True,
        officers: tuple[str, ...] = ("b1",),
        notices: tuple[str, ...] = ("fi",),
        **route: Any,
    ) -> None:
        self.emitted: list[do.Command] = []
        self.causes: list[EndCause] = []
        self.segments = Segments(
            self._emit, wanted=wanted, max_length=100.0, max_pause=50.0
        )
        played = Notices(notices)
        if notices:
            played.note_played(evidence())
        self.it = Conversation(
            self._emit,
            route=RouteConfig(**(ROUTE | route)),
            direction=CallDirection.INBOUND,
            talkers=("a", "b1"),
            officers=officers,
            announced={"a"},
            segments=self.segments,
            notices=played,
            names=map("b{}".format, itertools.count(2)),
            over=self.causes.append,
        )
        self.it.begin(0.0)
        self.begun = self.take()

    def _emit(self, command: do.Command) -> None:
        self.emitted.append(command)

    def take(self) -> list[do.Command]:
        taken, self.emitted = self.emitted, []
        return taken


def transferring(destination: Destination = COLLEAGUE, *, held: bool = True) -> Talk:
    talk = Talk()
    talk.it.transfer("b1", destination, 1.0, held=held)
    return talk


def second(segment: int = 2, officer: str = "b2") -> do.OpenRecording:
    return do.OpenRecording(
        segment=segment, customer="a", officer=officer, notices=(evidence(),)
    )
