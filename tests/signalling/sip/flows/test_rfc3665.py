"""The basic flows of RFC 3665 section 3, and whole calls over a bad network.

Section 2, registration, is in the tests of `registration`; 3.3, authentication by
proxies, in those of `resending`. 3.5 is 3.2 with one proxy for us.
"""

from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.sip import core as sip
from tests.fakes.wire import lose, unreliable
from tests.signalling.sip.flows.orders import Deed, every_order
from tests.signalling.sip.flows.proxy import Proxy
from tests.signalling.sip.pair import ALICE, ANSWER, BOB, OFFER, Pair, Phone

PROXY_1 = Address("192.0.2.11", 5060)
PROXY_2 = Address("192.0.2.12", 5060)
HELD = b"v=0\r\ns=held\r\n"


def test_3_1_session_establishment() -> None:
    pair = Pair()
    ours = pair.alice.call(BOB)
    pair.run(1.0)
    pair.alice.hang_up(ours)
    pair.run(1.0)
    assert pair.wire.names() == ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]
    assert pair.alice.names == ["Progressed", "Accepted", "Ended"]
    assert pair.bob.names == ["InviteReceived", "Acknowledged", "Ended"]
    assert pair.alice.events[1].response.body == ANSWER
    pair.run(60.0)
    assert pair.is_clean()


def test_3_1_the_callee_hangs_up() -> None:
    pair = Pair()
    _, theirs = pair.establish()
    pair.bob.hang_up(theirs)
    pair.run(1.0)
    assert pair.wire.names() == ["BYE", "200"]
    assert [str(e.reason) for e in pair.alice.events + pair.bob.events] == [
        "bye",
        "local",
    ]
    assert pair.alice.last.request.cseq.method == "BYE"


@pytest.mark.parametrize("callee_hangs_up", [False, True])
def test_3_1_in_every_order(*, callee_hangs_up: bool) -> None:
    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        pair = Pair(answers=False)
        ours = pair.alice.call(BOB)
        pair.run(0.0)
        theirs = pair.bob.session
        callee: list[Deed] = [
            lambda: pair.bob.core.ring(theirs, pair.wire.now),
            lambda: pair.bob.answer(theirs),
        ]
        end: Deed = lambda: pair.bob.hang_up(theirs)  # noqa: E731
        caller: list[Deed] = (
            [] if callee_hangs_up else [lambda: pair.alice.hang_up(ours)]
        )
        return pair, caller, [*callee, end] if callee_hangs_up else callee

    outcomes = set()
    for pair in every_order(build, losses=(0, 3, 4)):
        assert pair.is_clean()
        assert pair.alice.names[-1] in {"Ended", "Refused"}
        assert pair.bob.names[-1] in {"Ended", "Cancelled"}
        outcomes.add((pair.alice.names[-1], pair.bob.names[-1]))
    if callee_hangs_up:
        assert outcomes == {("Ended", "Ended")}
    else:
        # The hang-up came after the answer, before it, and crossed it.
        assert outcomes == {
            *[("Ended", "Ended"), ("Refused", "Cancelled"), ("Refused", "Ended")],
        }


def through_proxies(**options: Any) -> tuple[Pair, Proxy, Proxy]:
    pair = Pair(**options)
    first = Proxy(pair.wire, PROXY_1, {"201": (PROXY_2,)})
    return pair, first, Proxy(pair.wire, PROXY_2, {"201": (BOB,)})


def call_through(pair: Pair, proxy: Address, **more: Any) -> str:
    flow = pair.wire.flow(ALICE, proxy)
    return pair.alice.call(BOB, flow=flow, **more)


@pytest.mark.parametrize("callee_hangs_up", [False, True])
def test_3_2_session_through_two_proxies(*, callee_hangs_up: bool) -> None:
    pair, _, _ = through_proxies()
    ours = call_through(pair, PROXY_1)
    pair.run(1.0)
    assert pair.alice.names == ["Progressed", "Accepted"]
    assert pair.bob.names == ["InviteReceived", "Acknowledged"]
    # The callee's end of the route is the caller's, the other way round.
    routes = [f"<sip:{PROXY_1};lr>", f"<sip:{PROXY_2};lr>"]
    assert [str(hop) for hop in pair.alice.find(ours).dialog.route_set] == routes
    theirs = pair.bob.events[0].session
    assert [str(hop) for hop in pair.bob.find(theirs).dialog.route_set] == routes[::-1]
    assert pair.bob.events[0].request.max_forwards == 68
    pair.wire.log.clear()
    (pair.bob if callee_hangs_up else pair.alice).hang_up(
        theirs if callee_hangs_up else ours
    )
    pair.run(60.0)
    assert pair.wire.names() == ["BYE"] * 3 + ["200"] * 3
    assert pair.is_clean()


