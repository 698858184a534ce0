"""RFC 5407, section by section: every race ends in one call, or in none."""

from contextlib import suppress

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from tests.fakes.wire import Packet, Wire, delay_first, delayed, lose
from tests.signalling.sip.flows.orders import Deed, every_order
from tests.signalling.sip.pair import ALICE, ANSWER, BOB, OFFER, Pair, Phone

HELD = b"v=0\r\ns=held\r\n"


def ends(pair: Pair) -> tuple[list[str], list[str]]:
    """Why it ended, for Alice and for Bob, once nothing can happen any more."""
    pair.run(120.0)
    assert pair.is_clean()
    return (
        [str(e.reason) for e in pair.alice.events if isinstance(e, sip.Ended)],
        [str(e.reason) for e in pair.bob.events if isinstance(e, sip.Ended)],
    )


def test_3_1_1_invite_again_while_its_2xx_is_on_the_way() -> None:
    pair = Pair(fate=lose(lambda packet: packet.name in {"100", "180", "200"}, 3))
    ours = pair.alice.call(BOB)
    pair.run(1.0)
    assert pair.wire.names(source=ALICE)[:2] == ["INVITE", "INVITE"]
    assert pair.bob.names.count("InviteReceived") == 1
    assert pair.alice.names == ["Accepted"]
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])


def test_3_1_2_cancel_crosses_the_2xx() -> None:
    pair = Pair(answers=False, fate=delayed(0.05))
    ours = pair.alice.call(BOB)
    pair.run(0.2)
    theirs = pair.bob.session
    pair.alice.hang_up(ours)
    pair.bob.answer(theirs)
    assert ends(pair) == ([], ["bye"])
    assert pair.alice.events == [sip.Refused(ours, 487, None)]
    names = pair.wire.names(source=ALICE)
    assert names == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert [p.name for p in pair.wire.log if p.source == BOB][1:] == [
        "200",  # to the INVITE
        "200",  # to the CANCEL
        "200",  # to the BYE
    ]


def test_3_1_3_early_bye_crosses_the_2xx() -> None:
    # Our user agent never says it, but others do.
    pair = Pair(answers=False, fate=delayed(0.05))
    ours = pair.alice.call(BOB)
    pair.run(0.2)
    theirs = pair.bob.session
    pair.bob.core.ring(theirs, pair.wire.now)
    pair.run(0.2)
    early = pair.alice.find(ours)
    dialog = next(iter(early._early.values())).dialog  # type: ignore[attr-defined]
    bye = dialog.request("BYE")
    early._user.send_request(bye, early._link.flow, pair.wire.now, owner=None)
    pair.bob.answer(theirs)
    pair.run(0.2)
    assert pair.bob.events[1:] == [
        sip.Ended(theirs, sip.EndReason.BYE, pair.bob.last.request)
    ]
    # The 2xx had its ACK all the same, so nothing is sent again.
    assert pair.wire.names(source=BOB).count("200") == 2
    assert "ACK" in pair.wire.names(source=ALICE)
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])


def test_3_1_4_re_invite_before_the_ack() -> None:
    pair = Pair(fate=delay_first("ACK", 0.3))
    ours = pair.alice.call(BOB)
    pair.run(0.0)
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.run(1.0)
    assert pair.alice.names == ["Progressed", "Accepted", "OfferAnswered"]
    assert sorted(pair.bob.names) == [
        "Acknowledged",
        "Acknowledged",
        "InviteReceived",
        "OfferReceived",
    ]
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])


def test_3_1_5_re_invite_before_the_ack_that_answers() -> None:
    pair = Pair(fate=delay_first("ACK", 0.3))
    ours = pair.alice.call(BOB, body=b"")
    pair.run(0.0)
    pair.alice.core.acknowledge(ours, pair.wire.now, body=ANSWER)
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.run(0.0)
    assert "491" in pair.wire.names(source=BOB)
    pair.run(5.0)
    assert pair.alice.names == ["Progressed", "Accepted", "OfferAnswered"]
    assert pair.bob.events[1].request.body == ANSWER
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])


