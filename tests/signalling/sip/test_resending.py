"""Requests of Alice's that a scripted peer challenges."""

from agent.signalling.sip import core as sip
from agent.signalling.sip.authorization import ClientCredentials
from agent.signalling.sip.digest import (
    Authorization,
    digest_response,
    hash_password,
    parse_authorization,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.resending import MAX_TRIES
from agent.signalling.sip.uri import NameAddr, parse_uri
from tests.fakes.wire import Wire, lose
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    MALLORY,
    OFFER,
    Peer,
    Phone,
    calling_peer,
    confirmed_with_peer,
    new_core,
)
from tests.signalling.sip.reborn import Keeper

US = ClientCredentials("agent", "s3cret")
TRUNK = {"credentials_for": lambda flow: US if flow.remote == BOB else None}


def challenge(
    peer: Peer, request: Request, nonce: str = "n1", status: int = 401, more: str = ""
) -> None:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    text = f'Digest realm="trunk",nonce="{nonce}",qop="auth"{more}'
    peer.respond(request, status, ALICE, headers=[(name, text)])


def credentials(request: Request, name: str = "Authorization") -> Authorization:
    """The proven credentials of `request`."""
    found = parse_authorization(request.headers.get(name) or "")
    assert found is not None
    ha1 = hash_password(found.algorithm, "agent", found.realm, "s3cret")
    assert found.response == digest_response(ha1, found, request.method)
    return found


def is_clean(alice: Phone) -> bool:
    resending = alice.core._user.resending
    return len(resending) == 0 and not resending._latest and not alice.core._outside


def test_an_invite_is_sent_again_and_nobody_notices() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    assert first.headers.get("Authorization") is None
    challenge(peer, first)
    assert peer.names == ["INVITE", "ACK", "INVITE"]
    again = peer.request("INVITE")
    assert alice.events == []
    assert (again.call_id, again.from_) == (first.call_id, first.from_)
    assert again.to.tag is None
    assert again.cseq.number == first.cseq.number + 1
    assert again.top_via.branch != first.top_via.branch
    assert len(again.vias) == 1
    assert again.body == OFFER
    assert credentials(again).nc == 1
    peer.respond(again, 180, ALICE)
    peer.respond(again, 200, ALICE, body=ANSWER)
    assert alice.names == ["Progressed", "Accepted"]
    assert {event.session for event in alice.events} == {session}
    invite = alice.core.invite_of(session)
    assert invite is not None
    assert invite.cseq == again.cseq
    ack = peer.request("ACK")
    assert ack.cseq.number == again.cseq.number
    assert ack.headers.get("Authorization") == again.headers.get("Authorization")
    assert is_clean(alice)


def test_the_bye_of_a_challenged_call_brings_credentials_along() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    challenge(peer, first)
    peer.respond(peer.request("INVITE"), 200, ALICE, body=ANSWER)
    alice.hang_up(session)
    alice.wire.run(alice.wire.now)
    bye = peer.request("BYE")
    assert bye.cseq.number == first.cseq.number + 2
    assert credentials(bye).nc == 2
    peer.respond(bye, 200, ALICE)
    assert alice.last == sip.Ended(session, sip.EndReason.LOCAL, None)
    alice.wire.run(alice.wire.now + 40)
    assert is_clean(alice)
    assert len(alice.core._layer) == 0


def test_a_bye_challenged_by_a_proxy_is_sent_again() -> None:
    alice, peer, session, _ = confirmed_with_peer(**TRUNK)
    alice.hang_up(session)
    alice.wire.run(0.0)
    first = peer.request("BYE")
    challenge(peer, first, status=407)
    again = peer.request("BYE")
    assert again.cseq.number == first.cseq.number + 1
    assert credentials(again, "Proxy-Authorization").nonce == "n1"
    assert alice.events == []
    peer.respond(again, 200, ALICE)
    assert alice.names == ["Ended"]
    assert is_clean(alice)


