from dataclasses import replace
from typing import Any

import pytest

from agent.media.events import LegAlarm, LegHeard, MediaHeard, MediaQuiet, WatchEvent
from agent.media.leg import MediaLeg
from agent.media.tap import JournalTap
from agent.media.watch import Watch
from agent.model.media import Direction
from tests.media.legs import Bench
from tests.media.phones import audio_bytes
from tests.media.test_tap import TARGET, Disk

SECOND = 1_000_000_000


class Looked:
    """Two recorded legs that are looked at once a second."""

    def __init__(self, bench: Bench, **times: float) -> None:
        bench.configure()
        self.told: list[WatchEvent] = []
        self.legs: dict[str, MediaLeg] = {"a": bench.a, "b": bench.b}
        settings = {"timeout": 3600.0, "one_way_after": 10.0, "silent_after": 60.0}
        self.watch = Watch(self.legs, self.told.append, **(settings | times))
        self.tap = JournalTap(TARGET, Disk(), lambda _: None, now_ns=0)
        self.now = 1000 * SECOND
        self.heard: set[str] = {"a", "b"}
        self.sounds: set[str] = {"a", "b"}
        for leg in self.legs.values():
            leg.tap = self.tap
            leg.configured_ns = self.now

    def go_on(self, seconds: int) -> list[WatchEvent]:
        """Let time pass; returns what was told meanwhile."""
        before = len(self.told)
        for _ in range(seconds):
            self.now += SECOND
            for name, leg in self.legs.items():
                if name in self.heard:
                    leg.reception.heard_ns = self.now
                    if name in self.sounds:
                        leg.sounded_ns = self.now
            self.watch.look(self.now)
        return self.told[before:]


@pytest.fixture
def looked(bench: Bench) -> Looked:
    return Looked(bench)


def test_a_sound_conversation_is_no_news(looked: Looked) -> None:
    assert looked.go_on(200) == []


def test_a_side_that_sends_nothing_is_told_once_and_its_end(looked: Looked) -> None:
    looked.heard = {"a"}
    assert looked.go_on(10) == []
    assert looked.go_on(50) == [LegAlarm(leg="b", kind="one-way", seconds=10.0)]
    looked.heard = {"a", "b"}
    assert looked.go_on(50) == [LegHeard(leg="b", kind="one-way", seconds=60.0)]
    looked.heard = {"b"}
    told = looked.go_on(50)
    assert told == [LegAlarm(leg="a", kind="one-way", seconds=10.0)]


def test_where_nobody_sends_there_is_no_side(looked: Looked) -> None:
    looked.heard = set()
    assert looked.go_on(100) == []


def test_only_silence_is_told_once_and_its_end(looked: Looked) -> None:
    looked.go_on(5)
    looked.sounds = {"b"}
    assert looked.go_on(59) == []
    assert looked.go_on(60) == [LegAlarm(leg="a", kind="silent", seconds=60.0)]
    looked.sounds = {"a", "b"}
    assert looked.go_on(60) == [LegHeard(leg="a", kind="silent", seconds=120.0)]


@pytest.mark.parametrize(
    "change", ["hold", "pause", "partner's pause", "apart", "play"]
)
def test_what_is_not_recorded_is_not_looked_at(
    looked: Looked, bench: Bench, change: str
) -> None:
    looked.heard = {"a"}
    looked.go_on(30)
    if change == "hold":
        assert bench.b.audio is not None
        bench.b.audio = replace(bench.b.audio, direction=Direction.SENDONLY)
    elif change == "pause":
        bench.b.tap = None
    elif change == "partner's pause":
        bench.a.tap = None
    elif change == "apart":
        bench.b.partner = None
    else:
        playout: Any = object()
        bench.a.playout = playout
    [over] = looked.go_on(30)
    assert isinstance(over, LegHeard)
    assert (over.leg, over.kind, over.seconds) == ("b", "one-way", 30.0)
    # It counts anew from when all is recorded again.
    bench.configure()
    for leg in looked.legs.values():
        leg.tap, leg.playout = looked.tap, None
    bench.b.partner = bench.a
    assert looked.go_on(10) == []
    assert looked.go_on(2) == [LegAlarm(leg="b", kind="one-way", seconds=10.0)]