def test_3_2_a_re_invite_keeps_the_route() -> None:
    pair, _, _ = through_proxies()
    ours = call_through(pair, PROXY_1)
    pair.run(1.0)
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.run(1.0)
    assert pair.alice.names[-1] == "OfferAnswered"
    assert pair.bob.names[-1] == "Acknowledged"
    pair.alice.hang_up(ours)
    pair.run(100.0)
    assert pair.is_clean()


def test_3_4_the_first_proxy_fails() -> None:
    pair, _, _ = through_proxies()
    pair.wire.detach(PROXY_1)
    first = call_through(pair, PROXY_1)
    pair.run(33.0)
    assert pair.alice.events == [sip.Refused(first, 408, None)]
    ours = call_through(pair, PROXY_2)
    pair.run(1.0)
    assert pair.alice.names[-1] == "Accepted"
    pair.alice.hang_up(ours)
    pair.run(100.0)
    assert pair.is_clean()


def test_3_6_redirected_with_the_description_in_the_ack() -> None:
    pair = Pair()
    Proxy(pair.wire, PROXY_1, redirects={"201": f"sip:201@{PROXY_2}"})
    Proxy(pair.wire, PROXY_2, {"201": (BOB,)})
    call_through(pair, PROXY_1, body=b"")
    pair.run(1.0)
    assert pair.alice.last.status == 302
    where = pair.alice.last.response.contact.uri
    assert pair.wire.names() == ["INVITE", "302", "ACK"]
    ours = call_through(pair, Address(where.host, where.port), uri=where, body=b"")
    pair.run(1.0)
    assert pair.alice.last.response.body == OFFER
    pair.alice.core.acknowledge(ours, pair.wire.now, body=ANSWER)
    pair.run(1.0)
    assert pair.bob.last.request.body == ANSWER
    pair.alice.hang_up(ours)
    pair.run(100.0)
    assert pair.is_clean()


def test_3_7_both_change_the_session_in_every_order() -> None:
    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        pair = Pair()
        ours, theirs = pair.establish()
        pair.alice.on = pair.accept_offers(pair.alice)

        def offer(phone: Phone, session: str, *, update: bool) -> Deed:
            return lambda: phone.core.reoffer(
                session, pair.wire.now, body=HELD, update=update
            )

        caller = [
            offer(pair.alice, ours, update=False),
            offer(pair.alice, ours, update=True),
        ]
        return pair, caller, [offer(pair.bob, theirs, update=False)]

    for pair in every_order(build, losses=(0, 4)):
        # The second may take the place of a first that was not sent yet.
        assert 1 <= pair.alice.names.count("OfferAnswered") <= 2
        assert pair.bob.names.count("OfferAnswered") == 1
        assert len(pair.alice.core) == len(pair.bob.core) == 1
        pair.alice.hang_up(pair.alice.session)
        pair.run(150.0)
        assert pair.is_clean()


def test_3_7_session_with_re_invite() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.alice.on = pair.accept_offers(pair.alice)
    pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
    pair.run(1.0)
    assert pair.wire.names() == ["INVITE", "100", "200", "ACK"]
    assert pair.alice.names == ["OfferReceived", "Acknowledged"]
    assert pair.alice.events[0].body == HELD
    assert pair.bob.names == ["OfferAnswered"]
    pair.wire.log.clear()
    pair.alice.hang_up(ours)
    pair.run(60.0)
    assert pair.wire.names() == ["BYE", "200"]
    assert pair.is_clean()


def test_3_8_no_answer() -> None:
    pair = Pair(answers=False)
    ours = pair.alice.call(BOB)
    pair.run(0.1)
    pair.bob.core.ring(pair.bob.session, pair.wire.now)
    pair.run(20.0)
    pair.alice.hang_up(ours)
    pair.run(1.0)
    assert pair.wire.names() == [
        *["INVITE", "100", "180", "CANCEL"],
        *["200", "487", "ACK"],
    ]
    assert pair.alice.names == ["Progressed", "Refused"]
    assert pair.alice.last.status == 487
    assert pair.bob.names == ["InviteReceived", "Cancelled"]
    pair.run(60.0)
    assert pair.is_clean()


