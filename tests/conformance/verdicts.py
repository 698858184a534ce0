"""What becomes of other people's messages, and the tables that say what should."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.model.media import PCMA, PCMU, Address
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sdp import SdpError, SessionDescription, parse_sdp
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.framing import Broken, Complete, Deframer
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.parser import parse_message

TABLES: Final = Path(__file__).parent / "tables"


def table(name: str) -> dict[str, list[str]]:
    """A table's rows by file, less the column that says why."""
    rows = {}
    for line in (TABLES / f"{name}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        file, *columns = line.split(" | ")
        assert columns[-1], f"{file} has no reason"
        assert file not in rows
        rows[file] = columns[:-1]
    return rows


def judged(data: bytes) -> str:
    """The verdict on one message; what can be written again must mean the same."""
    try:
        message = parse_message(data)
    except SipParseError as error:
        if error.partial is not None:
            response_to(error.partial, error.status, to_tag="t").to_bytes()
        return "dropped" if error.silent else f"refused-{error.status}"
    again = parse_message(message.to_bytes())
    assert again.to_bytes() == message.to_bytes()
    return message.method if isinstance(message, Request) else str(message.status)


def cut(stream: bytes, step: int) -> list[str]:
    """The verdicts on what a stream is cut into when it comes `step` octets a time."""
    deframer = Deframer()
    pieces = (stream[at : at + step] for at in range(0, len(stream), step))
    return [
        judged(frame.data) if isinstance(frame, Complete) else "broken"
        for piece in pieces
        for frame in deframer.receive(piece)
        if isinstance(frame, Complete | Broken)
    ]


def counted(verdicts: Iterable[str]) -> str:
    """Verdicts as the tables write them: each with its number."""
    found = sorted(Counter(verdicts).items())
    return " ".join(w if n == 1 else f"{w}*{n}" for w, n in found) or "-"


def described(data: bytes) -> list[str]:
    """The m-lines of a description, and what a leg with G.711 alone answers."""
    try:
        description = parse_sdp(data)
    except SdpError:
        return ["-", "malformed"]
    assert parse_sdp(description.to_bytes()) == description
    media = " ".join(f"{media.kind}:{media.port}" for media in description.media)
    negotiation = OfferAnswer(
        address=Address("::1" if _is_ipv6(description) else "192.0.2.99", 4000),
        session_id=1,
        codecs=(PCMA, PCMU),
    )
    try:
        _, audio = negotiation.answer(data)
    except NotAcceptableError as error:
        return [media or "-", str(error.warn_code)]
    return [media, audio.codec.name]


def _is_ipv6(description: SessionDescription) -> bool:
    if not description.media:
        return False
    connection = description.connection_of(description.media[0])
    return connection is not None and ":" in connection.host