def test_a_reinvite_challenged_by_a_proxy_is_sent_again() -> None:
    alice, peer, session, invite = confirmed_with_peer(**TRUNK)
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    first = peer.request("INVITE")
    challenge(peer, first, status=407)
    again = peer.request("INVITE")
    assert again.cseq.number == invite.cseq.number + 2
    peer.respond(again, 200, ALICE, body=ANSWER)
    assert alice.names == ["OfferAnswered"]
    ack = peer.request("ACK")
    name = "Proxy-Authorization"
    assert ack.headers.get(name) == again.headers.get(name)
    # And the next one in that dialog has its credentials at once.
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    third = peer.request("INVITE")
    assert third.cseq.number == again.cseq.number + 1
    assert credentials(third, name).nc == 2
    peer.respond(third, 200, ALICE, body=ANSWER)
    ack = peer.request("ACK")
    assert ack.headers.get(name) == third.headers.get(name)


def test_a_proxy_and_the_peer_behind_it_both_ask() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    challenge(peer, first, "n1", 407)
    challenge(peer, peer.request("INVITE"), "n2", 401)
    third = peer.request("INVITE")
    assert credentials(third, "Proxy-Authorization").nc == 2
    assert credentials(third).nonce == "n2"
    challenge(peer, third, "n3", 401, ",stale=true")
    fourth = peer.request("INVITE")
    assert credentials(fourth).nonce == "n3"
    assert fourth.cseq.number == first.cseq.number + 3
    peer.respond(fourth, 486, ALICE)
    assert [(e.session, e.status) for e in alice.events] == [(session, 486)]
    assert is_clean(alice)


def test_a_wrong_password_fails_the_call() -> None:
    alice, peer, _, first = calling_peer(**TRUNK)
    challenge(peer, first)
    challenge(peer, peer.request("INVITE"), "n2")
    assert alice.names == ["Refused"]
    assert alice.last.status == 401
    assert peer.names == ["INVITE", "ACK", "INVITE", "ACK"]
    stats = alice.core.authorization_stats
    assert stats is not None
    assert (stats.challenged, stats.answered, stats.refused) == (2, 1, 1)
    assert is_clean(alice)


def test_an_endless_tale_of_stale_nonces_ends() -> None:
    alice, peer, _, _ = calling_peer(**TRUNK)
    for n in range(MAX_TRIES):
        challenge(peer, peer.request("INVITE"), f"n{n}", 401, ",stale=true")
    assert peer.names.count("INVITE") == MAX_TRIES
    assert alice.names == ["Refused"]


def test_who_has_no_credentials_passes_the_challenge_on() -> None:
    for options in ({}, {"credentials_for": lambda flow: None}):
        alice, peer, _, first = calling_peer(**options)
        challenge(peer, first)
        assert peer.names == ["INVITE", "ACK"]
        assert [event.status for event in alice.events] == [401]
    assert alice.core.authorization_stats is not None
    assert new_core(1).authorization_stats is None


def test_nobody_sends_again_what_is_not_wanted_any_more() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    alice.hang_up(session)
    challenge(peer, first)
    assert peer.names == ["INVITE", "ACK"]
    assert [(e.session, e.status) for e in alice.events] == [(session, 401)]
    assert is_clean(alice)


def test_a_reinvite_that_a_bye_overtook_is_not_sent_again() -> None:
    alice, peer, session, _ = confirmed_with_peer(**TRUNK)
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    reinvite = peer.request("INVITE")
    alice.hang_up(session)
    challenge(peer, reinvite)
    assert peer.names == ["INVITE", "BYE", "ACK"]


def test_a_reinvite_that_was_given_up_is_not_sent_again() -> None:
    alice, peer, session, _ = confirmed_with_peer(**TRUNK)
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    reinvite = peer.request("INVITE")
    peer.respond(reinvite, 100, ALICE)
    alice.wire.run(33.0)
    assert "CANCEL" in peer.take()
    challenge(peer, reinvite)
    assert peer.take() == ["ACK"]
    assert alice.names == ["OfferRefused"]


def test_an_answered_challenge_can_still_be_cancelled() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    challenge(peer, first)
    again = peer.request("INVITE")
    peer.respond(again, 180, ALICE)
    alice.hang_up(session)
    alice.wire.run(alice.wire.now)
    cancel = peer.request("CANCEL")
    assert cancel.cseq.number == again.cseq.number
    assert cancel.top_via.branch == again.top_via.branch
    peer.respond(cancel, 200, ALICE)
    peer.respond(again, 487, ALICE)
    assert alice.last.status == 487
    assert is_clean(alice)


