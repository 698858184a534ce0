from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.timeline import (
    MAX_OCTETS,
    MAX_SOURCES,
    Gap,
    GapReason,
    LegFigures,
    LegResult,
    LegTimeline,
)
from tests.captures import read_capture
from tests.corpora import corpus
from tests.formats.streams import (
    CODECS,
    MS,
    START,
    Sent,
    finish,
    heard,
    placed,
    sender,
    steady,
    timeline,
)


def without(sent: list[Sent], *numbers: int) -> list[Sent]:
    return [s for n, s in enumerate(sent) if n not in numbers]


def odd(number: int, payload_type: int, payload: bytes) -> Sent:
    """A packet of the steady stream that stands still after three packets."""
    (sent,) = sender([number], payload_type=payload_type)
    return sent._replace(packet=replace(sent.packet, timestamp=10_480, payload=payload))


def result_of(sent: list[Sent], *, milliseconds: float = 200) -> LegResult:
    return finish(timeline(sent), milliseconds=milliseconds)


def test_steady_stream_lies_at_its_arrival() -> None:
    result = result_of(sender(range(10)))
    assert placed(result) == steady(range(10))
    assert result.gaps == []
    assert result.total == 1600
    assert result.audio_codecs == {"PCMA"}
    assert result.figures == LegFigures(packets=10, ssrcs=1)


def test_never_sends() -> None:
    result = result_of([])
    assert placed(result) == []
    assert result.gaps == [Gap(0, 1600, GapReason.SILENCE)]
    assert result.figures == LegFigures()
    assert result.audio_codecs == set()


def test_segment_without_length() -> None:
    result = result_of(sender(range(5)), milliseconds=-20)
    assert (result.total, placed(result), result.gaps) == (0, [], [])
    assert result.figures.outside == 5


def test_late_start() -> None:
    result = result_of(sender(range(5), start=50))
    assert placed(result) == steady(range(5), first=400)
    assert result.gaps == [
        Gap(0, 400, GapReason.LATE_START),
        Gap(1200, 400, GapReason.SILENCE),
    ]


def test_two_hundred_milliseconds_of_jitter_move_nothing() -> None:
    rng = Random(1)
    delays = [rng.uniform(0, 200) for _ in range(500)]
    delays[3] = 0.0
    sent = [
        s._replace(at=s.at + delay)
        for s, delay in zip(sender(range(500)), delays, strict=True)
    ]
    result = result_of(sent, milliseconds=10_000)
    assert placed(result) == steady(range(500))
    assert result.figures.lost == result.figures.rebased == 0
    assert result.figures.reordered > 100
    assert 30 < result.figures.jitter_ms < result.figures.jitter_max_ms < 200


def test_loss_is_a_gap() -> None:
    result = result_of(without(sender(range(10)), 3, 4, 7))
    assert placed(result) == steady([0, 1, 2, 5, 6, 8, 9])
    assert result.gaps == [
        Gap(480, 320, GapReason.LOST),
        Gap(1120, 160, GapReason.LOST),
    ]
    assert result.figures.lost == 3


def test_fifteen_percent_loss() -> None:
    rng = Random(2)
    kept = [n for n in range(3000) if n in {0, 2999} or rng.random() >= 0.15]
    sent = sender(range(3000))
    result = result_of([sent[n] for n in kept], milliseconds=60_000)
    assert placed(result) == steady(kept)
    assert result.figures.lost == 3000 - len(kept)
    assert sum(g.samples for g in result.gaps) == 160 * (3000 - len(kept))
    assert {g.reason for g in result.gaps} == {GapReason.LOST}


def test_reordering_and_duplicates() -> None:
    sent = sender(range(10))
    sent[4] = sent[4]._replace(at=101)
    sent += [sent[6], sent[6]._replace(at=150)]
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures.reordered == 1
    assert result.figures.duplicates == 2
    assert result.figures.packets == 10


def test_reordering_across_a_talkspurt() -> None:
    first = sender(range(5))
    second = sender(range(5), start=600, first_sequence=105, first_timestamp=14_800)
    first[4], second[0] = first[4]._replace(at=601), second[0]._replace(at=600)
    result = result_of(first + second, milliseconds=700)
    assert placed(result) == steady(range(5)) + steady(range(5), first=4800)
    assert result.gaps == [Gap(800, 4000, GapReason.SILENCE)]
    assert result.figures.reordered == 1
    assert result.figures.lost == result.figures.rebased == 0


