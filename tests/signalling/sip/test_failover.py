"""Requests of ours that go to the next server, or by another transport."""

from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.outages import MAX_OUT_SECONDS
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.resending import MAX_UDP, PATIENCE
from agent.signalling.sip.uri import NameAddr, parse_uri
from tests.signalling.sip.pair import new_core

LOCAL = Address("192.0.2.250", 5060)
FIRST = Flow("udp", LOCAL, Address("192.0.2.1", 5060))
SECOND = Flow("udp", LOCAL, Address("192.0.2.2", 5060))
THIRD = Flow("tcp", LOCAL, Address("192.0.2.3", 5060))
TARGET = parse_uri("sip:you@example.com")


def call(core: UserAgentCore, *others: Flow, body: bytes = b"offer") -> str:
    return core.invite(
        uri=TARGET,
        flow=FIRST,
        from_=NameAddr(None, parse_uri("sip:me@192.0.2.250"), ()),
        to=NameAddr(None, TARGET, ()),
        contact=parse_uri("sip:me@192.0.2.250"),
        body=body,
        alternatives=others,
        now=0.0,
    )


def sent(core: UserAgentCore) -> list[tuple[Request, Flow]]:
    found = []
    for data, flow in core.data_to_send():
        message = parse_message(data)
        assert isinstance(message, Request)
        found.append((message, flow))
    return found


def answer(
    core: UserAgentCore, request: Request, status: int, flow: Flow, **more: Any
) -> None:
    response = response_to(request, status, to_tag=f"t{flow.remote}", **more)
    response.headers.add("Contact", f"<sip:you@{flow.remote}>")
    core.receive(response.to_bytes(), flow, 1.0)


def events(core: UserAgentCore) -> list[Any]:
    found = []
    while (event := core.next_event()) is not None:
        found.append(event)
    return found


def test_who_says_nothing_is_left_for_the_next() -> None:
    core = new_core(1)
    session = call(core, SECOND, THIRD)
    [(first, flow)] = sent(core)
    assert flow == FIRST
    core.handle_timer(PATIENCE * 0.5)
    [(second, flow)] = [s for s in sent(core) if s[1] != FIRST]
    assert flow == SECOND
    assert events(core) == []
    assert second.top_via.branch != first.top_via.branch
    assert (second.call_id, second.cseq, second.from_) == (
        first.call_id,
        first.cseq,
        first.from_,
    )
    answer(core, second, 200, SECOND, body=b"answer")
    [accepted] = events(core)
    assert isinstance(accepted, sip.Accepted)
    assert accepted.session == session
    [(ack, flow)] = sent(core)
    assert (ack.method, flow) == ("ACK", SECOND)
    core.hang_up(session, 2.0)
    [(bye, flow)] = sent(core)
    assert (bye.method, flow.remote) == ("BYE", SECOND.remote)
    # The next call is not made to wait.
    assert core.outages.order([FIRST, SECOND], 10.0) == [SECOND, FIRST]


def test_a_refused_transport_moves_it_at_once_and_to_the_end_of_the_list() -> None:
    core = new_core(1)
    session = call(core, SECOND, THIRD)
    sent(core)
    core.transport_failed(FIRST, 0.1)
    assert [flow for _, flow in sent(core)] == [SECOND]
    core.transport_failed(SECOND, 0.2)
    [(third, flow)] = sent(core)
    assert flow == THIRD
    assert third.top_via.transport == "TCP"
    core.connection_lost(THIRD, 0.3)
    assert sent(core) == []
    [refused] = events(core)
    assert isinstance(refused, sip.Refused)
    assert (refused.session, refused.status) == (session, 503)
    assert len(core._user.resending) == 0


def test_a_503_is_a_reason_another_refusal_is_none() -> None:
    core = new_core(1)
    call(core, SECOND)
    [(first, _)] = sent(core)
    answer(core, first, 503, FIRST)
    [(ack, _), (second, flow)] = sent(core)
    assert (ack.method, flow) == ("ACK", SECOND)
    answer(core, second, 486, SECOND)
    [refused] = events(core)
    assert refused.status == 486
    call(core, SECOND)
    [(first, _)] = [s for s in sent(core) if s[0].method == "INVITE"]
    answer(core, first, 480, FIRST)
    assert [flow for _, flow in sent(core)] == [FIRST]
    assert events(core)[0].status == 480


