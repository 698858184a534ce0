import random

import pytest

from agent.call.routing import RouteTable
from agent.common.ids import new_id
from agent.identity.numbers import IdentityConfig
from agent.model.media import Address
from agent.service.credentials import Credentials
from agent.service.peer_secrets import PeerSecrets
from agent.signalling.config import SipConfig
from agent.signalling.phones import PhoneLine, format_phones, parse_phones, users_of
from agent.signalling.sip.authorization import ClientCredentials
from agent.signalling.sip.digest import Algorithm
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.parser import parse_message
from tests.service.test_credentials import US, peer

PHONE = Flow("udp", US, Address("192.0.2.1", 5070))


def made(credentials: Credentials, routes: RouteTable) -> PeerSecrets:
    config = SipConfig(listen=("udp:127.0.0.1:5060",))
    return PeerSecrets(credentials, routes, config, IdentityConfig(), random.Random(7))


def invite() -> Request:
    data = (
        "INVITE sip:0401234567@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{new_id()}\r\n"
        "From: <sip:201@agency>;tag=1\r\nTo: <sip:0401234567@127.0.0.1>\r\n"
        f"Call-ID: {new_id()}\r\nCSeq: 1 INVITE\r\n"
        "Contact: <sip:201@192.0.2.1:5070>\r\nMax-Forwards: 70\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    message = parse_message(data.encode())
    assert isinstance(message, Request)
    return message


def test_the_first_phones_that_are_configured_are_asked_for_passwords() -> None:
    routes = RouteTable(
        (peer(),), (), emergency=(), exempt=(), identity=IdentityConfig()
    )
    secrets = made(Credentials(), routes)
    assert secrets.judge(invite(), PHONE, None, 0.0) is None
    assert secrets.proven_number(invite(), PHONE) is None
    line = PhoneLine("201", "agency", Algorithm.MD5, "0" * 32)
    users = users_of(parse_phones(format_phones([line])))
    secrets.replace(Credentials(users={"trunk": users}))
    refused = secrets.judge(invite(), PHONE, None, 0.0)
    assert refused is not None
    assert refused.status == 401
    secrets.replace(Credentials())
    assert secrets.judge(invite(), PHONE, None, 0.0) is None


@pytest.mark.parametrize(
    ("flow", "known"),
    [
        (Flow("udp", US, Address("192.0.2.1", 5070)), True),
        (Flow("udp", US, Address("192.0.2.2", 5070)), False),
        (Flow("udp", US, Address("203.0.113.1", 5070)), False),
        (Flow("tls", US, Address("203.0.113.1", 5061), "SBC.example"), True),
        (Flow("tls", US, Address("203.0.113.1", 5061), "other.example"), False),
    ],
)
def test_only_the_peer_behind_a_flow_is_told(flow: Flow, known: bool) -> None:
    peers = (
        peer(match=("192.0.2.1", "tls:sbc.example")),
        peer("other", match=("192.0.2.2",)),
    )
    routes = RouteTable(peers, (), emergency=(), exempt=(), identity=IdentityConfig())
    ours = ClientCredentials("agent", "s3cret")
    secrets = made(Credentials(ours={"trunk": ours}), routes)
    assert secrets.credentials_for(flow) == (ours if known else None)
    secrets.replace(Credentials())
    assert secrets.credentials_for(flow) is None