def test_loss_at_a_talkspurt_is_told_from_its_silence() -> None:
    first = without(sender(range(5)), 4)
    second = sender(range(5), start=600, first_sequence=105, first_timestamp=14_800)
    result = result_of(first + second, milliseconds=700)
    assert result.gaps == [
        Gap(640, 160, GapReason.LOST),
        Gap(800, 4000, GapReason.SILENCE),
    ]
    assert result.figures.lost == 1


def test_sequence_number_wraps() -> None:
    result = result_of(sender(range(10), first_sequence=65_533))
    assert placed(result) == steady(range(10))
    assert result.figures == LegFigures(packets=10, ssrcs=1)


def test_timestamp_wraps() -> None:
    result = result_of(sender(range(10), first_timestamp=2**32 - 800))
    assert placed(result) == steady(range(10))
    assert result.figures.rebased == 0


def test_packet_time_may_change_within_the_stream() -> None:
    sent = sender(range(5))
    sent += sender(
        range(3), start=100, samples=240, first_sequence=105, first_timestamp=10_800
    )
    result = result_of(sent)
    long = [(800, 240, 0), (1040, 240, 1), (1280, 240, 2)]
    assert placed(result) == steady(range(5)) + long


def test_new_source_follows_the_old() -> None:
    second = sender(range(5), start=100, ssrc=0xB, first_timestamp=77)
    result = result_of(sender(range(5)) + second)
    assert placed(result) == steady(range(5)) + steady(range(5), first=800)
    assert (result.figures.ssrcs, result.figures.ssrc_changes) == (2, 1)


def test_source_of_one_packet_is_not_believed() -> None:
    result = result_of(sender(range(9)) + sender([0], start=65, ssrc=0xB))
    assert placed(result) == steady(range(9))
    assert (result.figures.ssrcs, result.figures.invalid) == (1, 1)


def test_source_beside_another_takes_nothing_from_it() -> None:
    spoofed = sender(range(200, 203), start=-4000 + 45, ssrc=0xB)
    result = result_of(without(sender(range(10)), 4) + spoofed)
    assert placed(result) == [
        *steady(range(4)),
        (640, 40, 201),
        (680, 120, 202),
        *steady(range(5, 10)),
    ]
    assert result.figures.ssrc_changes == 2
    assert result.figures.outside == 1


def test_only_so_many_sources() -> None:
    sent = sender(range(10))
    for ssrc in range(0x100, 0x100 + 2 * MAX_SOURCES):
        sent += sender(range(2), start=40, ssrc=ssrc)
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures.ssrcs == MAX_SOURCES
    assert result.figures.invalid == 2 * (MAX_SOURCES + 1)


def test_timestamp_jump_that_is_silence() -> None:
    second = sender(range(5), start=4000, first_sequence=105, first_timestamp=42_000)
    result = result_of(sender(range(5)) + second, milliseconds=4100)
    assert placed(result) == steady(range(5)) + steady(range(5), first=32_000)
    assert result.gaps == [Gap(800, 31_200, GapReason.SILENCE)]
    assert result.figures.rebased == 0


@pytest.mark.parametrize("jump", [10_000_000, 2**31, -9_000, 2**32 - 20_000])
def test_timestamp_jump_without_time_is_another_clock(jump: int) -> None:
    second = sender(
        range(5), start=100, first_sequence=105, first_timestamp=10_800 + jump
    )
    result = result_of(sender(range(5)) + second)
    assert placed(result) == steady(range(5)) + steady(range(5), first=800)
    assert result.gaps == []
    assert result.figures.rebased == 1


def test_clock_that_disagrees_by_less_than_a_second_is_believed() -> None:
    second = sender(range(5), start=1000, first_sequence=105, first_timestamp=12_400)
    result = result_of(sender(range(5)) + second, milliseconds=1100)
    assert placed(result)[5:] == steady(range(5), first=2400)
    assert result.figures.rebased == 0
    assert result.figures.late == 5


def test_clock_that_stops_while_nothing_is_sent() -> None:
    second = sender(range(5), start=5000, first_sequence=105, first_timestamp=10_800)
    result = result_of(sender(range(5)) + second, milliseconds=5100)
    assert placed(result) == steady(range(5)) + steady(range(5), first=40_000)
    assert result.figures.rebased == 1


def test_stalled_network_moves_nothing() -> None:
    sent = [
        s._replace(at=2990 + n / 100 if 5 <= n < 150 else s.at)
        for n, s in enumerate(sender(range(300)))
    ]
    result = result_of(sent, milliseconds=6000)
    assert placed(result) == steady(range(300))
    assert result.figures.rebased == 0
    assert result.figures.late == 135