@pytest.mark.parametrize("status", [486, 480, 404, 603])
def test_3_9_busy_and_3_11_unavailable(status: int) -> None:
    pair = Pair(answers=False)
    pair.alice.call(BOB)
    pair.run(0.1)
    pair.bob.core.refuse(pair.bob.session, pair.wire.now, status=status)
    pair.run(60.0)
    assert pair.wire.names() == ["INVITE", "100", str(status), "ACK"]
    assert pair.alice.names == ["Refused"]
    assert pair.alice.last.status == status
    assert pair.bob.names == ["InviteReceived"]
    assert pair.is_clean()


def test_3_8_no_answer_in_every_order() -> None:
    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        pair = Pair(answers=False)
        ours = pair.alice.call(BOB)
        pair.run(0.0)
        theirs = pair.bob.session
        refuse: Deed = lambda: pair.bob.core.refuse(  # noqa: E731
            theirs, pair.wire.now, status=486
        )
        ring: Deed = lambda: pair.bob.core.ring(theirs, pair.wire.now)  # noqa: E731
        return pair, [lambda: pair.alice.hang_up(ours)], [ring, refuse]

    for pair in every_order(build, losses=(0, 3)):
        assert pair.is_clean()
        assert pair.alice.names[-1] == "Refused"
        assert pair.alice.names.count("Refused") == 1
        assert pair.bob.names in (["InviteReceived"], ["InviteReceived", "Cancelled"])


def test_3_10_no_response() -> None:
    pair = Pair()
    pair.wire.detach(BOB)
    ours = pair.alice.call(BOB)
    pair.run(40.0)
    assert pair.wire.names() == ["INVITE"] * 7
    assert pair.alice.events == [sip.Refused(ours, 408, None)]


def test_an_invite_without_an_offer() -> None:
    pair = Pair()
    ours = pair.alice.call(BOB, body=b"")
    pair.run(0.1)
    assert pair.alice.last.response.body == OFFER
    pair.alice.core.acknowledge(ours, pair.wire.now, body=ANSWER)
    pair.run(1.0)
    assert pair.bob.last.request.body == ANSWER
    assert pair.wire.names() == ["INVITE", "100", "180", "200", "ACK"]


@pytest.mark.parametrize("lost", ["INVITE", "100", "180", "200", "ACK", "BYE"])
@pytest.mark.parametrize("times", [1, 3])
def test_one_message_is_lost(lost: str, times: int) -> None:
    pair = Pair(fate=lose(lost, times))
    ours = pair.alice.call(BOB)
    pair.run(20.0)
    assert pair.alice.names[-1] == "Accepted"
    assert pair.bob.names == ["InviteReceived", "Acknowledged"]
    pair.alice.hang_up(ours)
    pair.run(100.0)
    assert pair.alice.last == sip.Ended(ours, sip.EndReason.LOCAL, None)
    assert pair.bob.last.reason == "bye"
    assert pair.is_clean()


@pytest.mark.parametrize("seed", range(12))
def test_a_call_over_a_bad_network(seed: int) -> None:
    fate = unreliable(seed=seed, loss=0.3, duplicate=0.2, delay=0.02, jitter=0.3)
    pair = Pair(fate=fate, seed=seed)
    pair.alice.on = pair.accept_offers(pair.alice)
    ours = pair.alice.call(BOB)
    pair.run(32.0)
    assert pair.alice.names.count("Accepted") == 1
    theirs = pair.bob.events[0].session
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
    pair.run(60.0)
    assert pair.alice.names.count("OfferAnswered") == 1
    assert pair.bob.names.count("OfferAnswered") == 1
    pair.bob.hang_up(theirs)
    pair.run(150.0)
    for phone in (pair.alice, pair.bob):
        assert phone.names.count("Ended") == 1
        assert phone.names[-1] == "Ended"
    assert pair.bob.names.count("InviteReceived") == 1
    assert pair.wire.names(source=ALICE).count("INVITE") >= 2
    assert pair.is_clean()
