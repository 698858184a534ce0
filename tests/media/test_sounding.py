from dataclasses import replace

import pytest

from agent.formats.rtp.packet import RtpPacket
from agent.media.sounding import sounds
from agent.model.media import (
    G722,
    OPUS,
    PCMA,
    PCMU,
    Address,
    Direction,
    NegotiatedAudio,
)

AUDIO = NegotiatedAudio(
    remote=Address("192.0.2.1", 4000),
    remote_rtcp=Address("192.0.2.1", 4001),
    codec=PCMA,
    others=(PCMU, G722, OPUS),
    telephone_event=101,
    comfort_noise=13,
    direction=Direction.SENDRECV,
    ptime=20,
)


def packet(payload_type: int, payload: bytes) -> bytes:
    return RtpPacket(
        payload_type=payload_type,
        marker=True,
        sequence_number=1,
        timestamp=2,
        ssrc=3,
        payload=payload,
    ).to_bytes()


@pytest.mark.parametrize(
    ("payload_type", "payload", "sound"),
    [
        (8, b"\xd5" * 160, False),
        (8, b"\xd5\x55\xd4\x54" * 40, False),
        (8, b"\xd5" * 80 + b"\xd7" + b"\xd5" * 79, True),
        (8, b"\x7f" + b"\xd5" * 159, True),
        (8, b"", False),
        (0, b"\xff\x7f\xfe\x7e" * 40, False),
        (0, b"\xff" * 80 + b"\xfd" + b"\xff" * 79, True),
        (9, b"\xfa" * 160, False),
        (9, b"\xfa\xfb" * 80, True),
        (107, b"\xf8\xff\xfe", False),
        (107, b"\x78" * 4, True),
        (13, b"\x40", False),
        (101, b"\x07\x0a\x00\xa0", True),
        (99, b"\x00" * 160, False),
    ],
)
def test_what_is_a_sound(payload_type: int, payload: bytes, *, sound: bool) -> None:
    assert sounds(packet(payload_type, payload), AUDIO) is sound


def test_what_is_behind_an_extension_counts() -> None:
    head = packet(8, b"")
    extended = b"\x90" + head[1:] + b"\xbe\xde\x00\x01abcd" + b"\xd5" * 160
    assert not sounds(extended, AUDIO)


def test_what_is_no_packet_is_no_sound() -> None:
    assert not sounds(b"\x80", AUDIO)
    assert not sounds(b"\xa0" + packet(8, b"\xff")[1:], AUDIO)


def test_a_leg_without_events_and_noise() -> None:
    plain = replace(AUDIO, telephone_event=None, comfort_noise=None)
    assert sounds(packet(8, b"\x12\x34"), plain)