def test_talkspurts_held_back_together_move_nothing() -> None:
    sent = sender(range(50))
    sent += [
        s._replace(at=6000 + n / 10)
        for n, s in enumerate(
            sender(range(10), first_sequence=150, first_timestamp=34_000)
            + sender(range(100), first_sequence=160, first_timestamp=40_000)
        )
    ]
    sent += sender(range(50), start=7000, first_sequence=260, first_timestamp=66_000)
    result = result_of(sent, milliseconds=8000)
    assert result.figures.rebased == 0
    assert [p for p, _, _ in placed(result)][50:160:10] == [
        24_000,
        *range(30_000, 46_000, 1600),
    ]


@pytest.mark.parametrize("timestamp", [2**31 + 11_000, 5_000_000, 2_000_000_000])
def test_one_wild_timestamp_is_disbelieved(timestamp: int) -> None:
    sent = sender(range(10))
    wild = replace(sent[5].packet, timestamp=timestamp)
    sent[5] = sent[5]._replace(packet=wild)
    result = result_of(sent)
    assert placed(result) == steady([0, 1, 2, 3, 4, 6, 7, 8, 9])
    assert result.figures.invalid == 1
    assert result.figures.lost == 0


@pytest.mark.parametrize("step", [20_000, -20_000, 32_768, 3000, -101])
def test_one_wild_sequence_number_is_disbelieved(step: int) -> None:
    sent = sender(range(10))
    sent += sender([0], start=85, first_sequence=(104 + step) % 65_536)
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures.invalid == 1
    assert result.figures.lost == 0


@pytest.mark.parametrize("step", [20_000, -20_000])
def test_restart_of_the_sequence_is_followed(step: int) -> None:
    second = sender(
        range(5), start=100, first_sequence=105 + 30_000 + step, first_timestamp=10_800
    )
    result = result_of(sender(range(5), first_sequence=30_100) + second)
    assert placed(result) == steady(range(5)) + steady(range(5), first=800)
    assert result.figures.lost == 0


def test_before_the_start_and_after_the_end_is_cut_off() -> None:
    result = result_of(sender(range(-3, 15), start=10))
    frames = placed(result)
    assert frames[0] == (0, 80, 255)
    assert frames[1] == (80, 160, 0)
    assert frames[-1] == (1520, 80, 9)
    assert result.figures.outside == 7
    assert heard(next(iter(result.frames))) == bytes((255,)) * 80


def test_wild_packet_allocates_nothing() -> None:
    sent = sender(range(3)) + sender(
        range(3), start=60, first_sequence=103, first_timestamp=3_000_000_000
    )
    result = result_of(sent, milliseconds=120)
    assert result.total == 960
    assert sum(f.length for f in result.frames) == 960


def test_overlong_packet_gives_way_to_the_next() -> None:
    sent = sender(range(4))
    long = replace(sent[1].packet, payload=b"x" * 1400)
    sent[1] = sent[1]._replace(packet=long)
    assert placed(result_of(sent)) == [
        (0, 160, 0),
        (160, 160, ord("x")),
        (320, 160, 2),
        (480, 160, 3),
    ]


def test_same_timestamp_twice_is_placed_once() -> None:
    sent = sender(range(3))
    sent += sender([2], first_sequence=101, start=5)
    result = result_of(sent)
    assert placed(result) == steady(range(3))
    assert result.figures.invalid == 1


def test_comfort_noise_and_keepalives_are_silence_not_loss() -> None:
    sent = sender(range(3))
    for n, payload_type, payload in ((3, 13, b"\x40"), (4, 8, b"")):
        sent.append(odd(n, payload_type, payload))
    sent += sender(range(5), start=2000, first_sequence=105, first_timestamp=26_000)
    result = result_of(sent, milliseconds=2100)
    assert placed(result) == steady(range(3)) + steady(range(5), first=16_000)
    assert result.gaps == [Gap(480, 15_520, GapReason.SILENCE)]
    assert result.figures == LegFigures(packets=10, ssrcs=1)


def test_events_without_their_digits_are_not_loss() -> None:
    sent = sender(range(3))
    sent += [odd(n, 101, b"") for n in range(3, 8)]
    sent += sender(range(8, 10))
    result = result_of(sent)
    assert placed(result) == steady([0, 1, 2, 8, 9])
    assert result.gaps == [Gap(480, 800, GapReason.SILENCE)]
    assert result.figures.lost == 0


