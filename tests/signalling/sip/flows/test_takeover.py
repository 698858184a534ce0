"""The flows of RFC 3665 and RFC 5359, with Alice's process killed at each message.

Once after what she was about to send has gone out, once before; the other end must not
notice, but for what comes late.
"""

from collections.abc import Callable
from typing import Any

import pytest

from agent.signalling.sip import core as sip
from tests.signalling.sip.flows.test_rfc5359 import CAROL, REPLACES, Three, replacing
from tests.signalling.sip.pair import ALICE, ANSWER, BOB, OFFER, Pair
from tests.signalling.sip.reborn import Keeper, Reaper

HELD = b"v=0\r\na=sendonly\r\n"
ABLE: dict[str, Any] = {
    "supported": ("100rel", "timer", "replaces"),
    "session_expires": 120,
}


def two() -> Pair:
    return Pair(alice=ABLE, bob=ABLE)


def calls_and_hangs_up() -> tuple[Pair, Callable[[], None]]:
    pair = two()

    def script() -> None:
        ours = pair.alice.call(BOB)
        pair.run(2.0)
        pair.alice.hang_up(ours)

    return pair, script


def calls_and_is_hung_up() -> tuple[Pair, Callable[[], None]]:
    pair = two()

    def script() -> None:
        pair.alice.call(BOB)
        pair.run(2.0)
        pair.bob.hang_up(pair.bob.session)

    return pair, script


def is_called(*, by_alice: bool) -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.alice.on, pair.bob.on = answering(pair), None

    def script() -> None:
        theirs = pair.bob.call(ALICE)
        pair.run(2.0)
        if by_alice:
            pair.alice.hang_up(pair.alice.session)
        else:
            pair.bob.hang_up(theirs)

    return pair, script


def answering(pair: Pair) -> Callable[[Any, float], None]:
    def react(event: Any, now: float) -> None:
        if isinstance(event, sip.InviteReceived):
            core = pair.alice.core
            core.ring(event.session, now, status=183, body=ANSWER, reliable=True)
            pair.alice.answer(event.session)

    return react


def cancels() -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.bob.on = lambda event, now: (
        pair.bob.core.ring(event.session, now)
        if isinstance(event, sip.InviteReceived)
        else None
    )

    def script() -> None:
        ours = pair.alice.call(BOB)
        pair.run(2.0)
        pair.alice.hang_up(ours)

    return pair, script


def is_cancelled() -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.bob.on = None
    pair.alice.on = lambda event, now: (
        pair.alice.core.ring(event.session, now)
        if isinstance(event, sip.InviteReceived)
        else None
    )

    def script() -> None:
        theirs = pair.bob.call(ALICE)
        pair.run(2.0)
        pair.bob.hang_up(theirs)

    return pair, script


def refuses() -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.bob.on = None
    pair.alice.on = lambda event, now: (
        pair.alice.core.refuse(event.session, now, status=486)
        if isinstance(event, sip.InviteReceived)
        else None
    )
    return pair, lambda: void(pair.bob.call(ALICE))


def is_refused() -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.bob.on = lambda event, now: (
        pair.bob.core.refuse(event.session, now, status=486)
        if isinstance(event, sip.InviteReceived)
        else None
    )
    return pair, lambda: void(pair.alice.call(BOB))


def void(_: object) -> None:
    """What a call is called is of no interest."""


def calls_without_offer() -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.alice.on = lambda event, now: (
        pair.alice.core.acknowledge(event.session, now, body=ANSWER)
        if isinstance(event, sip.Accepted)
        else None
    )

    def script() -> None:
        ours = pair.alice.call(BOB, body=b"")
        pair.run(2.0)
        pair.alice.hang_up(ours)

    return pair, script


def holds(*, update: bool) -> tuple[Pair, Callable[[], None]]:
    pair = two()

    def script() -> None:
        ours = pair.alice.call(BOB)
        pair.run(2.0)
        core = pair.alice.core
        core.reoffer(ours, pair.wire.now, body=HELD, update=update)
        pair.run(2.0)
        core = pair.alice.core
        core.reoffer(ours, pair.wire.now, body=OFFER, update=update)
        pair.run(2.0)
        pair.alice.hang_up(ours)

    return pair, script


