import base64
import random
import struct

import pytest
from hypothesis import given, strategies as st

from agent.formats.rtp.packet import parse_rtp
from agent.formats.rtp.srtp import (
    FLOOR_NS,
    MAX_SOURCES,
    SEARCH_NS,
    ReceiveContext,
    ReplayedError,
    SendContext,
    SrtpError,
)
from agent.model.media import SrtpSuite
from tests.captures import read_capture
from tests.corpora import ROOT, corpus
from tests.fakes.srtp import BadTagError, Direction

SUITES = list(SrtpSuite)
REPORT = b"\x80\xc9\x00\x01" + (77).to_bytes(4, "big")


def key(suite: SrtpSuite, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(suite.key_size)


def packet(index: int, ssrc: int = 77, first: int = 0x80) -> bytes:
    header = struct.pack("!BBHII", first, 8, index & 0xFFFF, index * 160, ssrc)
    return header + random.Random(index).randbytes(160)


# -- an independent implementation as the judge ----------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_what_we_send_is_what_the_rfcs_say(suite: SrtpSuite) -> None:
    ours, judge = SendContext(suite, key(suite)), Direction(suite, key(suite))
    assert judge.unprotect(ours.protect(packet(5))) == packet(5)
    extended = packet(6, first=0x91)[:12] + bytes.fromhex(
        "01020304 bede0001 10ff0000".replace(" ", "")
    )
    assert judge.unprotect(ours.protect(extended + b"audio")) == extended + b"audio"
    sealed = [ours.protect_rtcp(REPORT + bytes([n])) for n in range(3)]
    assert [judge.unprotect_rtcp(one)[8] for one in sealed] == [0, 1, 2]
    with pytest.raises(BadTagError):
        Direction(suite, key(suite, 2)).unprotect(ours.protect(packet(7)))


@pytest.mark.parametrize("suite", SUITES)
def test_what_the_rfcs_say_is_understood(suite: SrtpSuite) -> None:
    ours, judge = ReceiveContext(suite, key(suite)), Direction(suite, key(suite))
    for index in (5, 7, 6):
        assert ours.unprotect(judge.protect(packet(index)), 0) == packet(index)
    for index in (3, 4):
        assert ours.unprotect_rtcp(judge.protect_rtcp(REPORT, index)) == REPORT
    with pytest.raises(ReplayedError):
        ours.unprotect_rtcp(judge.protect_rtcp(REPORT, 3))


@pytest.mark.parametrize("suite", SUITES)
def test_the_rollover_counter_turns_on_both_sides(suite: SrtpSuite) -> None:
    sender, receiver = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
    judge = Direction(suite, key(suite))
    for index in range(0x7000, 3 << 16, 0x6FFF):
        sealed = sender.protect(packet(index))
        assert judge.unprotect(sealed, index >> 16) == packet(index)
        assert receiver.unprotect(sealed, 0) == packet(index)


def test_across_the_wrap_packets_may_come_out_of_order() -> None:
    suite = SUITES[0]
    receiver, judge = ReceiveContext(suite, key(suite)), Direction(suite, key(suite))
    for index in (0xFFFD, 0x10001, 0xFFFF, 0x10000, 0xFFFE, 0x10002):
        sealed = judge.protect(packet(index), index >> 16)
        assert receiver.unprotect(sealed, 0) == packet(index)


# -- what is not believed ----------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_a_packet_is_believed_once(suite: SrtpSuite) -> None:
    sender, receiver = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
    old, *_, new = sealed = [sender.protect(packet(index)) for index in range(600)]
    for one in sealed:
        receiver.unprotect(one, 0)
    for one in (new, old):
        with pytest.raises(ReplayedError):
            receiver.unprotect(one, 0)


@pytest.mark.parametrize("last", [500, 0xFFFE, 0x10000])
def test_what_another_process_received_is_not_believed_again(last: int) -> None:
    suite = SUITES[0]
    judge, receiver = Direction(suite, key(suite)), ReceiveContext(suite, key(suite))

    def sealed(index: int, ssrc: int = 77) -> bytes:
        return judge.protect(packet(index, ssrc), index >> 16)

    receiver.join_behind(packet(last), 0)
    for index in (last, last - 1, last - 400):
        with pytest.raises(ReplayedError):
            receiver.unprotect(sealed(index), 1)
    # What comes next is, and another source.
    for index in (last + 1, last + 3, last + 2):
        assert receiver.unprotect(sealed(index), 2) == packet(index)
    assert receiver.unprotect(sealed(7, ssrc=78), 3) == packet(7, 78)
    with pytest.raises(ReplayedError):
        receiver.unprotect(sealed(last), 4)


def test_an_older_rollover_count_does_not_pass_for_what_comes_next() -> None:
    suite = SUITES[0]
    judge, receiver = Direction(suite, key(suite)), ReceiveContext(suite, key(suite))
    receiver.join_behind(packet(0x10100), 0)
    # Of a quarter of an hour ago: its sequence number is ahead, its count is not.
    with pytest.raises(ReplayedError):
        receiver.unprotect(judge.protect(packet(0x0200), 0), 1)
    sealed = judge.protect(packet(0x10101), 1)
    assert receiver.unprotect(sealed, 2) == packet(0x10101)


def test_what_another_process_received_matters_for_a_while_only() -> None:
    suite = SUITES[0]
    judge, receiver = Direction(suite, key(suite)), ReceiveContext(suite, key(suite))
    receiver.join_behind(packet(500), 1)
    with pytest.raises(ReplayedError):
        receiver.unprotect(judge.protect(packet(3)), FLOOR_NS)
    # Say, a peer that began anew: it shall be heard in the end.
    assert receiver.unprotect(judge.protect(packet(3)), FLOOR_NS + 1) == packet(3)


@pytest.mark.parametrize("suite", SUITES)
@given(st.data())
def test_no_altered_packet_is_believed(suite: SrtpSuite, data: st.DataObject) -> None:
    judge, receiver = Direction(suite, key(suite)), ReceiveContext(suite, key(suite))
    receiver.unprotect(judge.protect(packet(1)), 0)
    sealed = judge.protect(packet(2))
    at = data.draw(st.integers(0, len(sealed) - 1))
    bit = data.draw(st.integers(0, 7))
    altered = bytearray(sealed)
    altered[at] ^= 1 << bit
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for bad in (bytes(altered), sealed[:cut], sealed + b"\0"):
        with pytest.raises(SrtpError):
            receiver.unprotect(bad, 0)
    report = bytearray(judge.protect_rtcp(REPORT))
    report[at % len(report)] ^= 1 << bit
    with pytest.raises(SrtpError):
        receiver.unprotect_rtcp(bytes(report))
    assert receiver.unprotect(sealed, 0) == packet(2)


@pytest.mark.parametrize("suite", SUITES)
def test_another_key_is_not_believed(suite: SrtpSuite) -> None:
    receiver, stranger = (
        ReceiveContext(suite, key(suite)),
        SendContext(suite, b"x" * 44),
    )
    with pytest.raises(SrtpError, match="any rollover"):
        receiver.unprotect(stranger.protect(packet(1)), 0)
    with pytest.raises(SrtpError):
        receiver.unprotect_rtcp(stranger.protect_rtcp(REPORT))


@pytest.mark.parametrize("bad", [b"", b"\x80", bytes(11), bytes(2000)])
def test_what_is_no_packet_is_refused(bad: bytes) -> None:
    suite = SUITES[0]
    sender, receiver = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
    for attempt in (
        lambda: receiver.unprotect(bad, 0),
        lambda: receiver.unprotect_rtcp(bad),
        lambda: sender.protect(bad),
        lambda: sender.protect_rtcp(bad[:7] or bytes(2000)),
    ):
        with pytest.raises(SrtpError):
            attempt()


@pytest.mark.parametrize("suite", SUITES)
def test_no_sequence_number_is_sent_twice_under_a_key(suite: SrtpSuite) -> None:
    sender = SendContext(suite, key(suite))
    sender.protect(packet(1))
    with pytest.raises(ReplayedError):
        sender.protect(packet(1)[:12] + b"something else")


# -- joining late ------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("index", [5, 0x7000, 0xFFFF, 0x10000, 0x3FFFF, 0x2A8000])
def test_a_stream_is_joined_under_any_rollover_count(
    suite: SrtpSuite, index: int
) -> None:
    receiver, judge = ReceiveContext(suite, key(suite)), Direction(suite, key(suite))
    for one in (index, index + 2, index + 1):
        sealed = judge.protect(packet(one), one >> 16)
        assert receiver.unprotect(sealed, 0) == packet(one)
    with pytest.raises(ReplayedError):
        receiver.unprotect(judge.protect(packet(index), index >> 16), 0)


def test_garbage_costs_one_search_a_second() -> None:
    suite = SUITES[0]
    receiver, judge = ReceiveContext(suite, key(suite)), Direction(suite, key(suite))
    late = judge.protect(packet(0x20000), 2)
    with pytest.raises(SrtpError):
        receiver.unprotect(bytes(40), 5)
    with pytest.raises(SrtpError):
        receiver.unprotect(late, SEARCH_NS)
    assert receiver.unprotect(late, SEARCH_NS + 5) == packet(0x20000)


def test_a_stream_that_is_known_is_not_searched_for() -> None:
    suite = SUITES[0]
    receiver, judge = ReceiveContext(suite, key(suite)), Direction(suite, key(suite))
    receiver.unprotect(judge.protect(packet(1)), 0)
    with pytest.raises(SrtpError):
        receiver.unprotect(judge.protect(packet(0x50001), 5), SEARCH_NS)


def test_reports_before_audio_hinder_no_search() -> None:
    suite = SUITES[0]
    receiver, judge = ReceiveContext(suite, key(suite)), Direction(suite, key(suite))
    receiver.unprotect_rtcp(judge.protect_rtcp(REPORT, 9))
    assert receiver.unprotect(judge.protect(packet(0x20000), 2), 0)
    with pytest.raises(ReplayedError):
        receiver.unprotect_rtcp(judge.protect_rtcp(REPORT, 9))


# -- many sources ------------------------------------------------------------------


def test_a_peer_may_change_its_source_but_not_fill_our_memory() -> None:
    suite = SUITES[0]
    receiver, judge = ReceiveContext(suite, key(suite)), Direction(suite, key(suite))
    for ssrc in range(MAX_SOURCES + 3):
        assert receiver.unprotect(judge.protect(packet(1, ssrc)), 0)
        assert receiver.unprotect_rtcp(
            judge.protect_rtcp(b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big"))
        )
    for ssrc in range(3, MAX_SOURCES + 3):
        with pytest.raises(ReplayedError):
            receiver.unprotect(judge.protect(packet(1, ssrc)), 0)
    assert receiver.unprotect(judge.protect(packet(1, 0)), 0)


# -- a capture nobody here made ------------------------------------------------------


def test_every_packet_of_a_recorded_call_is_authentic() -> None:
    """G.722 in SRTP, both directions, recorded by rtpproxy under the SDP's keys."""
    corpus("rtp/rtpproxy-extractaudio")
    lines = (ROOT / "SRTP_KEYS.txt").read_text().splitlines()
    for path, _, suite, encoded, _ in (map(str.strip, x.split("|")) for x in lines):
        keys = SrtpSuite(suite), base64.b64decode(encoded)
        receiver, judge = ReceiveContext(*keys), Direction(*keys)
        sealed = [one.payload for one in read_capture(ROOT / path)]
        assert len(sealed) > 100
        for one in sealed:
            plain = receiver.unprotect(one, 0)
            assert parse_rtp(plain).payload_type == 9
            assert judge.unprotect(one) == plain