def test_events_beside_the_audio_are_not_loss_even_when_unheard() -> None:
    sent = [
        s._replace(packet=replace(s.packet, sequence_number=number))
        for s, number in zip(
            sender(range(6)), (100, 101, 103, 105, 107, 108), strict=True
        )
    ]
    result = result_of(sent, milliseconds=120)
    assert result.gaps == []
    assert result.figures.lost == 0


def test_hold_is_a_marked_silence_and_no_loss() -> None:
    leg = timeline(without(sender(range(50)), *range(10, 40)))
    leg.mark(START + 205 * MS, "hold")
    leg.mark(START + 790 * MS, "resume")
    leg.mark(START + 790 * MS, "something else")
    result = finish(leg, milliseconds=1000)
    assert placed(result) == steady([*range(10), *range(40, 50)])
    assert result.gaps == [
        Gap(1600, 40, GapReason.SILENCE),
        Gap(1640, 4680, GapReason.HOLD),
        Gap(6320, 80, GapReason.SILENCE),
    ]
    assert result.figures.lost == 0


def test_loss_beside_a_short_hold_is_loss() -> None:
    leg = timeline(without(sender(range(50)), *range(10, 40)))
    leg.mark(START + 300 * MS, "hold")
    leg.mark(START + 400 * MS, "resume")
    result = finish(leg, milliseconds=1000)
    assert [g.reason for g in result.gaps] == ["lost", "hold", "lost"]
    assert result.figures.lost == 30


def test_spans_may_touch_cross_and_stay_open() -> None:
    leg = timeline([])
    for at, kind in (
        (-20, "resume"),
        (10, "hold"),
        (20, "hold"),
        (30, "gap-begin"),
        (40, "resume"),
        (50, "gap-end"),
        (60, "hold"),
        (60, "resume"),
        (70, "gap-begin"),
    ):
        leg.mark(START + at * MS, kind)
    assert finish(leg, milliseconds=100).gaps == [
        Gap(0, 80, GapReason.SILENCE),
        Gap(80, 160, GapReason.HOLD),
        Gap(240, 160, GapReason.GAP),
        Gap(400, 160, GapReason.SILENCE),
        Gap(560, 240, GapReason.GAP),
    ]


def test_codecs_may_change() -> None:
    sent = sender(range(3)) + sender(range(3, 6), payload_type=96)
    leg = LegTimeline(CODECS, START)
    for at, packet in sent[:3]:
        leg.add(START + round(at * MS), packet.to_bytes())
    leg.set_codecs({96: "PCMU"})
    for at, packet in sent[3:]:
        leg.add(START + round(at * MS), packet.to_bytes())
    result = finish(leg, milliseconds=120)
    assert [f.codec for f in result.frames] == ["PCMA"] * 3 + ["PCMU"] * 3
    assert result.audio_codecs == {"PCMA", "PCMU"}


def test_unknown_payload_type_is_no_audio() -> None:
    result = result_of(sender(range(5)) + sender([5], payload_type=55))
    assert placed(result) == steady(range(5))
    assert result.figures.invalid == 1


def test_what_is_no_rtp_is_counted() -> None:
    leg = timeline(sender(range(5)))
    for data in (b"", b"\x80", b"\x40" + bytes(40), bytes(1501), b"\x8f" + bytes(20)):
        leg.add(START + 50 * MS, data)
    result = finish(leg, milliseconds=100)
    assert placed(result) == steady(range(5))
    assert result.figures.invalid == 5


def test_flood_is_bounded() -> None:
    leg = timeline(sender(range(5)))
    leg._data = bytearray(MAX_OCTETS + 1)
    leg.add(START, sender([5])[0].packet.to_bytes())
    assert len(leg._data) == MAX_OCTETS + 1
    assert leg._refused == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-500, 3000),
            st.sampled_from([0xA, 0xA, 0xA, 0xB, 0xC]),
            st.one_of(st.integers(0, 120), st.integers(0, 65_535)),
            st.one_of(st.integers(0, 20_000), st.integers(0, 2**32 - 1)),
            st.integers(0, 400),
            st.sampled_from([0, 8, 13, 101, 55]),
        ),
        max_size=60,
    ),
    st.integers(0, 3000),
)
def test_whatever_comes_frames_and_gaps_tile_the_segment(
    packets: list[tuple[int, int, int, int, int, int]], milliseconds: int
) -> None:
    leg = LegTimeline(CODECS, START)
    for at, ssrc, sequence, timestamp, samples, payload_type in packets:
        header = bytes((0x80, payload_type))
        data = header + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
        leg.add(START + at * MS, data + ssrc.to_bytes(4, "big") + bytes(samples))
    result = finish(leg, milliseconds=milliseconds)
    pieces = sorted(
        [(f.position, f.length) for f in result.frames]
        + [(g.start, g.samples) for g in result.gaps]
    )
    at = 0
    for position, length in pieces:
        assert position == at
        assert length > 0
        at += length
    assert at == result.total
    figures = result.figures
    assert figures.packets + figures.duplicates + figures.invalid == len(packets)
    assert all(len(heard(f)) == f.length for f in result.frames)