def test_silence_after_the_challenge_fails_the_call() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    challenge(peer, first)
    alice.wire.run(40.0)
    assert alice.events[-1] == sip.Refused(session, 408, None)
    assert is_clean(alice)


def test_a_broken_network_after_the_challenge_fails_the_call() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    challenge(peer, first)
    alice.core.transport_failed(alice.wire.flow(ALICE, BOB), 0.0)
    alice.wire.run(0.0)
    assert alice.events == [sip.Refused(session, 503, None)]
    assert is_clean(alice)


def test_the_surplus_answer_of_a_fork_gets_its_bye_all_the_same() -> None:
    alice, peer, _, first = calling_peer(**TRUNK)
    challenge(peer, first)
    invite = peer.request("INVITE")
    peer.respond(invite, 200, ALICE, tag="one", body=ANSWER)
    peer.respond(invite, 200, ALICE, tag="two", body=ANSWER)
    bye = peer.request("BYE")
    assert bye.to.tag == "two"
    challenge(peer, bye, "n2", 407)
    again = peer.request("BYE")
    assert again.to.tag == "two"
    assert again.cseq.number == bye.cseq.number + 1
    peer.respond(again, 200, ALICE)
    assert is_clean(alice)


def test_a_challenge_to_a_bye_of_a_dead_session_is_not_answered() -> None:
    alice, peer, session, _ = confirmed_with_peer(**TRUNK)
    alice.hang_up(session)
    alice.wire.run(0.0)
    bye = peer.request("BYE")
    alice.core._user.disown(alice.core._sessions.get(session)._bye)  # type: ignore[union-attr]
    alice.core._user.own(next(iter(alice.core._user.resending._sent)), "gone")
    challenge(peer, bye)
    assert peer.names.count("BYE") == 1


def test_a_request_outside_dialogs_is_sent_again() -> None:
    wire = Wire()
    alice = Phone(wire, ALICE, new_core(1, **TRUNK))
    peer = Peer(wire, BOB)
    uri = parse_uri(f"sip:{BOB}")
    request = new_request(
        "REGISTER",
        uri,
        from_=NameAddr(None, uri).with_tag("t"),
        to=NameAddr(None, uri),
        call_id="registration",
        cseq=7,
    )
    name = alice.core.request(request, wire.flow(ALICE, BOB), 0.0)
    wire.run(0.0)
    challenge(peer, peer.request("REGISTER"))
    again = peer.request("REGISTER")
    assert again.cseq.number == 8
    info = [("Authentication-Info", 'nextnonce="n2"')]
    peer.respond(again, 200, ALICE, headers=info)
    [event] = alice.events
    assert (event.session, event.status) == (name, 200)
    assert event.request.cseq.number == 8
    assert is_clean(alice)
    # The nonce that the answer offered is used by the next.
    alice.core.request(request, wire.flow(ALICE, BOB), 0.0)
    wire.run(0.0)
    assert credentials(peer.request("REGISTER")).nonce == "n2"


def test_loss_is_no_matter() -> None:
    alice, peer, _, first = calling_peer(**TRUNK)
    alice.wire.fate = lose(lambda packet: packet.source == ALICE, times=3)
    challenge(peer, first)  # whose ACK is lost, and the INVITE with its first repeat
    alice.wire.run(1.6)
    again = peer.request("INVITE")
    assert credentials(again).nc == 1
    peer.respond(again, 200, ALICE, body=ANSWER)
    assert alice.names == ["Accepted"]
    challenge(peer, first)  # once more, late: only acknowledged
    assert alice.names == ["Accepted"]


def test_a_stranger_s_challenge_is_nobodys() -> None:
    alice, peer, _, _ = calling_peer(**TRUNK)
    mallory = Peer(alice.wire, MALLORY)
    stray = mallory.new_request("OPTIONS", branch="z9hG4bKunknown")
    mallory.respond(stray, 401, ALICE)
    assert alice.events == []
    assert peer.names == ["INVITE"]


