import random
from dataclasses import replace

import pytest

from agent.formats.codecs.g711 import ULAW_TO_ALAW
from agent.formats.rtp.packet import parse_rtp
from agent.media.leg import MediaLeg
from agent.model.media import G722, OPUS, PCMA, PCMU, Address, Direction, Latch
from tests.media.legs import OPUS_20_MS, Bench
from tests.media.phones import HOST, audio_bytes


def test_the_latch_takes_two_packets_and_what_was_queued(bench: Bench) -> None:
    bench.configure()
    phone = bench.phones[0]
    for n in range(5):
        phone.say(audio_bytes(n))
    assert bench.relay(2) == [audio_bytes(n) for n in range(5)]
    assert bench.latched == ["a"]
    assert bench.a.stats.received == 5


def test_nobody_is_heard_before_the_negotiation(bench: Bench) -> None:
    bench.phones[0].say(b"early")
    assert bench.relay(1) == []
    assert bench.a.stats.foreign == 1
    assert not bench.a.may_send


def test_an_empty_socket_is_no_matter(bench: Bench) -> None:
    bench.configure()
    bench.a.on_rtp()
    bench.a.on_rtcp()
    assert bench.a.stats.invalid == 0


def test_broken_padding_is_invalid(bench: Bench) -> None:
    bench.configure()
    packet = bench.phones[0].next_packet(b"\xff")
    bench.phones[0].send(b"\xa0" + packet[1:])
    assert bench.relay(1) == []
    assert bench.a.stats.invalid == 1


def test_what_was_negotiated_away_while_held_is_dropped(bench: Bench) -> None:
    bench.configure()
    phone = bench.phones[0]
    phone.say(b"in the old type")
    bench.relay(1)
    audio = replace(phone.negotiated(), codec=PCMU)
    bench.a.configure(audio, Latch.ADDRESS)
    phone.send(phone.next_packet(b"in the new", payload_type=0))
    bench.a.rewire()
    assert bench.relay(1) == [b"in the new".translate(ULAW_TO_ALAW)]
    assert bench.a.stats.received == 2


def test_a_peer_without_telephone_events_gets_none(bench: Bench) -> None:
    bench.configure()
    bench.b.configure(bench.phones[1].negotiated(), Latch.ADDRESS)
    bench.a.rewire()
    phone = bench.phones[0]
    phone.say(b"a")
    phone.send(phone.next_packet(b"\1\2\3\4", payload_type=101))
    assert bench.relay(2) == [b"a"]


def test_an_unreachable_or_absent_remote_is_sent_nothing(bench: Bench) -> None:
    bench.configure()
    phone = bench.phones[1]
    held = Address("0.0.0.0", 4000)  # noqa: S104 - hold of RFC 2543
    for remote in (held, Address(HOST, 0)):
        audio = replace(phone.negotiated(), remote=remote, remote_rtcp=remote)
        bench.b.configure(audio, Latch.ADDRESS)
        assert not bench.b.may_send
        assert not bench.b.send_again(b"x")
        bench.b.send_report(0)
    bench.phones[0].say(b"1")
    bench.phones[0].say(b"2")
    assert bench.relay(2) == []


def test_a_remote_that_cannot_be_connected_to_is_counted(bench: Bench) -> None:
    bench.configure()
    # A broadcast address, which a socket must be allowed to use.
    remote = Address("255.255.255.255", 4000)
    audio = replace(bench.phones[1].negotiated(), remote=remote, remote_rtcp=remote)
    bench.b.configure(audio, Latch.OFF)
    assert bench.b.stats.send_errors == 1
    bench.b.send_report(0)
    assert bench.b.stats.send_errors == 2


def test_a_leg_that_must_not_be_heard_is_not_relayed(bench: Bench) -> None:
    bench.configure(direction=Direction.SENDONLY)
    bench.phones[0].say(b"1")
    bench.phones[0].say(b"2")
    assert bench.relay(2) == []
    assert bench.a.stats.received == 2


# -- a latch that is inherited ------------------------------------------------


def successor(bench: Bench) -> MediaLeg:
    """A leg of the same sockets in the next process."""
    leg = bench.leg("a")
    leg.rtp.close()
    leg.rtp = bench.a.rtp.dup()
    return MediaLeg(
        "a",
        leg.rtp,
        leg.rtcp.channel,
        random.Random(2),
        on_latched=lambda _: bench.latched.append("again"),
        on_source=lambda _: None,
    )


