import pytest

from agent.model.media import Address
from agent.signalling.sip.contact import asks_for_sips, contact_of
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import parse_uri


def test_a_contact_names_its_transport() -> None:
    def contact(transport: str, *, secure: bool = False) -> str:
        flow = Flow(transport, Address("::1", 5061), Address("::1", 9))
        return str(contact_of(flow, "x", secure=secure))

    assert contact("udp") == "sip:x@[::1]:5061"
    assert contact("tcp") == "sip:x@[::1]:5061;transport=tcp"
    assert contact("tls") == "sip:x@[::1]:5061;transport=tls"
    assert contact("tls", secure=True) == "sips:x@[::1]:5061"


@pytest.mark.parametrize(
    ("uri", "headers", "secure"),
    [
        ("sip:x@h", "Contact: <sip:a@h>", False),
        ("sips:x@h", "Contact: <sip:a@h>", True),
        ("sip:x@h", "Contact: <sips:a@h>", True),
        ("sip:x@h", "Contact: <sips:a@h>\nRecord-Route: <sip:p;lr>,<sips:q;lr>", False),
        ("sip:x@h", "Contact: <sip:a@h>\nRecord-Route: <sips:p;lr>", True),
        ("sip:x@h", "", False),
    ],
)
def test_who_calls_by_sips_is_answered_so(
    uri: str, headers: str, *, secure: bool
) -> None:
    lines = [line.split(": ") for line in headers.splitlines()]
    made = Headers([(name, value) for name, value in lines])
    invite = Request("INVITE", parse_uri(uri), made)
    assert asks_for_sips(invite) is secure