def is_held() -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.alice.on = pair.accept_offers(pair.alice)

    def script() -> None:
        ours = pair.alice.call(BOB)
        pair.run(2.0)
        theirs = pair.bob.session
        pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
        pair.run(2.0)
        pair.bob.core.reoffer(theirs, pair.wire.now, body=OFFER, update=True)
        pair.run(2.0)
        pair.alice.hang_up(ours)

    return pair, script


def both_hold() -> tuple[Pair, Callable[[], None]]:
    pair = two()
    pair.alice.on = pair.accept_offers(pair.alice)

    def script() -> None:
        ours = pair.alice.call(BOB)
        pair.run(2.0)
        pair.wire.fate = lambda _packet: (0.01,)
        theirs = pair.bob.session
        pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
        pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
        pair.run(15.0)
        pair.alice.hang_up(ours)

    return pair, script


def refreshes() -> tuple[Pair, Callable[[], None]]:
    pair = two()

    def script() -> None:
        ours = pair.alice.call(BOB)
        pair.run(200.0)
        pair.alice.hang_up(ours)

    return pair, script


def is_referred(*, attended: bool) -> tuple[Pair, Callable[[], None]]:
    three = Three()

    def script() -> None:
        three.ours = three.alice.call(BOB)
        three.run(2.0)
        three.theirs = next(
            event.session
            for event in three.bob.events
            if isinstance(event, sip.InviteReceived)
        )
        target = f"sip:203@{CAROL}"
        if attended:
            consultation = three.bob.call(CAROL)
            three.run(2.0)
            dialog = three.bob.find(consultation).dialog
            tags = f"to-tag={dialog.remote_tag};from-tag={dialog.local.tag}"
            target = replacing(f"{dialog.call_id};{tags}")
        three.refer(target)
        three.run(4.0)
        three.bob.hang_up(three.theirs)
        three.run(2.0)
        three.alice.hang_up(three.target)
        three.run(700.0)

    return three, script


FLOWS: dict[str, Callable[[], tuple[Pair, Callable[[], None]]]] = {
    "calls and hangs up": calls_and_hangs_up,
    "calls and is hung up": calls_and_is_hung_up,
    "is called and hangs up": lambda: is_called(by_alice=True),
    "is called and hung up": lambda: is_called(by_alice=False),
    "cancels": cancels,
    "is cancelled": is_cancelled,
    "refuses": refuses,
    "is refused": is_refused,
    "calls without offer": calls_without_offer,
    "holds": lambda: holds(update=False),
    "holds with UPDATE": lambda: holds(update=True),
    "is held": is_held,
    "both hold at once": both_hold,
    "refreshes": refreshes,
    "is referred": lambda: is_referred(attended=False),
    "is referred to who is in a call": lambda: is_referred(attended=True),
}


def run(name: str, at: int = -1, *, sent: bool = True) -> tuple[Pair, Reaper]:
    """One flow to its end, Alice killed at the sending `at`."""
    pair, script = FLOWS[name]()
    options = REPLACES if isinstance(pair, Three) else ABLE
    keeper = Keeper(pair.alice, options)
    reaper = Reaper(pair.wire, lambda n: sent if n == at else None, [keeper])
    script()
    pair.run(150.0)
    assert not keeper.records
    return pair, reaper


def told(phone: Any) -> list[str]:
    """What its application heard; a plain 180 is not sure to arrive."""
    return [name for name in phone.names if name != "Progressed"]


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("name", FLOWS)
def test_nobody_notices(name: str, *, sent: bool) -> None:
    whole, reaper = run(name)
    assert whole.is_clean()
    for at in range(reaper.sendings):
        pair, _ = run(name, at, sent=sent)
        assert pair.is_clean(), at
        assert told(pair.alice) == told(whole.alice), at
        assert told(pair.bob) == told(whole.bob), at
