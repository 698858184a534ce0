import os
import socket
from collections.abc import Iterator

import pytest

from agent.media import control
from agent.media.holdings import Holdings, parts


@pytest.fixture
def fds() -> Iterator[list[int]]:
    made = [os.open(os.devnull, os.O_RDONLY) for _ in range(70)]
    yield made
    for fd in made:
        os.close(fd)


def test_what_one_record_cannot_carry_comes_in_parts(fds: list[int]) -> None:
    legs = [
        (control.HeldLeg(leg=f"leg{n}", playing=n), (fds[2 * n], fds[2 * n + 1]))
        for n in range(20)
    ]
    recordings = [
        (
            control.HeldRecording(
                recording=f"r{n}", epoch=n, opened="", kept=n % 2 == 0
            ),
            (fds[40 + n],) if n % 2 == 0 else (),
        )
        for n in range(20)
    ]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    holdings = Holdings()
    assert not holdings
    with ours, theirs:
        last = False
        for part, descriptors in parts(legs, recordings):
            control.send(theirs, control.encode(part), descriptors)
            data, received = control.receive(ours)
            report = control.decode_report(data)
            assert isinstance(report, control.Held)
            assert not last
            holdings.add(report, received)
            assert received == []
            last = report.last
    assert last
    assert len(holdings) == 40
    assert holdings.legs["leg7"][0].playing == 7
    assert holdings.recordings["r3"] == (recordings[3][0], None)
    _, rtp, rtcp = holdings.legs.pop("leg19")
    holdings.close()
    assert not holdings
    os.close(rtp)
    os.close(rtcp)


def test_a_worker_that_has_nothing_says_so() -> None:
    assert list(parts((), ())) == [(control.Held(last=True), ())]