@pytest.mark.parametrize(
    ("retry_after", "left_alone"),
    [
        ("20", 20.0),
        ("30 (in maintenance);duration=60", 30.0),
        ("999999", MAX_OUT_SECONDS),
        ("0", 0.0),
        ("soon", 0.0),
        (None, 0.0),
    ],
)
@pytest.mark.parametrize("others", [(), (SECOND,)])
def test_a_503_with_retry_after_keeps_later_requests_away(
    others: tuple[Flow, ...], retry_after: str | None, left_alone: float
) -> None:
    core = new_core(1)
    call(core, *others)
    [(first, _)] = sent(core)
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    answer(core, first, 503, FIRST, headers=headers)
    assert core.outages.is_out(FIRST, 1.0) == (left_alone > 0)
    assert core.outages.is_out(FIRST, 0.9 + left_alone) or not left_alone
    assert not core.outages.is_out(FIRST, 1.0 + left_alone)
    assert not core.outages.is_out(SECOND, 1.0)


def test_after_ringing_it_waits_for_as_long_as_it_rings() -> None:
    core = new_core(1)
    call(core, SECOND)
    [(first, _)] = sent(core)
    answer(core, first, 180, FIRST)
    core.handle_timer(100.0)
    assert [type(event) for event in events(core)] == [sip.Progressed]
    assert sent(core) == []


def test_a_call_given_up_goes_nowhere_else() -> None:
    core = new_core(1)
    session = call(core, SECOND)
    sent(core)
    core.hang_up(session, 1.0)
    core.handle_timer(PATIENCE * 0.5)
    assert all(flow == FIRST for _, flow in sent(core))
    [refused] = events(core)
    assert isinstance(refused, sip.Refused)


def test_without_another_server_it_waits_the_whole_time() -> None:
    core = new_core(1)
    call(core)
    core.handle_timer(31.0)
    assert events(core) == []
    core.handle_timer(32.0)
    assert events(core)[0].status == 408


def test_requests_outside_dialogs_move_too() -> None:
    core = new_core(1)
    request = new_request(
        "OPTIONS",
        TARGET,
        from_=NameAddr(None, TARGET, (("tag", "x"),)),
        to=NameAddr(None, TARGET, ()),
        call_id="c",
        cseq=1,
    )
    core._user.send_request(request, FIRST, 0.0, owner=None, alternatives=[SECOND])
    sent(core)
    core.transport_failed(FIRST, 0.1)
    assert [flow for _, flow in sent(core)] == [SECOND]


# -- too large for UDP (RFC 3261 section 18.1.1) -----------------------------------

LARGE = b"v=0\r\n" + b"a=x\r\n" * 250
BY_TCP = Flow("tcp", LOCAL, FIRST.remote)


def serving_tcp() -> UserAgentCore:
    core = new_core(1)
    core.serve([("tcp", Address("2001:db8::1", 5060)), ("tcp", LOCAL)])
    return core


def test_a_large_request_leaves_by_tcp() -> None:
    core = serving_tcp()
    session = call(core, body=LARGE)
    [(invite, flow)] = sent(core)
    assert flow == BY_TCP
    assert invite.top_via.transport == "TCP"
    assert len(invite.to_bytes()) > MAX_UDP
    answer(core, invite, 200, BY_TCP, body=b"answer")
    core.hang_up(session, 2.0)
    assert [(r.method, f.transport) for r, f in sent(core)] == [
        ("ACK", "udp"),
        ("BYE", "udp"),
    ]


def test_a_small_one_and_one_without_a_listener_stay() -> None:
    core = serving_tcp()
    call(core)
    assert [flow for _, flow in sent(core)] == [FIRST]
    core = new_core(1)
    call(core, body=LARGE)
    assert [flow for _, flow in sent(core)] == [FIRST]
    core.serve([("tcp", Address("2001:db8::1", 5060))])
    call(core, body=LARGE)
    assert [flow for _, flow in sent(core)] == [FIRST]


