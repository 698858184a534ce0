"""Two phones on one pool: what the tests of the pool share."""

import random

from agent.formats.journal import NoteRecord, PacketRecord
from agent.formats.journal_reading import Journal
from agent.formats.rtp.packet import RtpPacket
from tests.media.phones import Phone, Site, sound
from tests.ports import span

NOTICE = sound("notice", random.Random(1).randbytes(10 * 160 + 40))
RINGBACK = sound("ringback", random.Random(2).randbytes(400))
FIRST = span(100)


async def talk(running: Site, customer: Phone, officer: Phone) -> None:
    """Two latched, bridged legs: `c` and `o` of call `call`."""
    await running.connect("call", "c", customer)
    await running.connect("call", "o", officer)
    running.pool.bridge("c", "o")
    await running.settle()
    await running.latch("c", customer)
    await running.latch("o", officer)
    await customer.hear_many(2)
    await officer.hear_many(2)


def packet(payload_type: int, sequence: int, ssrc: int, payload: bytes) -> RtpPacket:
    return RtpPacket(
        payload_type=payload_type,
        marker=False,
        sequence_number=sequence,
        timestamp=160 * sequence,
        ssrc=ssrc,
        payload=payload,
    )


def packets(journal: Journal, leg: int) -> list[bytes]:
    return [
        bytes(record.packet)
        for record in journal.records
        if isinstance(record, PacketRecord) and record.leg == leg
    ]


def notes(journal: Journal) -> list[bytes]:
    return [r.note for r in journal.records if isinstance(r, NoteRecord)]


def continuous(heard: list[RtpPacket]) -> bool:
    first = heard[0]
    return all(
        packet.ssrc == first.ssrc
        and packet.sequence_number == (first.sequence_number + n) & 0xFFFF
        for n, packet in enumerate(heard)
    )
