"""Which of our codecs a description names: what its writer can receive."""

from agent.model.media import CODECS
from agent.signalling.audio_media import those_offered
from agent.signalling.sdp import SdpError, parse_sdp


def codecs_in(body: bytes) -> tuple[str, ...] | None:
    """Names of the codecs in the audio streams of a description, the first first.

    None if it is no description: then its writer has not said.
    """
    try:
        description = parse_sdp(body)
    except SdpError:
        return None
    return tuple(
        dict.fromkeys(
            codec.name
            for media in description.media
            if media.kind == "audio" and media.port
            for codec in those_offered(media, tuple(CODECS.values()))
        )
    )
