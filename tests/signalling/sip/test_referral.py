import itertools
from typing import Any

import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request
from agent.signalling.sip.referral import EXPIRES, MAX_REFERRALS, TRANSITIONS, State
from agent.signalling.sip.replaces import Replaces
from tests.signalling.sip.pair import ALICE, BOB, Peer, Phone, confirmed_with_peer

TARGET = ("Refer-To", "<sip:202@192.0.2.9>")


class Referred:
    """Alice, whom the peer has referred to somebody else."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.alice: Phone
        self.peer: Peer
        self.alice, self.peer, self.session, self.invite = confirmed_with_peer()
        self.numbers = itertools.count(20)
        self.refer(TARGET, *headers)

    @property
    def key(self) -> str:
        keys = [e.key for e in self.alice.events if isinstance(e, sip.ReferReceived)]
        return keys[-1]

    def refer(self, *headers: tuple[str, str]) -> None:
        self.send("REFER", *headers)

    def send(self, method: str, *headers: tuple[str, str]) -> None:
        request = self.peer.in_dialog(method, self.invite, cseq=next(self.numbers))
        for name, value in headers:
            request.headers.add(name, value)
        self.peer.send(request, ALICE)

    def accept(self) -> None:
        self.alice.core.accept_refer(self.session, self.key, self.now)
        self.run()

    def notify(self, status: int) -> None:
        self.alice.core.notify_refer(self.session, self.key, self.now, status=status)
        self.run()

    def run(self, seconds: float = 0.0) -> None:
        self.alice.wire.run(self.now + seconds)

    @property
    def now(self) -> float:
        return self.alice.wire.now

    def notified(self, status: int = 200) -> tuple[str, str, str]:
        """The latest NOTIFY, which is answered: body, Event, Subscription-State."""
        notify = self.peer.request("NOTIFY")
        self.peer.received.clear()
        self.peer.respond(notify, status, ALICE)
        headers = notify.headers
        assert headers.get("Content-Type") == "message/sipfrag;version=2.0"
        assert "Contact" in headers
        return (
            notify.body.decode(),
            headers.get("Event") or "",
            headers.get("Subscription-State") or "",
        )


def test_a_transfer_is_told_step_by_step() -> None:
    call = Referred(("Referred-By", "<sip:me@example.com>"))
    event = call.alice.last
    assert isinstance(event, sip.ReferReceived)
    assert event.session == call.session
    assert event.refer_to.uri.user == "202"
    assert event.replaces is None
    assert event.referred_by == "<sip:me@example.com>"
    assert isinstance(event.request, Request)
    call.accept()
    assert call.peer.names == ["202", "NOTIFY"]
    assert call.peer.response(202).contact is not None
    trying = ("SIP/2.0 100 Trying\r\n", "refer", "active;expires=600")
    assert call.notified() == trying
    call.run(10.0)
    call.notify(180)
    ringing = ("SIP/2.0 180 Ringing\r\n", "refer", "active;expires=590")
    assert call.notified() == ringing
    call.notify(200)
    done = ("SIP/2.0 200 OK\r\n", "refer", "terminated;reason=noresource")
    assert call.notified() == done
    call.notify(200)
    call.run(700.0)
    assert call.peer.names == []


def test_no_notify_overtakes_another() -> None:
    call = Referred()
    call.accept()
    for status in (180, 183, 299):
        call.notify(status)
    assert call.peer.names == ["202", "NOTIFY"]
    assert call.notified()[0] == "SIP/2.0 100 Trying\r\n"
    assert call.notified()[0] == "SIP/2.0 299 Unknown\r\n"
    assert call.peer.names == []


def test_a_peer_that_asks_for_no_notify_gets_none() -> None:
    call = Referred(("Refer-Sub", "False ;x=y"))
    call.accept()
    assert call.peer.names == ["202"]
    assert call.peer.response(202).headers.get("Refer-Sub") == "false"
    call.notify(200)
    assert call.peer.names == ["202"]


def test_a_transfer_may_be_refused() -> None:
    call = Referred()
    with pytest.raises(LocalSipError):
        call.alice.core.refuse_refer(call.session, call.key, 0.0, status=200)
    call.alice.core.refuse_refer(call.session, call.key, 0.0, status=603)
    call.run()
    call.accept()
    call.alice.core.refuse_refer(call.session, call.key, 0.0, status=603)
    call.run()
    assert call.peer.take() == ["603"]


def test_an_attended_transfer_names_a_dialog() -> None:
    call = Referred()
    uri = "sip:202@192.0.2.9?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2"
    call.refer(("Refer-To", f"<{uri}>"))
    assert call.alice.last.replaces == Replaces("abc", "1", "2")


def test_a_dialog_of_ours_is_found() -> None:
    call = Referred()
    dialog = call.alice.find(call.session).dialog
    named = Replaces(dialog.call_id, dialog.local.tag or "", "peer")
    core = call.alice.core
    assert core.session_of(named) == call.session
    assert core.session_of(Replaces("other", "1", "2")) is None
    call.alice.hang_up(call.session)
    assert core.session_of(named) is None


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (TARGET, TARGET),
        (("Refer-To", "<sip:202@"),),
        (("Refer-To", "<sip:202@h?Replaces=x>"),),
    ],
)
def test_a_refer_has_one_target(headers: tuple[tuple[str, str], ...]) -> None:
    call = Referred()
    call.alice.events.clear()
    call.refer(*headers)
    assert call.peer.take() == ["400"]
    assert call.alice.names == []


def test_later_transfers_have_a_number() -> None:
    call = Referred()
    call.accept()
    assert call.notified()[1] == "refer"
    call.refer(TARGET)
    call.accept()
    assert call.notified()[1] == "refer;id=21"


def test_only_so_many_at_once() -> None:
    call = Referred()
    for _ in range(MAX_REFERRALS):
        call.refer(TARGET)
    assert call.peer.take() == ["500"]
    # What is done with makes room.
    call.alice.core.refuse_refer(call.session, call.key, 0.0, status=603)
    call.refer(TARGET)
    assert call.peer.take() == ["603"]


def test_the_subscription_outlives_the_call() -> None:
    call = Referred()
    call.accept()
    call.notified()
    call.send("BYE")
    assert call.peer.take() == ["200"]
    assert isinstance(call.alice.last, sip.Ended)
    assert len(call.alice.core) == 0
    call.notify(200)
    assert call.notified()[0] == "SIP/2.0 200 OK\r\n"
    call.run(100.0)
    assert len(call.alice.core._sessions) == 0


def test_an_unanswered_refer_ends_with_the_call() -> None:
    call = Referred()
    call.send("BYE")
    assert call.peer.take() == ["200", "487"]
    call.run(100.0)
    assert len(call.alice.core._sessions) == 0
    assert not call.alice.core._user._owners


def test_our_own_hang_up_leaves_the_subscription() -> None:
    call = Referred()
    call.accept()
    call.notified()
    call.alice.hang_up(call.session)
    call.run()
    assert call.peer.take() == ["BYE"]
    call.notify(200)
    assert call.peer.take() == ["NOTIFY"]
    # Neither gets an answer.
    call.run(100.0)
    assert len(call.alice.core._sessions) == 0


@pytest.mark.parametrize("status", [481, 603])
def test_a_peer_that_does_not_care_is_left_alone(status: int) -> None:
    call = Referred()
    call.accept()
    call.notify(180)
    call.notified(status)
    call.notify(200)
    assert call.peer.names == []
    assert len(call.alice.core) == 1


def test_a_last_word_nobody_wants_is_not_repeated() -> None:
    call = Referred()
    call.accept()
    call.notify(200)
    call.notified(481)
    assert call.peer.names == []


def test_the_subscription_has_an_end() -> None:
    call = Referred()
    call.accept()
    call.notified()
    call.run(EXPIRES)
    assert call.notified() == (
        "SIP/2.0 100 Trying\r\n",
        "refer",
        "terminated;reason=timeout",
    )


@pytest.mark.parametrize("event", ["refer", "Refer; id=20"])
def test_it_may_be_renewed_and_ended(event: str) -> None:
    call = Referred()
    call.accept()
    call.notified()
    call.send("SUBSCRIBE", ("Event", event), ("Expires", "60"))
    assert call.peer.response(200).headers.get("Expires") == "60"
    assert call.notified()[2] == "active;expires=60"
    call.send("SUBSCRIBE", ("Event", event))
    assert call.peer.response(200).headers.get("Expires") == "600"
    call.notified()
    call.send("SUBSCRIBE", ("Event", event), ("Expires", "0"))
    assert call.notified()[2] == "terminated;reason=timeout"
    call.send("SUBSCRIBE", ("Event", event), ("Expires", "60"))
    assert call.peer.take() == ["403"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), "489"),
        ((("Event", "presence"),), "489"),
        ((("Event", "refer;id=7"),), "403"),
        ((("Event", "refer"), ("Expires", "soon")), "400"),
    ],
)
def test_other_subscriptions_are_refused(
    headers: tuple[tuple[str, str], ...], status: str
) -> None:
    call = Referred()
    call.accept()
    call.notified()
    call.send("SUBSCRIBE", *headers)
    assert call.peer.take() == [status]


def test_a_network_that_fails() -> None:
    call = Referred()
    call.accept()
    call.alice.core.transport_failed(call.alice.wire.flow(ALICE, BOB), 0.0)
    call.run(1.0)
    call.notify(200)
    assert call.peer.take() == ["202", "NOTIFY"]


@pytest.mark.parametrize("status", [99, 700])
def test_what_is_no_status_is_not_told(status: int) -> None:
    call = Referred()
    call.accept()
    with pytest.raises(LocalSipError):
        call.notify(status)


def test_unknown_names_do_nothing() -> None:
    call = Referred()
    core = call.alice.core
    for session, key in ((call.session, "t99"), ("s99", "t99")):
        core.accept_refer(session, key, 0.0)
        core.refuse_refer(session, key, 0.0, status=603)
        core.notify_refer(session, key, 0.0, status=200)
    call.notify(200)  # nobody has accepted it
    assert call.peer.names == []


DEEDS = st.lists(
    st.sampled_from(
        ["refer", "accept", "refuse", "100", "200", "answer", "481", "bye", "wait"]
    ),
    max_size=20,
)


@given(deeds=DEEDS)
def test_any_order_leaves_nothing_behind(deeds: list[str]) -> None:
    call = Referred()

    def answer(status: int) -> None:
        for message in call.peer.received:
            if isinstance(message, Request) and message.method == "NOTIFY":
                call.notified(status)
                return

    does: dict[str, Any] = {
        "refer": lambda: call.refer(TARGET),
        "accept": call.accept,
        "refuse": lambda: call.alice.core.refuse_refer(
            call.session, call.key, call.now, status=603
        ),
        "100": lambda: call.notify(100),
        "200": lambda: call.notify(200),
        "answer": lambda: answer(200),
        "481": lambda: answer(481),
        "bye": lambda: call.send("BYE"),
        "wait": lambda: call.run(40.0),
    }
    for deed in deeds:
        does[deed]()
    call.send("BYE")
    call.run(EXPIRES + 100.0)
    assert len(call.alice.core._sessions) == 0
    assert not call.alice.core._user._owners


def test_the_table_has_no_dead_ends() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.TERMINATED}