@pytest.mark.parametrize("size", range(1270, 1330, 7))
def test_what_goes_by_udp_is_never_larger_than_allowed(size: int) -> None:
    core = serving_tcp()
    call(core, body=b"x")
    [(invite, _)] = sent(core)
    call(core, body=b"x" * (size - len(invite.to_bytes())))
    [(data, flow)] = core.data_to_send()
    if flow.transport == "udp":
        assert len(data) <= MAX_UDP


def test_a_peer_without_tcp_gets_it_by_udp_and_is_remembered() -> None:
    core = serving_tcp()
    session = call(core, body=LARGE)
    sent(core)
    core.transport_failed(BY_TCP, 0.1)
    [(invite, flow)] = sent(core)
    assert flow == FIRST
    assert invite.top_via.transport == "UDP"
    answer(core, invite, 200, FIRST, body=b"answer")
    core.reoffer(session, 2.0, body=LARGE)
    assert {flow.transport for _, flow in sent(core)} == {"udp"}


def test_a_large_request_within_a_dialog_moves_like_any_other() -> None:
    core = serving_tcp()
    session = call(core)
    [(invite, _)] = sent(core)
    answer(core, invite, 200, FIRST, body=b"answer")
    sent(core)
    core.reoffer(session, 2.0, body=LARGE)
    [(again, flow)] = sent(core)
    assert flow == BY_TCP
    core.transport_failed(BY_TCP, 2.1)
    [(by_udp, flow)] = sent(core)
    assert flow == FIRST
    assert by_udp.cseq == again.cseq
    response = response_to(by_udp, 200, body=b"answer")
    core.receive(response.to_bytes(), FIRST, 2.2)
    assert isinstance(events(core)[-1], sip.OfferAnswered)


# -- the transport that the peer names (RFC 3263 section 4.1) -----------------------

NAMED = Flow("tcp", LOCAL, FIRST.remote)


def named_tcp(core: UserAgentCore) -> tuple[str, Request]:
    """A call over UDP, whose target wants to be reached by TCP; and its 2xx's ACK."""
    session = call(core)
    [(invite, _)] = sent(core)
    response = response_to(invite, 200, to_tag="t", body=b"answer")
    response.headers.add("Contact", f"<sip:you@{FIRST.remote};transport=tcp>")
    core.receive(response.to_bytes(), FIRST, 1.0)
    return session, invite


def test_requests_in_a_dialog_go_by_the_transport_of_its_target() -> None:
    core = serving_tcp()
    session, _ = named_tcp(core)
    core.reoffer(session, 2.0, body=b"offer")
    assert [(r.method, f) for r, f in sent(core)] == [("ACK", NAMED), ("INVITE", NAMED)]


def test_a_target_that_cannot_be_reached_so_is_reached_as_before() -> None:
    core = serving_tcp()
    session, invite = named_tcp(core)
    sent(core)
    # Nobody listens there: the ACK is lost, and its 2xx comes again.
    core.transport_failed(NAMED, 1.1)
    response = response_to(invite, 200, to_tag="t", body=b"answer")
    core.receive(response.to_bytes(), FIRST, 1.5)
    assert [(r.method, f) for r, f in sent(core)] == [("ACK", FIRST)]
    core.hang_up(session, 2.0)
    assert [(r.method, f) for r, f in sent(core)] == [("BYE", FIRST)]


def test_the_first_request_that_is_lost_so_is_sent_at_once_as_before() -> None:
    core = serving_tcp()
    session, _ = named_tcp(core)
    sent(core)
    core.hang_up(session, 2.0)
    [(bye, flow)] = sent(core)
    assert flow == NAMED
    core.transport_failed(NAMED, 2.1)
    [(again, flow)] = sent(core)
    assert (again.method, flow) == ("BYE", FIRST)
    assert again.cseq == bye.cseq


INBOUND = Flow("tcp", LOCAL, Address("192.0.2.1", 40000), inbound=True)


