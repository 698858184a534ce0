import socket
from dataclasses import replace

import pytest

from agent.common.clock import monotonic_ns
from agent.media import events
from agent.media.announcement import Announcement
from agent.media.playable import Packets, Samples
from agent.media.playout import Playout
from agent.media.playouts import frame_ticks, send_due
from agent.model.media import G722, OPUS, Address, Latch
from tests.media.desks import SOUND, Desk, Legs, play
from tests.media.legs import OPUS_20_MS, Bench, in_a_law


def test_a_playout_ends_with_its_last_frame(desk: Desk, legs: Legs) -> None:
    desk.add_sound("s", SOUND)
    desk.obey(play())
    ended = desk.until(events.PlayEnded)
    assert isinstance(ended, events.PlayEnded)
    assert (ended.completed, ended.frames, ended.sent_ms) == (True, 3, 60)
    assert b"".join(packet.payload for packet in legs[0].heard()) == SOUND


def test_the_next_playout_keeps_step_with_the_last(desk: Desk, legs: Legs) -> None:
    desk.add_sound("s", SOUND)
    desk.obey(play())
    first = desk.until(events.PlayEnded)
    desk.obey(play(token=2))
    second = desk.until(events.PlayEnded)
    assert isinstance(first, events.PlayEnded)
    assert isinstance(second, events.PlayEnded)
    assert second.started_ns - first.ended_ns >= 19_000_000


def test_a_sound_of_nothing_is_none(desk: Desk, legs: Legs) -> None:
    desk.add_sound("empty", b"")
    desk.obey(play("empty"), play("never added", token=2))
    for _ in range(2):
        ended = desk.until(events.PlayEnded)
        assert isinstance(ended, events.PlayEnded)
        assert not ended.completed


def test_frames_the_kernel_refuses_are_not_sent(bench: Bench) -> None:
    bench.configure()
    remote = Address("255.255.255.255", 4000)
    audio = replace(bench.phones[1].negotiated(), remote=remote)
    bench.b.configure(audio, Latch.ADDRESS)
    data = bytes(320)
    playout = Playout(1, Announcement([in_a_law(data)], loop=False, start_ns=0))
    now_ns = monotonic_ns()
    while send_due(bench.b, playout, now_ns):
        now_ns += 20_000_000
    assert playout.failed
    assert (playout.frames, playout.sent_ms) == (0, 0)
    assert not send_due(bench.b, playout, now_ns)


def test_a_refused_port_does_not_lose_the_next_frame(bench: Bench) -> None:
    bench.configure()
    phone = bench.phones[1]
    phone.say(b"x")
    phone.say(b"y")
    bench.b.on_rtp()
    bench.b.on_rtp()
    name = phone.rtp.getsockname()
    phone.rtp.close()
    assert bench.b.send is not None
    bench.b.send(b"refused")
    phone.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.rtp.bind(name)
    phone.rtp.settimeout(0)
    data = bytes(160)
    playout = Playout(1, Announcement([in_a_law(data)], loop=False, start_ns=0))
    assert not send_due(bench.b, playout, monotonic_ns())
    assert not playout.failed
    assert [packet.payload for packet in phone.heard()] == [data]


@pytest.mark.parametrize(
    ("ptime", "samples"), [(20, 160), (35, 240), (5, 80), (0, 80), (500, 960)]
)
def test_frames_are_of_the_peers_length(bench: Bench, ptime: int, samples: int) -> None:
    assert frame_ticks(bench.a) == 160
    bench.configure(ptime=ptime)
    assert frame_ticks(bench.a) == samples


def announced(sound: dict[str, Samples | Packets]) -> Playout:
    return Playout(1, Announcement([sound], loop=False, start_ns=0))


def test_a_sound_that_is_not_there_in_the_codec_is_not_sent(bench: Bench) -> None:
    bench.configure(codec=G722)
    playout = announced(in_a_law(bytes(320)))
    assert not send_due(bench.b, playout, monotonic_ns())
    assert playout.failed
    assert bench.phones[1].heard() == []


def test_opus_is_played_packet_by_packet(bench: Bench) -> None:
    bench.configure(codec=OPUS, ptime=60)
    packets = [OPUS_20_MS + bytes((n,)) for n in range(3)]
    playout = announced({"opus": Packets(packets)})
    now_ns = monotonic_ns()
    while send_due(bench.b, playout, now_ns):
        now_ns += 20_000_000
    heard = bench.phones[1].heard()
    assert [packet.payload for packet in heard] == packets
    assert {packet.payload_type for packet in heard} == {107}
    first = heard[0].timestamp
    assert [(p.timestamp - first) & 0xFFFFFFFF for p in heard] == [0, 960, 1920]
    assert (playout.frames, playout.sent_ms, playout.failed) == (3, 60, False)
