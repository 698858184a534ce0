from agent.model.media import Address
from agent.signalling.sip.contact import contact_of
from agent.signalling.sip.flow import Flow


def test_a_contact_names_its_transport() -> None:
    def contact(transport: str, *, secure: bool = False) -> str:
        flow = Flow(transport, Address("::1", 5061), Address("::1", 9))
        return str(contact_of(flow, "x", secure=secure))

    assert contact("udp") == "sip:x@[::1]:5061"
    assert contact("tcp") == "sip:x@[::1]:5061;transport=tcp"
    assert contact("tls") == "sip:x@[::1]:5061;transport=tls"
    assert contact("tls", secure=True) == "sips:x@[::1]:5061"