def test_3_1_6_bye_overtakes_the_ack() -> None:
    pair = Pair(fate=delay_first("ACK", 0.3))
    ours = pair.alice.call(BOB)
    pair.run(0.0)
    pair.alice.hang_up(ours)
    pair.run(0.0)
    assert pair.bob.names == ["InviteReceived", "Ended"]
    assert ends(pair) == (["local"], ["bye"])
    assert pair.bob.names == ["InviteReceived", "Ended"]


def test_3_2_1_bye_crosses_bye() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.wire.fate = delayed(0.05)
    pair.alice.hang_up(ours)
    pair.bob.hang_up(theirs)
    assert ends(pair) == (["local"], ["local"])
    assert pair.wire.names() == ["BYE", "BYE", "200", "200"]


def test_3_2_2_re_invite_crosses_bye() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.wire.fate = delayed(0.05)
    pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])
    assert "OfferReceived" not in pair.alice.names
    assert "481" in pair.wire.names(source=ALICE)


def test_3_2_3_2xx_to_a_re_invite_crosses_bye() -> None:
    pair = Pair()
    ours, _ = pair.establish()
    pair.wire.fate = delayed(0.05)
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.run(0.06)
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])
    assert "ACK" in pair.wire.names(source=ALICE)
    assert "OfferAnswered" not in pair.alice.names


def test_3_2_4_ack_after_our_bye() -> None:
    pair = Pair(fate=lose("ACK", 99))
    ours = pair.alice.call(BOB)
    pair.run(31.9)
    pair.wire.fate = delayed(0.2)
    assert pair.bob.names == ["InviteReceived"]
    alice = pair.alice.find(ours)
    pair.run(0.1)
    ack, _ = next(iter(alice._acks._sent.values()))
    flow = alice.flow
    alice._user.send_ack(ack, flow, pair.wire.now)
    assert ends(pair) == (["bye"], ["no-ack"])
    assert "Acknowledged" not in pair.bob.names


def test_3_3_1_re_invite_crosses_re_invite() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.alice.on = pair.accept_offers(pair.alice)
    pair.wire.fate = delayed(0.05)
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
    pair.run(10.0)
    assert pair.wire.names().count("491") == 2
    assert pair.alice.names.count("OfferAnswered") == 1
    assert pair.bob.names.count("OfferAnswered") == 1
    assert pair.alice.names.count("OfferReceived") == 1
    # Who does not own the Call-ID goes first (section 14.1).
    assert pair.alice.names[0] == "OfferReceived"
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])


def test_3_3_2_update_crosses_re_invite() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.wire.fate = delayed(0.05)
    bob = pair.bob.find(theirs)
    update = bob.dialog.request("UPDATE", body=HELD)
    bob._user.send_request(update, bob._link.flow, pair.wire.now, owner=None)
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.run(1.0)
    assert pair.wire.names(source=ALICE).count("491") == 1
    assert pair.alice.names == ["OfferAnswered"]
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])


@pytest.mark.parametrize("method", ["REFER", "INFO", "NOTIFY"])
def test_3_3_3_a_request_after_our_bye(method: str) -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.wire.fate = delayed(0.05)
    bob = pair.bob.find(theirs)
    request = bob.dialog.request(method)
    bob._user.send_request(request, bob._link.flow, pair.wire.now, owner=None)
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])
    assert pair.wire.names(source=ALICE)[-1] == "481"


def test_bye_is_lost_and_the_2xx_to_it() -> None:
    pair = Pair()
    ours, _ = pair.establish()

    def first_of_each(packet: Packet) -> bool:
        return packet.name in {"BYE", "200"} and packet.sent_at < pair.wire.now + 0.6

    pair.wire.fate = lose(first_of_each, 2)
    pair.alice.hang_up(ours)
    assert ends(pair) == (["local"], ["bye"])


def test_the_offer_is_open_when_the_other_hangs_up() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.bob.on = None
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.run(0.1)
    assert pair.bob.names == ["OfferReceived"]
    pair.alice.hang_up(ours)
    pair.run(0.1)
    pair.bob.core.accept_offer(theirs, pair.wire.now, body=ANSWER)
    assert ends(pair) == (["local"], ["bye"])
    assert "487" in pair.wire.names(source=BOB)


