"""Recording sessions that are negotiated, and what clients offer in them."""

import random
from collections.abc import Mapping

from agent.model.media import (
    G722,
    OPUS,
    PCMA,
    PCMU,
    Address,
    Codec,
    SrtpPolicy,
    SrtpSuite,
)
from agent.signalling.crypto_attribute import CryptoAttribute
from agent.signalling.sdp import Media, parse_sdp
from agent.signalling.siprec.negotiation import (
    RecordedStream,
    RecordingNegotiation,
)
from tests.signalling.offers import description

TWO = (
    "audio 4000 RTP/AVP 8\r\na=sendonly\r\na=label:1",
    "audio 4002 RTP/AVP 8\r\na=sendonly\r\na=label:2",
)


def ports(*indices: int, host: str = "192.0.2.1") -> dict[int, Address]:
    return {index: Address(host, 20000 + 2 * index) for index in indices}


def negotiation(
    *,
    codecs: tuple[Codec, ...] = (PCMA, PCMU, G722, OPUS),
    secure: bool = False,
    srtp: SrtpPolicy = SrtpPolicy.OFFER,
    host: str = "",
) -> RecordingNegotiation:
    return RecordingNegotiation(
        session_id=7,
        codecs=codecs,
        srtp=srtp,
        secure=secure,
        host=host,
        random_bytes=random.Random(1).randbytes,
    )


def answered(
    session: RecordingNegotiation,
    offer: bytes,
    addresses: Mapping[int, Address] | None = None,
) -> tuple[tuple[Media, ...], tuple[RecordedStream, ...]]:
    """The m-lines of the answer; every stream that is wanted has a port."""
    if addresses is None:
        addresses = ports(*session.wanted(offer))
    answer, streams = session.answer(offer, addresses)
    assert streams == session.streams
    return parse_sdp(answer).media, streams


def crypto(number: int) -> str:
    suite = SrtpSuite.AES_CM_128_HMAC_SHA1_80
    line = CryptoAttribute("1", suite, bytes([number]) * suite.key_size)
    return f"a=crypto:{line.to_value()}"


def secured(*labels: str) -> bytes:
    return description(
        *(
            f"audio {4000 + 2 * i} RTP/SAVP 8\r\na=label:{label}\r\n"
            f"a=sendonly\r\n{crypto(i + 1)}"
            for i, label in enumerate(labels)
        )
    )


def version(answer: bytes) -> str:
    """That of a description of ours."""
    return parse_sdp(answer).origin.version
