"""The services of RFC 5359 section 2 that a user agent takes part in.

Alice is the agent: held, forwarded, forked, picked up, and transferred by Bob to Carol
in every order of what Bob and Carol do. The section numbers are the RFC's.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.sip import core as sip
from agent.signalling.sip.uri import Uri, parse_uri
from tests.signalling.sip.flows.orders import Deed, every_order
from tests.signalling.sip.flows.proxy import Proxy
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Pair,
    Peer,
    Phone,
    new_core,
)

CAROL = Address("192.0.2.3", 5060)
PROXY = Address("192.0.2.11", 5060)
HELD = b"v=0\r\na=sendonly\r\n"
REPLACES: dict[str, Any] = {"supported": ("replaces",)}


class Three(Pair):
    """Alice and Bob in a call, and Carol, who answers."""

    def __init__(self) -> None:
        # A phone that refers others takes the NOTIFYs; the agent never does.
        phone = {"allow": (*sip.ALLOW, "NOTIFY"), "pass_up": {"NOTIFY"}}
        super().__init__(alice=REPLACES, bob=REPLACES | phone, answers=False)
        self.bob.on = self._answer_phone
        self.carol = Phone(self.wire, CAROL, new_core(3, **REPLACES))
        self.carol.on = self._answer_replacing
        self.alice.on = self._follow
        self.carol_rings_only = False
        self.target = ""
        self.key = ""

    def establish(self) -> tuple[str, str]:
        self.alice.on = None
        sessions = super().establish()
        self.alice.on = self._follow
        self.ours, self.theirs = sessions
        return sessions

    def _answer_phone(self, event: Any, now: float) -> None:
        if isinstance(event, sip.RequestInDialog):
            self.bob.core.answer_request(event.session, event.key, now, status=200)
        else:
            self._answer(event, now)

    def _answer_replacing(self, event: Any, now: float) -> None:
        """Carol takes a call, and drops the one that it takes the place of."""
        if isinstance(event, sip.InviteReceived):
            self.carol.core.ring(event.session, now)
            if not self.carol_rings_only:
                self.carol.answer(event.session)
                if event.replaces is not None:
                    self.carol.core.hang_up(event.replaces, now)

    def _follow(self, event: Any, now: float) -> None:
        """Alice calls whom she is referred to, and tells how that goes."""
        core = self.alice.core
        match event:
            case sip.ReferReceived():
                self.key = event.key
                core.accept_refer(event.session, event.key, now)
                uri = event.refer_to.uri
                named = [value for name, value in uri.headers if name == "Replaces"]
                self.target = self.alice.call(
                    CAROL,
                    uri=uri.with_(headers=()),
                    headers=[("Replaces", value) for value in named],
                )
            case sip.Progressed(session=self.target):
                self._notify(event.response.status, now)
            case sip.Accepted(session=self.target):
                self._notify(200, now)
            case sip.Refused(session=self.target):
                self._notify(event.status, now)
            case _:
                self.accept_offers(self.alice)(event, now)

    def _notify(self, status: int, now: float) -> None:
        self.alice.core.notify_refer(self.ours, self.key, now, status=status)

    def refer(self, target: str) -> None:
        """Bob asks Alice to call somebody else."""
        link = self.bob.find(self.theirs)._link
        lines = (("Refer-To", f"<{target}>"), ("Referred-By", "<sip:me@example.com>"))
        link.send("REFER", self.wire.now, headers=lines, owned=False)

    @property
    def told(self) -> list[str]:
        """What the NOTIFYs said, in their order, each once."""
        seen = []
        for packet in self.wire.log:
            fragment = packet.data.rpartition(b"\r\n\r\n")[2].decode().strip()
            if packet.name == "NOTIFY" and fragment not in seen:
                seen.append(fragment)
        return seen

    def all_clean(self) -> bool:
        self.run(700.0)  # longer than any subscription
        carol = self.carol.core
        return self.is_clean() and not len(carol._sessions) and not carol._user._owners


# -- 2.1 to 2.3: hold -----------------------------------------------------------------


@pytest.mark.parametrize("update", [False, True])
def test_2_1_hold_and_retrieve_in_every_order(*, update: bool) -> None:
    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        pair = Pair()
        ours, theirs = pair.establish()
        pair.alice.on = pair.accept_offers(pair.alice)

        def offer(phone: Phone, session: str, body: bytes) -> Deed:
            return lambda: phone.core.reoffer(
                session, pair.wire.now, body=body, update=update
            )

        alice = [offer(pair.alice, ours, HELD), offer(pair.alice, ours, OFFER)]
        bob = [offer(pair.bob, theirs, HELD), offer(pair.bob, theirs, OFFER)]
        return pair, alice, bob

    for pair in every_order(build, losses=(0, 5)):
        for phone, other in ((pair.alice, pair.bob), (pair.bob, pair.alice)):
            # The last that each side said is what the other heard last.
            offers = [e.body for e in other.events if isinstance(e, sip.OfferReceived)]
            assert offers[-1] == OFFER
            assert "OfferRefused" not in phone.names
            assert len(phone.core) == 1


def replacing(value: str) -> str:
    """Carol's URI, with the dialog to replace."""
    headers = (("Replaces", value),)
    return str(Uri("sip", "203", CAROL.host, CAROL.port, headers=headers))


