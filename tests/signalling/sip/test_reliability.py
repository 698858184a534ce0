import random
from typing import Any

import pytest

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.reliability import (
    MAX_QUEUED,
    Arrival,
    Provisional,
    RAck,
    ReliableArrivals,
    ReliableProvisionals,
    parse_rack,
)
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import parse_uri

RELIABLE: dict[str, Any] = {"supported": ("100rel",)}
SUPPORTED = ("Supported", "100rel")
REQUIRED = ("Require", "100rel")
CHANGED = b"v=0\r\ns=changed\r\n"


def sequence(number: int | str, *, required: bool = True) -> Response:
    lines = [("RSeq", str(number)), ("CSeq", "7 INVITE")]
    if required:
        lines.append(REQUIRED)
    return Response(180, "Ringing", Headers(lines))


# -- the values ----------------------------------------------------------------------


def rack(text: str) -> RAck:
    uri = parse_uri("sip:201@192.0.2.1")
    return parse_rack(Request("PRACK", uri, Headers([("RAck", text)])))


def test_a_rack_is_read() -> None:
    assert rack("776656 1 INVITE") == RAck(776656, 1, "INVITE")
    assert str(rack(" 1\t2  INVITE ")) == "1 2 INVITE"


@pytest.mark.parametrize("text", ["", "1 2", "x 2 INVITE", "1 2 INVITE x", "9" * 99])
def test_what_acknowledges_nothing_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        rack(text)


def test_the_peers_responses_come_in_order() -> None:
    theirs = ReliableArrivals()
    assert theirs.receive(sequence(40)) is Arrival.NEW
    assert theirs.rack(sequence(40)) == RAck(40, 7, "INVITE")
    assert theirs.receive(sequence(40)) is Arrival.REPEATED
    assert theirs.receive(sequence(42)) is Arrival.EARLY
    assert theirs.receive(sequence(41)) is Arrival.NEW
    assert theirs.receive(sequence(42)) is Arrival.NEW
    assert theirs.receive(sequence(39)) is Arrival.REPEATED


@pytest.mark.parametrize(
    "response",
    [sequence(1, required=False), sequence("x"), sequence(0), sequence(2**31)],
)
def test_others_are_not_reliable(response: Response) -> None:
    assert ReliableArrivals().receive(response) is Arrival.UNRELIABLE


# -- ours, alone -----------------------------------------------------------------


class Ours:
    def __init__(self) -> None:
        self.sent: list[tuple[float, int, int]] = []
        self.again: list[float] = []
        self.reliable = ReliableProvisionals(
            timers=Timers(), rng=random.Random(1), send=self._send, repeat=self._repeat
        )

    def _send(self, one: Provisional, rseq: int, now: float) -> Response:
        self.sent.append((now, one.status, rseq))
        return Response(one.status, "", Headers([("CSeq", "7 INVITE")]))

    def _repeat(self, _response: Response, now: float) -> None:
        self.again.append(now)

    def prack(self, now: float = 0.0, **changes: Any) -> bool:
        number = self.sent[-1][2]
        values = {"rseq": number, "cseq": 7, "method": "INVITE"} | changes
        if not self.reliable.receive_prack(RAck(**values)):
            return False
        self.reliable.send_next(now)
        return True

    def run(self, until: float) -> list[float]:
        """When it gave up, in the time up to `until`."""
        given_up = []
        while (at := self.reliable.get_timer()) is not None and at <= until:
            if self.reliable.handle_timer(at):
                given_up.append(at)
        return given_up


def test_one_is_sent_again_until_its_prack() -> None:
    ours = Ours()
    assert not ours.reliable.receive_prack(RAck(1, 7, "INVITE"))
    ours.reliable.send(Provisional(180), 0.0)
    assert not ours.reliable.handle_timer(0.4)
    ours.run(5.0)
    assert ours.again == [0.5, 1.5, 3.5]
    for wrong in ({"rseq": 1}, {"cseq": 8}, {"method": "UPDATE"}):
        assert not ours.prack(**wrong)
    assert ours.prack()
    assert not ours.prack()
    assert ours.run(100.0) == []


def test_without_a_prack_it_is_given_up() -> None:
    ours = Ours()
    ours.reliable.send(Provisional(180), 1.0)
    assert ours.run(100.0) == [33.0]
    assert not ours.reliable.handle_timer(200.0)
    ours.reliable.send(Provisional(180), 40.0)
    assert len(ours.sent) == 1


def test_the_next_waits_for_the_prack() -> None:
    ours = Ours()
    for status in (180, 181, 183):
        ours.reliable.send(Provisional(status), 0.0)
    assert [status for _, status, _ in ours.sent] == [180]
    assert ours.prack(1.0)
    assert ours.prack(2.0)
    first = ours.sent[0][2]
    assert ours.sent == [
        (0.0, 180, first),
        (1.0, 181, first + 1),
        (2.0, 183, first + 2),
    ]
    assert 1 <= first < 2**31 - 1


def test_only_so_many_wait() -> None:
    ours = Ours()
    for _ in range(3 * MAX_QUEUED):
        ours.reliable.send(Provisional(180), 0.0)
    assert len(ours.reliable._queue) == MAX_QUEUED
    for _ in range(MAX_QUEUED + 1):
        ours.prack()
    assert not ours.reliable._queue


def test_a_description_holds_the_answer_up() -> None:
    ours = Ours()
    ours.reliable.send(Provisional(180), 0.0)
    assert not ours.reliable.holds_answer
    ours.reliable.send(Provisional(183, b"v=0"), 0.0)
    assert ours.reliable.holds_answer
    ours.prack()
    assert ours.reliable.holds_answer
    ours.prack()
    assert not ours.reliable.holds_answer


def test_a_final_response_ends_it_and_a_late_prack_is_not_stray() -> None:
    ours = Ours()
    ours.reliable.send(Provisional(180), 0.0)
    ours.reliable.send(Provisional(181), 0.0)
    ours.reliable.close(1.0)
    ours.reliable.close(2.0)
    assert ours.run(33.0) == []
    assert ours.reliable.outstanding
    assert ours.prack(33.0)
    assert not ours.reliable.outstanding
    assert len(ours.sent) == 1
    assert ours.again == []


def test_after_the_time_of_a_transaction_it_is_stray() -> None:
    ours = Ours()
    ours.reliable.send(Provisional(180), 0.0)
    ours.reliable.close(1.0)
    assert ours.run(100.0) == []
    assert not ours.reliable.outstanding
    assert not ours.prack(100.0)