def test_the_end_of_a_leg_ends_its_alarm(looked: Looked) -> None:
    looked.heard = {"a"}
    looked.go_on(30)
    del looked.legs["b"]
    [over] = looked.go_on(1)
    assert isinstance(over, LegHeard)
    assert looked.watch._recorded.keys() <= {"a"}


def test_who_may_send_nothing_while_listening_is_waited_for(
    looked: Looked, bench: Bench
) -> None:
    assert bench.b.audio is not None
    bench.b.audio = replace(bench.b.audio, comfort_noise=13)
    looked.heard = {"a"}
    assert looked.go_on(60) == []
    assert looked.go_on(2) == [LegAlarm(leg="b", kind="one-way", seconds=60.0)]


def test_alarms_may_be_off(bench: Bench) -> None:
    looked = Looked(bench, one_way_after=0.0, silent_after=0.0)
    looked.heard = {"a"}
    looked.sounds = set()
    assert looked.go_on(1000) == []


def test_silence_for_the_whole_timeout_is_told(bench: Bench) -> None:
    looked = Looked(bench, timeout=60.0, one_way_after=0.0, silent_after=0.0)
    looked.heard = set()
    looked.go_on(70)
    assert looked.told == [
        MediaQuiet(leg="a", seconds=60.0),
        MediaQuiet(leg="b", seconds=60.0),
    ]
    looked.heard = {"b"}
    assert looked.go_on(2) == [MediaHeard(leg="b")]


def test_it_looks_often_enough(bench: Bench) -> None:
    assert Looked(bench).watch.step_ns == SECOND
    assert Looked(bench, one_way_after=0.4).watch.step_ns == SECOND // 10
    off = {"timeout": 0.0, "one_way_after": 0.0, "silent_after": 0.0}
    assert Looked(bench, **off).watch.step_ns == SECOND // 4
    assert Looked(bench, timeout=0.001).watch.step_ns == SECOND // 100


def test_a_leg_that_is_not_negotiated_is_passed_over(bench: Bench) -> None:
    watch = Watch(
        {"a": bench.a}, print, timeout=1.0, one_way_after=1.0, silent_after=1.0
    )
    bench.a.tap = JournalTap(TARGET, Disk(), lambda _: None, now_ns=0)
    watch.look(SECOND)


def test_one_packet_is_looked_into(bench: Bench) -> None:
    bench.configure()
    phone = bench.phones[0]
    for n in range(2):
        phone.say(audio_bytes(n))
    bench.relay(2)
    leg = bench.a
    phone.say(b"\xd5" * 160)
    phone.say(audio_bytes(1))
    leg.listen()
    leg.on_rtp()
    assert leg.sounded_ns == 0
    leg.on_rtp()
    assert leg.sounded_ns == 0  # only one was looked into
    phone.say(audio_bytes(2))
    leg.listen()
    leg.on_rtp()
    assert leg.sounded_ns > 0
    assert len(bench.phones[1].heard()) == 3


def test_how_long_one_packet_has_waited(bench: Bench) -> None:
    bench.configure()
    phone, leg = bench.phones[0], bench.a
    for n in range(2):
        phone.say(audio_bytes(n))
    bench.relay(2)
    assert leg.stats.delay_ms is None
    phone.say(audio_bytes(2))
    leg.listen()
    leg.on_rtp()
    assert leg.stats.delay_ms is not None
    assert 0 <= leg.stats.delay_ms < 10_000


def test_nobody_is_listened_to_before_the_latch(bench: Bench) -> None:
    bench.configure()
    bench.a.listen()
    bench.phones[0].say(audio_bytes(1))
    bench.a.on_rtp()
    assert bench.a.sounded_ns == 0
