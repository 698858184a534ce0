"""A flow while it is played: a client, a caller, and what is to be remembered."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tests.lab.daemon import Recording
from tests.lab.siprec import documents as doc
from tests.lab.siprec.messages import Message
from tests.lab.siprec.src import Client
from tests.lab.siprec.streams import Stream

OFFICER = "sip:201@agency.example"
SECOND = "sip:202@agency.example"
TALK = 0.8
"Seconds that each part of a flow lasts."


@dataclass
class Take:
    """A flow that was played."""

    name: str
    number: str
    "The caller's, as it is dialled."
    streams: list[Stream] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    "Frame of the client's clock at which something happened."
    answers: list[Message] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    "In the order of their segments; to be filled in."

    @property
    def caller(self) -> str:
        return f"sip:{self.number}@trunk.example"

    @property
    def tag(self) -> str:
        """The caller, as a recording has it."""
        return f"+358{self.number[1:]}"

    def stream(self, label: str) -> Stream:
        """Its own sound, whatever another flow has on such a label."""
        seed = 1000 * int(self.number[-3:]) + len(self.streams)
        made = Stream(label, seed)
        self.streams.append(made)
        return made

    def two(self, **more: Any) -> tuple[str, ...]:
        """Metadata of the caller and the officer, each heard on one stream."""
        return doc.two_parties(self.caller, OFFICER, call=self.name, **more)


@dataclass
class Scene:
    """One flow while it is played."""

    take: Take
    client: Client

    def mark(self, word: str) -> None:
        """Note when something happens."""
        self.take.marks[word] = self.client.clock.frame

    async def talk(self, seconds: float = TALK) -> None:
        """Let them talk."""
        await asyncio.sleep(seconds)

    def keep(self, answer: Message, status: int = 200) -> None:
        """Remember an answer, which must be so."""
        assert answer.status == status, f"{self.take.name}: {answer.start}"
        self.take.answers.append(answer)

    async def begin(self, *elements: str, labels: tuple[str, ...] = ("1", "2")) -> None:
        """Ask for a recording session of two streams, with such metadata."""
        self.client.add(*(self.take.stream(label) for label in labels))
        self.keep(await self.client.record(doc.document(*elements)))

    async def end(self) -> None:
        """Say that the call is over, by BYE."""
        self.mark("end")
        over = doc.partial(doc.session(self.take.name, stopped=True))
        self.keep(await self.client.bye(over))

    def direct(self, *directions: str) -> None:
        """How the streams are to be offered next, in their order."""
        for stream, direction in zip(self.take.streams, directions, strict=True):
            stream.direction = direction
