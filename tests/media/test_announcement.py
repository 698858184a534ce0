import random

import pytest
from hypothesis import given, strategies as st

from agent.media.announcement import MAX_CATCH_UP, Announcement, Playable

MS = 1_000_000
FRAME = 160


def playable(samples: int, seed: int = 0) -> Playable:
    alaw = random.Random(seed).randbytes(samples)
    return Playable(alaw, bytes(byte ^ 0x55 for byte in alaw), samples)


def play_out(announcement: Announcement, *, every_ms: int = 20) -> list[bytes]:
    sent = []
    now_ns = 0
    while not announcement.finished:
        sent += [f.payload for f in announcement.take(now_ns, samples=160, ulaw=False)]
        now_ns += every_ms * MS
    return sent


def test_frames_fall_due_every_twenty_milliseconds() -> None:
    announcement = Announcement([playable(3 * FRAME)], loop=False, start_ns=5 * MS)
    assert announcement.due_ns == 5 * MS
    assert announcement.take(5 * MS - 1, samples=FRAME, ulaw=False) == []
    assert len(announcement.take(5 * MS, samples=FRAME, ulaw=False)) == 1
    assert announcement.due_ns == 25 * MS
    assert announcement.take(24 * MS, samples=FRAME, ulaw=False) == []
    assert len(announcement.take(46 * MS, samples=FRAME, ulaw=False)) == 2
    assert announcement.finished


def test_every_sample_is_sent_across_the_borders_of_sounds() -> None:
    sounds = [playable(250, 1), playable(1, 2), playable(0), playable(500, 3)]
    sent = b"".join(play_out(Announcement(sounds, loop=False, start_ns=0)))
    whole = b"".join(bytes(sound.alaw[0 : sound.samples]) for sound in sounds)
    assert sent == whole.ljust(800, b"\xd5")


@pytest.mark.parametrize(("ulaw", "silence"), [(False, b"\xd5"), (True, b"\xff")])
def test_the_last_frame_is_filled_with_silence(*, ulaw: bool, silence: bytes) -> None:
    sound = playable(100)
    announcement = Announcement([sound], loop=False, start_ns=0)
    (frame,) = announcement.take(0, samples=FRAME, ulaw=ulaw)
    law = sound.ulaw if ulaw else sound.alaw
    assert frame.payload == law[0:100] + silence * 60


def test_the_law_may_change_in_the_middle() -> None:
    sound = playable(2 * FRAME)
    announcement = Announcement([sound], loop=False, start_ns=0)
    (first,) = announcement.take(0, samples=FRAME, ulaw=False)
    (second,) = announcement.take(20 * MS, samples=FRAME, ulaw=True)
    assert (first.payload, second.payload) == (sound.alaw[0:160], sound.ulaw[160:320])


def test_a_loop_has_no_end_and_no_seam() -> None:
    sound = playable(200)
    announcement = Announcement([sound], loop=True, start_ns=0)
    sent = b"".join(
        frame.payload
        for n in range(10)
        for frame in announcement.take(n * 20 * MS, samples=FRAME, ulaw=False)
    )
    assert not announcement.finished
    assert sent == (sound.alaw[0:200] * 8)[:1600]


def test_nothing_to_play_is_finished_at_once() -> None:
    assert Announcement([], loop=True, start_ns=0).finished
    assert Announcement([playable(0)], loop=True, start_ns=0).finished


def test_a_short_stall_is_caught_up() -> None:
    announcement = Announcement([playable(20 * FRAME)], loop=False, start_ns=0)
    late = (MAX_CATCH_UP - 1) * 20 * MS
    frames = announcement.take(late, samples=FRAME, ulaw=False)
    assert [frame.skip for frame in frames] == [0] * MAX_CATCH_UP
    assert announcement.due_ns == late + 20 * MS


def test_a_long_stall_skips_time_but_no_sample() -> None:
    sound = playable(4 * FRAME)
    announcement = Announcement([sound], loop=False, start_ns=0)
    first = announcement.take(0, samples=FRAME, ulaw=False)
    second = announcement.take(1020 * MS, samples=FRAME, ulaw=False)
    assert [frame.skip for frame in second] == [50 * FRAME]
    assert announcement.due_ns == 1040 * MS
    third = announcement.take(1060 * MS, samples=FRAME, ulaw=False)
    sent = b"".join(frame.payload for frame in first + second + third)
    assert sent == sound.alaw[0 : 4 * FRAME]


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
            frames = announcement.take(now_ns, samples=FRAME, ulaw=False)
            assert len(frames) <= MAX_CATCH_UP
            sent += b"".join(frame.payload for frame in frames)
    whole = b"".join(bytes(sound.alaw[0 : sound.samples]) for sound in sounds)
    assert sent.startswith(whole)
    assert set(sent[len(whole) :]) <= {0xD5}
    assert len(sent) - len(whole) < FRAME