@pytest.mark.parametrize("moved", [False, True])
def test_a_latch_is_inherited_unless_the_peer_has_moved(
    bench: Bench, *, moved: bool
) -> None:
    bench.configure()
    phone = bench.phones[0]
    phone.say(b"1")
    phone.say(b"2")
    bench.relay(2)
    leg = successor(bench)
    leg.adopt_latch()
    audio = phone.negotiated()
    if moved:
        audio = replace(audio, remote=Address("127.0.0.2", 4000))
    leg.configure(audio, Latch.ADDRESS)
    phone.say(b"3")
    phone.say(b"4")
    leg.on_rtp()
    leg.on_rtp()
    assert leg.stats.received == (0 if moved else 2)
    assert leg.stats.foreign == (2 if moved else 0)
    leg.close()


def test_there_may_be_no_latch_to_inherit(bench: Bench) -> None:
    leg = successor(bench)
    leg.adopt_latch()
    assert leg.reception.latched is None
    leg.close()


def test_the_relayed_packet_is_the_legs_own(bench: Bench) -> None:
    bench.configure()
    phone = bench.phones[0]
    said = [parse_rtp(phone.say(audio_bytes(n))) for n in range(2)]
    bench.a.on_rtp()
    bench.a.on_rtp()
    heard = bench.phones[1].heard()
    assert {packet.ssrc for packet in heard} == {bench.b.sender.ssrc}
    assert heard[0].marker
    assert heard[0].ssrc != said[0].ssrc


def test_a_codec_switch_in_one_stream_is_relayed(bench: Bench) -> None:
    """Payload types of one SSRC, each mapped to the other leg's number of it."""
    changes = {"codec": PCMA, "others": (G722,)}
    bench.configure(**changes)
    audio = replace(
        bench.phones[1].negotiated(), codec=replace(G722, payload_type=109),
        others=(PCMA,),
    )  # fmt: skip
    bench.b.configure(audio, Latch.ADDRESS)
    bench.a.rewire()
    phone = bench.phones[0]
    for payload_type in (8, 8, 9, 9, 8):
        phone.send(phone.next_packet(b"x", payload_type=payload_type))
    for _ in range(5):
        bench.a.on_rtp()
    heard = bench.phones[1].heard()
    assert [packet.payload_type for packet in heard] == [8, 8, 109, 109, 8]
    assert len({packet.ssrc for packet in heard}) == 1


def test_a_switch_to_another_clock_is_another_source_there(bench: Bench) -> None:
    bench.configure(codec=PCMA, others=(OPUS,))
    phone = bench.phones[0]
    for payload_type in (8, 8, 8, 107, 107, 8):
        phone.send(phone.next_packet(OPUS_20_MS, payload_type=payload_type))
    for _ in range(6):
        bench.a.on_rtp()
    heard = bench.phones[1].heard()
    assert [packet.payload_type for packet in heard] == [8, 8, 8, 107, 107, 8]
    sources = [packet.ssrc for packet in heard]
    assert sources[:3] == [sources[0]] * 3
    assert sources[3] == sources[4]
    assert len(set(sources)) == 3
    assert bench.b.stats.sent == 6


def test_a_source_that_begins_with_another_clock(bench: Bench) -> None:
    bench.configure(codec=OPUS)
    phone = bench.phones[0]
    for _ in range(3):
        phone.send(phone.next_packet(OPUS_20_MS))
        phone.timestamp += 800
    assert len(bench.relay(3)) == 0  # the phone speaks A-law, and nobody agreed that
    for _ in range(3):
        phone.send(phone.next_packet(OPUS_20_MS, payload_type=107))
        phone.timestamp += 800
    assert bench.relay(3) == [OPUS_20_MS] * 3
    assert bench.a.reception.clock_rate == 48_000


def test_comfort_noise_is_passed_along_where_both_have_it(bench: Bench) -> None:
    bench.configure(comfort_noise=13)
    phone = bench.phones[0]
    for payload_type in (8, 8, 13):
        phone.send(phone.next_packet(b"\x40", payload_type=payload_type))
    for _ in range(3):
        bench.a.on_rtp()
    assert [p.payload_type for p in bench.phones[1].heard()] == [8, 8, 13]
    bench.b.configure(bench.phones[1].negotiated(), Latch.ADDRESS)
    bench.a.rewire()
    phone.send(phone.next_packet(b"\x40", payload_type=13))
    bench.a.on_rtp()
    assert bench.phones[1].heard() == []
    assert bench.a.stats.invalid == 0
