import random

import pytest
from hypothesis import given, strategies as st

from agent.media.announcement import MAX_CATCH_UP, Announcement
from agent.media.playable import Packets, Playable, Samples

MS = 1_000_000
FRAME = 160


def playable(samples: int, seed: int = 0) -> Playable:
    alaw = random.Random(seed).randbytes(samples)
    ulaw = bytes(byte ^ 0x55 for byte in alaw)
    packets = [bytes((seed, n)) for n in range(-(-samples // FRAME))]
    return {
        "PCMA": Samples(alaw, 0, samples),
        "PCMU": Samples(b"xyz" + ulaw, 3, samples),
        "opus": Packets(packets),
    }


def octets(
    sound: Playable, start: int = 0, end: int = 1 << 20, codec: str = "PCMA"
) -> bytes:
    return sound[codec].cut(start, end - start)[0]


def play_out(announcement: Announcement, *, every_ms: int = 20) -> list[bytes]:
    sent = []
    now_ns = 0
    while not announcement.finished:
        sent += [f.payload for f in announcement.take(now_ns, ticks=160, codec="PCMA")]
        now_ns += every_ms * MS
    return sent


def test_frames_fall_due_every_twenty_milliseconds() -> None:
    announcement = Announcement([playable(3 * FRAME)], loop=False, start_ns=5 * MS)
    assert announcement.due_ns == 5 * MS
    assert announcement.take(5 * MS - 1, ticks=FRAME, codec="PCMA") == []
    assert len(announcement.take(5 * MS, ticks=FRAME, codec="PCMA")) == 1
    assert announcement.due_ns == 25 * MS
    assert announcement.take(24 * MS, ticks=FRAME, codec="PCMA") == []
    assert len(announcement.take(46 * MS, ticks=FRAME, codec="PCMA")) == 2
    assert announcement.finished


def test_every_sample_is_sent_across_the_borders_of_sounds() -> None:
    sounds = [playable(250, 1), playable(1, 2), playable(0), playable(500, 3)]
    sent = b"".join(play_out(Announcement(sounds, loop=False, start_ns=0)))
    whole = b"".join(octets(sound) for sound in sounds)
    assert sent == whole.ljust(800, b"\xd5")


@pytest.mark.parametrize(("codec", "silence"), [("PCMA", b"\xd5"), ("PCMU", b"\xff")])
def test_the_last_frame_is_filled_with_silence(codec: str, silence: bytes) -> None:
    sound = playable(100)
    announcement = Announcement([sound], loop=False, start_ns=0)
    (frame,) = announcement.take(0, ticks=FRAME, codec=codec)
    assert frame.payload == octets(sound, codec=codec) + silence * 60


def test_the_law_may_change_in_the_middle() -> None:
    sound = playable(2 * FRAME)
    announcement = Announcement([sound], loop=False, start_ns=0)
    (first,) = announcement.take(0, ticks=FRAME, codec="PCMA")
    (second,) = announcement.take(20 * MS, ticks=FRAME, codec="PCMU")
    assert (first.payload, second.payload) == (
        octets(sound, 0, 160),
        octets(sound, 160, 320, "PCMU"),
    )


def test_a_loop_has_no_end_and_no_seam() -> None:
    sound = playable(200)
    announcement = Announcement([sound], loop=True, start_ns=0)
    sent = b"".join(
        frame.payload
        for n in range(10)
        for frame in announcement.take(n * 20 * MS, ticks=FRAME, codec="PCMA")
    )
    assert not announcement.finished
    assert sent == (octets(sound) * 8)[:1600]


def test_nothing_to_play_is_finished_at_once() -> None:
    assert Announcement([], loop=True, start_ns=0).finished
    assert Announcement([playable(0)], loop=True, start_ns=0).finished


def test_a_short_stall_is_caught_up() -> None:
    announcement = Announcement([playable(20 * FRAME)], loop=False, start_ns=0)
    late = (MAX_CATCH_UP - 1) * 20 * MS
    frames = announcement.take(late, ticks=FRAME, codec="PCMA")
    assert [frame.skip for frame in frames] == [0] * MAX_CATCH_UP
    assert announcement.due_ns == late + 20 * MS


def test_a_long_stall_skips_time_but_no_sample() -> None:
    sound = playable(4 * FRAME)
    announcement = Announcement([sound], loop=False, start_ns=0)
    first = announcement.take(0, ticks=FRAME, codec="PCMA")
    second = announcement.take(1020 * MS, ticks=FRAME, codec="PCMA")
    assert [frame.skip for frame in second] == [50 * FRAME]
    assert announcement.due_ns == 1040 * MS
    third = announcement.take(1060 * MS, ticks=FRAME, codec="PCMA")
    sent = b"".join(frame.payload for frame in first + second + third)
    assert sent == octets(sound)


@given(
    sizes=st.lists(st.integers(0, 500), max_size=5),
    steps=st.lists(st.integers(0, 400), min_size=1, max_size=60),
)
def test_whatever_the_clock_does_no_sample_is_lost(
    sizes: list[int], steps: list[int]
) -> None:
    sounds = [playable(size, seed) for seed, size in enumerate(sizes)]
    announcement = Announcement(sounds, loop=False, start_ns=0)
    sent, now_ns = b"", 0
    while not announcement.finished:
        for step in [*steps, 20]:
            now_ns += step * MS
            frames = announcement.take(now_ns, ticks=FRAME, codec="PCMA")
            assert len(frames) <= MAX_CATCH_UP
            sent += b"".join(frame.payload for frame in frames)
    whole = b"".join(octets(sound) for sound in sounds)
    assert sent.startswith(whole)
    assert set(sent[len(whole) :]) <= {0xD5}
    assert len(sent) - len(whole) < FRAME


def test_packets_are_sent_as_they_are() -> None:
    sounds = [playable(2 * FRAME + 1, 1), playable(FRAME, 2)]
    announcement = Announcement(sounds, loop=False, start_ns=0)
    frames = [
        frame
        for n in range(4)
        for frame in announcement.take(n * 20 * MS, ticks=480, codec="opus")
    ]
    assert [frame.payload for frame in frames] == [b"\1\0", b"\1\1", b"\1\2", b"\2\0"]
    assert {(frame.ticks, frame.skip) for frame in frames} == {(FRAME, 0)}
    assert announcement.finished


def test_a_stall_among_packets_skips_time_and_no_packet() -> None:
    announcement = Announcement([playable(10 * FRAME)], loop=False, start_ns=0)
    assert announcement.take(0, ticks=FRAME, codec="opus")
    frames = announcement.take(1020 * MS, ticks=FRAME, codec="opus")
    assert [(frame.payload, frame.skip) for frame in frames] == [(b"\0\1", 50 * FRAME)]


def test_the_codec_may_change_to_packets_and_back() -> None:
    sound = playable(6 * FRAME)
    announcement = Announcement([sound], loop=False, start_ns=0)
    sent = [
        frame.payload
        for n, codec in enumerate(("PCMA", "opus", "opus", "PCMU"))
        for frame in announcement.take(n * 20 * MS, ticks=FRAME, codec=codec)
    ]
    assert sent == [
        octets(sound, 0, 160), b"\0\1", b"\0\2", octets(sound, 480, 640, "PCMU"),
    ]  # fmt: skip


def test_what_another_codec_has_played_to_its_end_is_over() -> None:
    # The last packet is longer than the octets; the octets end inside a packet.
    sound = playable(FRAME + 1)
    announcement = Announcement([sound], loop=False, start_ns=0)
    sound_after = {**sound, "PCMA": Samples(bytes(FRAME), 0, FRAME)}
    again = Announcement([sound_after], loop=False, start_ns=0)
    for each in (announcement, again):
        assert each.take(0, ticks=FRAME, codec="opus")
    (rest,) = announcement.take(20 * MS, ticks=FRAME, codec="PCMA")
    assert rest.payload == octets(sound, FRAME) + b"\xd5" * 159
    assert again.take(20 * MS, ticks=FRAME, codec="PCMA") == []
    assert announcement.finished
    assert again.finished


def test_what_can_be_played() -> None:
    both, one = playable(FRAME), {"PCMA": Samples(b"x", 0, 1)}
    assert Announcement([both], loop=False, start_ns=0).can_play("opus")
    announcement = Announcement([both, one], loop=False, start_ns=0)
    assert announcement.can_play("PCMA")
    assert not announcement.can_play("opus")
    assert not announcement.can_play("G722")
