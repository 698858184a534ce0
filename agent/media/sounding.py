"""Whether a packet carries any sound: a cheap look, not a decoder."""

from typing import Final

from agent.formats.rtp.packet import RtpError, payload_bounds
from agent.model.media import NegotiatedAudio

_PAYLOAD_TYPE: Final = 0x7F
_QUIETEST: Final = {
    "PCMA": bytes((0xD5, 0xD4, 0x55, 0x54)),
    "PCMU": bytes((0xFF, 0xFE, 0x7F, 0x7E)),
}
"The two steps of each law beside zero, either sign: what a muted phone sends."
_OPUS_SILENCE: Final = 3
"Octets of Opus at most that are no sound: DTX (RFC 7587), or digital silence."


def sounds(packet: bytes, audio: NegotiatedAudio) -> bool:
    """Whether an RTP packet of a leg has anything to be heard in it.

    Comfort noise is nothing, a key's event is something. G.722 never repeats itself in
    silence: of it only what is all one octet is known for nothing.
    """
    try:
        start, end = payload_bounds(packet)
    except RtpError:
        return False
    payload_type = packet[1] & _PAYLOAD_TYPE
    if payload_type == audio.telephone_event:
        return True
    payload = packet[start:end]
    if not payload or payload_type == audio.comfort_noise:
        return False
    name = next(
        (
            c.name
            for c in (audio.codec, *audio.others)
            if c.payload_type == payload_type
        ),
        "",
    )
    if name == "opus":
        return len(payload) > _OPUS_SILENCE
    return bool(payload.strip(_QUIETEST.get(name, payload[:1])))
