import pytest

from agent.call.early_media import EarlyMedia, early_media
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import parse_uri


def invite(*headers: tuple[str, str], body: bytes = b"v=0\r\n") -> Request:
    return Request("INVITE", parse_uri("sip:1@h"), Headers(headers), body)


SUPPORTED = ("Supported", "timer, 100rel")
REQUIRED = ("Require", "100rel")


@pytest.mark.parametrize(
    ("request_", "policy", "possible"),
    [
        (invite(), "any", EarlyMedia.PLAIN),
        (invite(SUPPORTED), "any", EarlyMedia.RELIABLE),
        (invite(REQUIRED), "any", EarlyMedia.RELIABLE),
        (invite(), "reliable", EarlyMedia.NONE),
        (invite(SUPPORTED), "reliable", EarlyMedia.RELIABLE),
        (invite(SUPPORTED), "never", EarlyMedia.NONE),
        (invite(SUPPORTED, body=b""), "any", EarlyMedia.NONE),
    ],
)
def test_what_a_path_can_do(
    request_: Request, policy: str, possible: EarlyMedia
) -> None:
    assert early_media(request_, policy) is possible