def called_over_tcp(core: UserAgentCore) -> str:
    """A call of a peer that has connected to us, and listens on UDP."""
    core.serve([("tcp", LOCAL), ("udp", LOCAL)])
    invite = new_request(
        "INVITE",
        parse_uri(f"sip:us@{LOCAL}"),
        from_=NameAddr(None, parse_uri("sip:you@192.0.2.1"), (("tag", "t"),)),
        to=NameAddr(None, parse_uri(f"sip:us@{LOCAL}"), ()),
        call_id="call",
        cseq=1,
    )
    invite.headers.prepend("Via", f"SIP/2.0/TCP {FIRST.remote};branch=z9hG4bKa")
    invite.headers.add("Contact", f"<sip:you@{FIRST.remote}>")
    core.receive(invite.to_bytes(), INBOUND, 0.0)
    [invited] = events(core)
    core.accept(invited.session, 0.0, contact=parse_uri("sip:us@a"), body=b"offer")
    data = [parse_message(data) for data, _ in core.data_to_send()]
    invite.headers.set("To", str(data[-1].to))
    ack = Request("ACK", invite.uri, invite.headers.copy())
    ack.headers.set("CSeq", "1 ACK")
    ack.headers.set("Via", f"SIP/2.0/TCP {FIRST.remote};branch=z9hG4bKb")
    core.receive(ack.to_bytes(), INBOUND, 0.1)
    return str(invited.session)


def test_who_has_hung_up_its_connection_and_takes_none_is_reached_by_udp() -> None:
    core = new_core(1)
    core.hang_up(called_over_tcp(core), 1.0)
    [(bye, flow)] = sent(core)
    assert (flow, flow.fallback) == (INBOUND, FIRST.remote)
    core.transport_failed(INBOUND, 1.1)
    [(again, flow)] = sent(core)
    assert (again.method, again.top_via.transport, flow) == ("BYE", "UDP", FIRST)
    assert again.cseq == bye.cseq


def test_a_connection_over_which_nothing_is_answered_is_no_reason_for_udp() -> None:
    core = new_core(1)
    core.hang_up(called_over_tcp(core), 1.0)
    sent(core)
    for waited in (PATIENCE, 64):
        core.handle_timer(1.0 + waited * 0.5)
        assert sent(core) == []


def test_a_server_that_is_only_silent_has_it_already() -> None:
    core = serving_tcp()
    call(core, body=LARGE)
    sent(core)
    core.handle_timer(32.0)
    assert sent(core) == []
    assert events(core)[0].status == 408


def test_a_refusal_comes_to_nobodys_harm_for_another_event() -> None:
    core = new_core(1)
    core.receive(Response(200, "OK", sent_invite().headers).to_bytes(), FIRST, 0.0)
    assert events(core) == []


def sent_invite() -> Request:
    core = new_core(2)
    call(core)
    return sent(core)[0][0]


def test_the_way_that_is_taken_is_the_one_we_are_reached_by() -> None:
    core = new_core(1)
    session = call(core, SECOND, THIRD)
    [(first, _)] = sent(core)
    assert str(first.contact) == "<sip:me@192.0.2.250>"
    core.transport_failed(FIRST, 0.1)
    core.transport_failed(SECOND, 0.2)
    third = sent(core)[-1][0]
    assert str(third.contact) == "<sip:me@192.0.2.250:5060;transport=tcp>"
    answer(core, third, 200, THIRD, body=b"answer")
    sent(core)
    core.reoffer(session, 2.0, body=b"offer")
    [(reinvite, _)] = sent(core)
    assert reinvite.contact == third.contact


def test_a_session_timer_that_is_refused_elsewhere_leaves_the_rest_to_try() -> None:
    core = new_core(1, session_expires=1800, supported=("timer",))
    core.serve([("tcp", LOCAL)])
    call(core, SECOND, body=b"offer" * MAX_UDP)
    [(_, flow)] = sent(core)
    assert (flow.transport, flow.remote) == ("tcp", FIRST.remote)
    core.transport_failed(flow, 0.1)
    [(again, flow)] = sent(core)
    assert flow == FIRST
    answer(core, again, 422, FIRST, headers=(("Min-SE", "3600"),))
    core.transport_failed(FIRST, 1.1)
    assert sent(core)[-1][1] == SECOND


def test_what_others_began_says_nothing_of_where_requests_may_go() -> None:
    core = new_core(1)
    inbound = Flow("tcp", LOCAL, Address("192.0.2.3", 40000), inbound=True)
    for flow in (FIRST, inbound):
        core.transport_failed(flow, 0.0)
        assert not core.outages.is_out(flow, 0.1)
    core.transport_failed(THIRD, 0.0)
    assert core.outages.is_out(THIRD, 0.1)