def test_both_sides_may_hang_up_at_any_moment() -> None:
    for tenth in range(8):
        pair = Pair(answers=False, fate=delayed(0.1))
        ours = pair.alice.call(BOB, body=OFFER)
        pair.run(0.11)
        theirs = pair.bob.session
        pair.bob.answer(theirs)
        pair.run(tenth / 20)
        pair.bob.hang_up(theirs)
        pair.alice.hang_up(ours)
        assert isinstance(pair.wire, Wire)
        ends(pair)
        finals = [name for name in pair.alice.names if name in {"Refused", "Ended"}]
        assert len(finals) == 1
        assert pair.bob.names.count("Ended") == 1


RELIABLE = {"supported": ("100rel",)}


def answering(*, reliable: bool) -> tuple[Pair, str, list[Deed]]:
    """Alice calls Bob; what Bob does up to his answer."""
    pair = Pair(answers=False, alice=RELIABLE, bob=RELIABLE)
    ours = pair.alice.call(BOB)
    pair.run(0.0)
    theirs = pair.bob.session

    def ring() -> None:
        body = ANSWER if reliable else b""
        pair.bob.core.ring(theirs, pair.wire.now, body=body, reliable=reliable)

    return pair, ours, [ring, lambda: pair.bob.answer(theirs)]


@pytest.mark.parametrize("reliable", [False, True])
def test_3_1_establishment_in_every_order(*, reliable: bool) -> None:
    """The caller changes its offer and hangs up, the callee rings and answers."""

    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        pair, ours, callee = answering(reliable=reliable)

        def change() -> None:
            with suppress(LocalSipError):  # there is no dialog yet
                pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)

        return pair, [change, lambda: pair.alice.hang_up(ours)], callee

    for pair in every_order(build, losses=(0, 5)):
        assert pair.is_clean()
        finals = [n for n in pair.alice.names if n in {"Ended", "Refused"}]
        assert finals == pair.alice.names[-1:]
        assert pair.bob.names[-1] in {"Ended", "Cancelled"}
        # Whoever believed in the call was told of its end.
        assert ("Accepted" in pair.alice.names) == (finals == ["Ended"])


def test_3_2_termination_in_every_order() -> None:
    """Each side changes the session, refers the other, and hangs up."""

    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        pair = Pair()
        ours, theirs = pair.establish()
        pair.alice.on = pair.accept_offers(pair.alice)

        def deeds(phone: Phone, session: str) -> list[Deed]:
            def refer() -> None:
                link = phone.find(session)._link
                target = ("Refer-To", "<sip:203@192.0.2.3>")
                link.send("REFER", pair.wire.now, headers=(target,), owned=False)

            return [
                lambda: phone.core.reoffer(session, pair.wire.now, body=HELD),
                refer,
                lambda: phone.hang_up(session),
            ]

        return pair, deeds(pair.alice, ours), deeds(pair.bob, theirs)[::2]

    for pair in every_order(build):
        assert pair.is_clean()
        for phone in (pair.alice, pair.bob):
            assert phone.names.count("Ended") == 1
            assert phone.names[-1] == "Ended"


@pytest.mark.parametrize("ours_update", [False, True])
@pytest.mark.parametrize("theirs_update", [False, True])
def test_3_3_offers_in_every_order(*, ours_update: bool, theirs_update: bool) -> None:
    """Both sides change the session, in re-INVITEs and UPDATEs."""

    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        pair = Pair()
        ours, theirs = pair.establish()
        pair.alice.on = pair.accept_offers(pair.alice)

        def change(phone: Phone, session: str, *, update: bool) -> Deed:
            return lambda: phone.core.reoffer(
                session, pair.wire.now, body=HELD, update=update
            )

        caller = change(pair.alice, ours, update=ours_update)
        return pair, [caller], [change(pair.bob, theirs, update=theirs_update)]

    for pair in every_order(build, losses=(0, 2, 3)):
        for phone in (pair.alice, pair.bob):
            assert phone.names.count("OfferAnswered") == 1
            assert "OfferRefused" not in phone.names
            assert len(phone.core) == 1
            assert phone.find("s1")._offers.negotiation.state.name == "STABLE"
