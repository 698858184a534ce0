"""Which of our codecs a description names: what its writer can receive."""

from agent.model.media import CODECS
from agent.signalling.audio_media import those_offered
from agent.signalling.sdp import SdpError, SessionDescription, parse_sdp


def read_description(body: bytes) -> SessionDescription | None:
    """What `body` describes; None if it is no description."""
    try:
        return parse_sdp(body)
    except SdpError:
        return None


def codecs_in(description: SessionDescription | None) -> tuple[str, ...] | None:
    """Names of the codecs in the audio streams of a description, the first first.

    None without a description: then its writer has not said.
    """
    if description is None:
        return None
    return tuple(
        dict.fromkeys(
            codec.name
            for media in description.media
            if media.kind == "audio" and media.port
            for codec in those_offered(media, tuple(CODECS.values()))
        )
    )
