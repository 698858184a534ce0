"""Sites to which a recording client sends what it hears."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent.call.config import PeerConfig
from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.recording_session import PATIENCE
from agent.call.siprec.session_call import SessionCall
from agent.call.siprec.sources import RecordingSources
from agent.identity.directory import OfficerEntry
from agent.recording.ledger import LedgerRow
from tests.call.siprec.client import BOTH, Client, Document, sdp
from tests.call.site import Site, key, until

CALLER = "0401234567"
OFFICER = "201"
SECOND = "202"
TALK = Document({CALLER: "96", OFFICER: "97"})
OFFICERS = [
    OfficerEntry(OFFICER, "One", str(key(seed=3))),
    OfficerEntry(SECOND, "Two", str(key(seed=4))),
]
RULES = SiprecConfig(name="beside", from_="client", notice="statement:SRC plays it")


class Recorder(Site):
    """A site with one recording client."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.client = Client(self.switch)
        self.sources = RecordingSources()

    async def record(self, *rules: SiprecConfig, **options: Any) -> None:
        """Start, to record by these rules."""
        self.sources = RecordingSources(rules or (RULES,))
        await self.start(**{"officers": OFFICERS} | options)

    def _peers(self, *arguments: Any) -> tuple[PeerConfig, ...]:
        client = PeerConfig(name="client", match=(str(self.client.address),))
        return (*super()._peers(*arguments), client)

    def _made_joint(self, **parts: Any) -> Any:
        return super()._made_joint(sources=self.sources, **parts)

    async def talk_beside(
        self, offer: bytes = b"", document: Document | None = TALK
    ) -> None:
        """A recording session as far as its first segment."""
        metadata = b"" if document is None else document.xml
        self.client.record(offer or sdp(*BOTH), metadata)
        await self.client.answered()
        if self.call.state and self.call.state.machine.untold_until is not None:
            await self.advance(PATIENCE)
        await until(lambda: self.media.told("grant_journal"), "a journal")
        await until(lambda: not self.recorder._tasks, "the envelope is durable")

    @property
    def call(self) -> SessionCall:
        [call] = self.control._calls.values()
        assert isinstance(call, SessionCall)
        return call

    @property
    def spans(self) -> list[tuple[str, int | None]]:
        return [(mark.kind, mark.leg) for mark in self.media.marks]

    async def over(self) -> LedgerRow:
        """The one session's row, once it is over and sealed."""
        row = await self.ended()
        await until(lambda: not self.recorder.unfinished, "it is sealed")
        return row


def rules(**more: Any) -> SiprecConfig:
    return msgspec.structs.replace(RULES, **more)


def names(officers: Sequence[Any]) -> list[str]:
    return [officer.number for officer in officers]