@given(st.permutations(range(12)))
def test_arrival_in_any_order_gives_the_same_audio(order: list[int]) -> None:
    sent = sender(range(12))
    leg = LegTimeline(CODECS, START)
    for turn, n in enumerate(order):
        at = 240 + turn if n else 0
        leg.add(START + at * MS, sent[n].packet.to_bytes())
    result = finish(leg, milliseconds=240)
    if any(b - a == 1 for a, b in pairwise(order)):
        assert placed(result) == steady(range(12))
    else:
        # Never two in order: the source stays on probation.
        assert placed(result) == []


NAMES = {0: "PCMU", 3: "GSM", 8: "PCMA", 9: "G722", 18: "G729"}


@pytest.mark.parametrize(
    ("name", "packets", "duplicates", "lost", "jitter"),
    [
        ("call1_alaw.a", 405, 0, 0, 21.109),
        ("call1_alaw.o", 405, 0, 0, 20.023),
        ("call1_ulaw.a", 592, 1, 0, 23.605),
        ("call1_ulaw.o", 591, 0, 0, 25.140),
        ("call1_g722.a", 624, 0, 0, 105.521),
        ("call1_g722.o", 619, 0, 0, 24.278),
        ("call1_g729.a", 519, 0, 0, 17.822),
        ("call1_g729.o", 519, 0, 0, 16.064),
        ("call1_gsm.a", 966, 3, 1, 114.767),
        ("call1_gsm.o", 978, 1, 0, 52.277),
        ("call1_g722_srtp.a", 1168, 0, 0, 2.124),
        ("call1_g722_srtp.o", 1172, 0, 0, 7.586),
        ("corrupted_g722.o", 383, 0, 0, 2.293),
        # rtpproxy counts one more: a packet of another source, once.
        ("corrupted_g722.a", 393, 0, 0, 5.902),
    ],
)
def test_captured_calls_have_the_published_figures(
    name: str, packets: int, duplicates: int, lost: int, jitter: float
) -> None:
    """The values of rtpproxy's .output files; its jitter is in samples."""
    datagrams = read_capture(corpus("rtp/rtpproxy-extractaudio") / f"{name}.rtp")
    leg = LegTimeline(NAMES, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.add(datagram.time_ns, datagram.payload)
    figures = leg.finish(datagrams[-1].time_ns).figures
    assert (figures.packets, figures.duplicates, figures.lost) == (
        packets,
        duplicates,
        lost,
    )
    assert (figures.ssrcs, figures.rebased) == (1, 0)
    assert figures.jitter_ms * 8 == pytest.approx(jitter, rel=0.02)


def test_captured_digits_are_not_audio() -> None:
    datagrams = read_capture(corpus("rtp/rtpproxy-misc") / "dtmf.pcap")
    leg = LegTimeline(CODECS, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.add(datagram.time_ns, datagram.payload)
    result = leg.finish(datagrams[-1].time_ns)
    assert list(result.frames) == []
    assert result.figures.ssrcs == 2
    assert result.figures.packets + result.figures.duplicates == len(datagrams)


def test_captured_leg_with_a_report_among_its_audio() -> None:
    datagrams = read_capture(corpus("rtp/rtpproxy-misc") / "rtcp.o.pcap")
    leg = LegTimeline(CODECS, datagrams[0].time_ns)
    for datagram in datagrams:
        leg.add(datagram.time_ns, datagram.payload)
    figures = leg.finish(datagrams[-1].time_ns).figures
    # rtpproxy takes the report for a third source's packet, and so sees no loss.
    assert (figures.packets, figures.lost, figures.invalid) == (229, 1, 1)


def test_arrays_are_parallel() -> None:
    result = result_of(without(sender(range(10)), 3))
    assert {len(c) for c in (result.position, result.length, result.codec)} == {9}
    assert np.all(np.diff(result.position) > 0)