# -- 2.4: unattended transfer ---------------------------------------------------------


def test_2_4_unattended_transfer() -> None:
    call = Three()
    call.establish()
    call.refer(f"sip:203@{CAROL}")
    call.run(1.0)
    assert call.told == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]
    invite = call.carol.events[0].request
    assert invite.uri.user == "203"
    assert call.carol.names == ["InviteReceived", "Acknowledged"]
    call.bob.hang_up(call.theirs)
    call.run(1.0)
    assert call.alice.last == sip.Ended(
        call.ours, sip.EndReason.BYE, call.alice.last.request
    )
    call.alice.hang_up(call.target)
    assert call.all_clean()


def transfers(*, attended: bool) -> Iterator[Three]:
    """Bob refers and hangs up; Carol rings, answers or refuses: in every order."""

    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        call = Three()
        call.establish()
        call.carol_rings_only = True
        target = f"sip:203@{CAROL}"
        if attended:
            consultation = call.bob.call(CAROL)
            call.run(0.0)
            call.carol.answer(call.carol.session)
            call.run(0.0)
            dialog = call.bob.find(consultation).dialog
            value = f"{dialog.call_id};to-tag={dialog.remote.tag}"
            value += f";from-tag={dialog.local.tag}"
            target = str(
                Uri(
                    "sip", "203", CAROL.host, CAROL.port, headers=(("Replaces", value),)
                )
            )

        def answer() -> None:
            invited = [
                e for e in call.carol.events if isinstance(e, sip.InviteReceived)
            ]
            if len(invited) > attended:
                call.carol.answer(invited[-1].session)
                if invited[-1].replaces is not None:
                    call.carol.hang_up(invited[-1].replaces)
            else:
                call.carol_rings_only = False

        bob: list[Deed] = [
            lambda: call.refer(target),
            lambda: call.bob.hang_up(call.theirs),
        ]
        return call, bob, [answer]

    for pair in every_order(build):
        assert isinstance(pair, Three)
        yield pair


@pytest.mark.parametrize("attended", [False, True])
def test_2_4_and_2_5_in_every_order(*, attended: bool) -> None:
    seen = set()
    for call in transfers(attended=attended):
        followed = bool(call.target)
        seen.add(followed)
        assert "Ended" in call.alice.names
        if followed:
            # A phone that has hung up may want no news.
            deaf = "481" in call.wire.names(source=BOB)
            assert deaf or call.told[-1] == "SIP/2.0 200 OK"
            assert call.carol.names[-1] in {"Acknowledged", "Ended"}
            call.alice.hang_up(call.target)
        if attended:
            replaced = [
                e.replaces
                for e in call.carol.events
                if isinstance(e, sip.InviteReceived) and e.replaces
            ]
            assert len(replaced) == followed
        for phone in (call.bob, call.carol):
            for number in range(phone.core.stats.sessions):
                phone.hang_up(f"s{number + 1}")
        assert call.all_clean()
    # The BYE never overtook the REFER so that nobody was called, or it did.
    assert True in seen


@pytest.mark.parametrize("status", [486, 603, 404])
def test_2_4_the_target_refuses_and_the_call_goes_on(status: int) -> None:
    call = Three()
    call.establish()
    call.carol_rings_only = True
    call.refer(f"sip:203@{CAROL}")
    call.run(0.1)
    call.carol.core.refuse(call.carol.session, call.wire.now, status=status)
    call.run(1.0)
    assert call.told[-1].startswith(f"SIP/2.0 {status} ")
    assert len(call.alice.core) == len(call.bob.core) == 1
    call.bob.hang_up(call.theirs)
    assert call.all_clean()


# -- 2.5: attended transfer -----------------------------------------------------------


def test_2_5_attended_transfer_takes_the_consultations_place() -> None:
    call = Three()
    call.establish()
    consultation = call.bob.call(CAROL)
    call.run(0.1)
    dialog = call.bob.find(consultation).dialog
    value = f"{dialog.call_id};to-tag={dialog.remote.tag};from-tag={dialog.local.tag}"
    call.refer(replacing(value))
    call.run(1.0)
    old, new = (e for e in call.carol.events if isinstance(e, sip.InviteReceived))
    assert new.replaces == old.session
    ended = [e for e in call.bob.events if isinstance(e, sip.Ended)]
    assert [e.session for e in ended] == [consultation]
    assert call.told[-1] == "SIP/2.0 200 OK"
    call.bob.hang_up(call.theirs)
    call.alice.hang_up(call.target)
    assert call.all_clean()