def test_early_dialogs_of_the_refused_try_are_forgotten() -> None:
    alice, peer, session, first = calling_peer(**TRUNK)
    peer.respond(first, 180, ALICE, tag="fork")
    challenge(peer, first)
    assert alice.find(session).dialog_with("fork") is None
    again = peer.request("INVITE")
    peer.respond(again, 200, ALICE, tag="fork", body=ANSWER)
    dialog = alice.find(session).dialog
    assert dialog.local_cseq == again.cseq.number
    # A request of that early dialog comes too late to be sent again.
    late = Request("UPDATE", first.uri, first.headers.copy())
    late.headers.set("To", "<sip:201@example.com>;tag=nobody")
    assert not alice.find(session).resend("t99", late, 0.0)


EARLY = {"supported": ("100rel",), **TRUNK}
DESCRIBED = (
    ("Require", "100rel"),
    ("RSeq", "1"),
    ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE"),
)


def test_what_was_offered_to_a_refused_try_is_refused_with_it() -> None:
    alice, peer, session, first = calling_peer(**EARLY)
    peer.respond(first, 183, ALICE, headers=DESCRIBED, body=ANSWER)
    peer.respond(peer.request("PRACK"), 200, ALICE)
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    update = peer.request("UPDATE")
    challenge(peer, first)
    assert alice.names == ["Progressed", "OfferRefused"]
    # Nobody waits for what becomes of the UPDATE any more.
    peer.respond(update, 200, ALICE, body=ANSWER)
    assert alice.names == ["Progressed", "OfferRefused"]
    peer.respond(peer.request("INVITE"), 486, ALICE)
    assert not alice.core._user._owners
    assert len(alice.core._sessions) == 0


def test_what_a_refused_try_had_offered_is_answered() -> None:
    alice, peer, _, first = calling_peer(**EARLY)
    peer.respond(first, 183, ALICE, headers=DESCRIBED, body=ANSWER)
    peer.respond(peer.request("PRACK"), 200, ALICE)
    peer.send(peer.in_dialog("UPDATE", first, cseq=7, body=OFFER), ALICE)
    assert alice.names == ["Progressed", "OfferReceived"]
    challenge(peer, first)
    assert peer.response(487).cseq.method == "UPDATE"
    peer.respond(peer.request("INVITE"), 486, ALICE)
    assert not alice.core._user._owners


def test_over_a_stream_the_first_transaction_is_gone_at_once() -> None:
    core = new_core(1, **TRUNK)
    flow = Flow("tcp", ALICE, BOB)
    uri = parse_uri(f"sip:201@{BOB};transport=tcp")
    session = core.invite(
        uri=uri,
        flow=flow,
        from_=NameAddr(None, parse_uri("sip:me@example.com")),
        to=NameAddr(None, uri),
        contact=parse_uri(f"sip:me@{ALICE};transport=tcp"),
        body=OFFER,
        now=0.0,
    )

    def sent() -> list[Request]:
        messages = [parse_message(data) for data, _ in core.data_to_send()]
        return [one for one in messages if isinstance(one, Request)]

    [invite] = sent()
    text = 'Digest realm="trunk",nonce="n1",qop="auth"'
    refusal = response_to(invite, 401, to_tag="t", headers=[("WWW-Authenticate", text)])
    core.receive(refusal.to_bytes(), flow, 0.0)
    ack, again = sent()
    assert (ack.method, again.method) == ("ACK", "INVITE")
    assert credentials(again).nc == 1
    answer = response_to(again, 486, to_tag="t")
    core.receive(answer.to_bytes(), flow, 0.0)
    event = core.next_event()
    assert isinstance(event, sip.Refused)
    assert (event.session, event.status) == (session, 486)
    assert len(core._user.resending) == 0


def test_another_process_knows_a_challenged_invite_by_its_first_name() -> None:
    wire = Wire()
    alice, peer = Phone(wire, ALICE, new_core(1, **TRUNK)), Peer(wire, BOB)
    keeper = Keeper(alice, TRUNK)
    session = alice.call(BOB)
    wire.run(0.0)
    keeper.write()
    keeper.kill(sent=True)
    challenge(peer, peer.request("INVITE"))
    peer.respond(peer.request("INVITE"), 180, ALICE)
    keeper.write()
    keeper.kill(sent=True)
    peer.received.clear()
    alice.hang_up(session)
    wire.run(0.0)
    assert peer.names == ["CANCEL"]
    peer.respond(peer.request("CANCEL"), 200, ALICE)
    assert alice.names == ["Progressed"]