# -- 2.7 to 2.9: forwarding -----------------------------------------------------------


@pytest.mark.parametrize("after", ["at once", "busy", "no answer"])
def test_2_7_to_2_9_forwarding(after: str) -> None:
    call = Three()
    call.alice.on = None
    if after == "at once":
        call.bob.on = None
    else:
        call.bob.on = lambda event, now: (
            call.bob.core.ring(event.session, now)
            if isinstance(event, sip.InviteReceived) and after == "no answer"
            else None
        )
    ours = call.alice.call(BOB)
    call.run(20.0 if after == "no answer" else 0.0)
    where = f"<sip:203@{CAROL}>"
    call.bob.core.refuse(
        call.bob.session,
        call.wire.now,
        status=302,
        headers=(("Contact", where),),
    )
    call.run(0.1)
    assert call.alice.last.session == ours
    contact = call.alice.last.response.contact
    assert str(contact) == where
    second = call.alice.call(CAROL, uri=contact.uri)
    call.run(1.0)
    assert call.alice.last.session == second
    assert call.carol.names == ["InviteReceived", "Acknowledged"]
    call.alice.hang_up(second)
    assert call.all_clean()


# -- 2.12: find-me, or forking --------------------------------------------------------


def test_2_12_both_branches_answer_in_every_order() -> None:
    winners = set()

    def build() -> tuple[Pair, list[Deed], list[Deed]]:
        call = Three()
        call.alice.on = call.bob.on = None
        call.carol_rings_only = True
        Proxy(call.wire, PROXY, {"201": (BOB, CAROL)})
        call.alice.call(BOB, flow=call.wire.flow(ALICE, PROXY))
        call.run(0.0)

        def answer(phone: Phone) -> Deed:
            return lambda: phone.answer(phone.events[0].session)

        def ring() -> None:
            call.bob.core.ring(call.bob.session, call.wire.now)

        return call, [ring, answer(call.bob)], [answer(call.carol)]

    for call in every_order(build, losses=(0, 5)):
        assert isinstance(call, Three)
        (accepted,) = (e for e in call.alice.events if isinstance(e, sip.Accepted))
        winner = call.alice.find(accepted.session).dialog.remote_target.host
        winners.add(winner)
        # Who lost has had its ACK, and a BYE.
        loser = call.bob if winner == CAROL.host else call.carol
        assert loser.names[-1] == "Ended"
        assert len(call.alice.core) == 1
        call.alice.hang_up(accepted.session)
        assert call.all_clean()
    assert winners == {BOB.host, CAROL.host}


def test_2_12_one_branch_refuses() -> None:
    call = Three()
    call.alice.on = call.bob.on = None
    Proxy(call.wire, PROXY, {"201": (BOB, CAROL)})
    ours = call.alice.call(BOB, flow=call.wire.flow(ALICE, PROXY))
    call.run(1.0)
    assert "Accepted" in call.alice.names
    call.bob.core.refuse(call.bob.session, call.wire.now, status=487)
    call.run(1.0)
    call.alice.hang_up(ours)
    assert call.all_clean()


# -- 2.16: pick-up --------------------------------------------------------------------


@pytest.mark.parametrize("callee_answers", [False, True])
def test_2_16_a_ringing_call_is_picked_up(*, callee_answers: bool) -> None:
    """Carol takes the call that rings at Bob's; Alice gives up ringing Bob."""
    call = Three()
    call.alice.on = call.bob.on = None
    ours = call.alice.call(BOB)
    call.run(0.0)
    call.bob.core.ring(call.bob.session, 0.0)
    call.run(0.0)
    dialog = call.bob.find(call.bob.session).dialog
    value = f"{dialog.call_id};to-tag={dialog.remote.tag};from-tag={dialog.local.tag}"
    call.carol.call(ALICE, headers=[("Replaces", f"{value};early-only")])
    if callee_answers:
        call.bob.answer(call.bob.session)
    call.run(0.0)
    if callee_answers:
        assert call.carol.last.status == 486
        call.alice.hang_up(ours)
        assert call.all_clean()
        return
    picked = call.alice.last
    assert picked.replaces == ours
    call.alice.answer(picked.session, body=ANSWER)
    call.alice.hang_up(ours)
    call.run(1.0)
    assert call.bob.names[-1] == "Cancelled"
    assert call.carol.names[-1] == "Accepted"
    call.alice.hang_up(picked.session)
    assert call.all_clean()


def test_2_16_nobody_else_picks_it_up() -> None:
    call = Three()
    call.alice.on = None
    stranger = Peer(call.wire, Address("203.0.113.66", 5060))
    call.alice.call(BOB)
    call.run(0.0)
    invite = stranger.new_request(
        "INVITE",
        uri=str(parse_uri(f"sip:alice@{ALICE}")),
        headers=[("Replaces", "guess;to-tag=1;from-tag=2")],
    )
    stranger.send(invite, ALICE)
    assert stranger.names == ["100", "481"]
