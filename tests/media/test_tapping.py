import pytest

from agent.common.clock import monotonic_ns
from agent.media import tapping
from agent.media.leg import MediaLeg
from agent.media.tap import JournalTap
from tests.media.legs import Bench
from tests.media.phones import audio_bytes
from tests.media.test_tap import TARGET, Disk, seal

NEVER = 1 << 62


def listening(bench: Bench) -> tuple[MediaLeg, JournalTap, Disk]:
    """A latched leg, and a tap that takes nothing of it yet."""
    bench.configure()
    for n in range(2):
        bench.phones[0].say(audio_bytes(n))
    bench.relay(2)
    disk = Disk()
    tap = JournalTap(TARGET, disk, lambda _: None, now_ns=0)
    tap.grant()
    return bench.a, tap, disk


def journalled(tap: JournalTap, disk: Disk) -> list[bytes]:
    seal(tap, 0)
    return [bytes(record.packet) for record in disk.journal().records]  # type: ignore[union-attr]


def test_what_waits_is_sorted_by_arrival(bench: Bench) -> None:
    leg, tap, disk = listening(bench)
    phone = bench.phones[0]
    phone.say(b"before the start")
    begun = monotonic_ns()
    kept = [phone.say(b"1")]
    tapping.start(leg, tap, 0, begun)
    tapping.start(leg, tap, 0, begun)  # again: no matter
    kept.append(phone.say(b"2"))
    ended = monotonic_ns()
    phone.say(b"after the end")
    tapping.stop(leg, tap, 0, ended)
    tapping.stop(leg, tap, 0, ended)
    leg.on_rtp()
    assert journalled(tap, disk) == kept
    # Whatever is journalled, all of it is relayed.
    assert len(bench.phones[1].heard()) == 4


def test_what_was_read_before_the_command_came_is_taken_back(bench: Bench) -> None:
    leg, tap, disk = listening(bench)
    tapping.start(leg, tap, 0, 0)
    kept = bench.phones[0].say(b"said")
    leg.on_rtp()
    ended = monotonic_ns()
    bench.phones[0].say(b"secret")
    leg.on_rtp()
    tapping.stop(leg, tap, 0, ended)
    assert tap.packets == 1
    assert journalled(tap, disk) == [kept]


@pytest.mark.parametrize("payload_type", [8, 101], ids=["audio", "digit"])
def test_a_block_sealed_before_the_command_came_has_nothing_of_the_pause(
    bench: Bench, payload_type: int
) -> None:
    leg, tap, disk = listening(bench)
    tapping.start(leg, tap, 0, 0)
    phone = bench.phones[0]
    said = phone.say(b"said")
    leg.on_rtp()
    tap.ripen()
    ended = monotonic_ns()
    # The very next thing that happens.
    phone.send(phone.next_packet(b"\x05\x8a\x03\x20", payload_type=payload_type))
    leg.on_rtp()
    tap.seal(ended)
    tapping.stop(leg, tap, 0, ended)
    assert journalled(tap, disk) == [said]


def test_a_tap_that_has_failed_takes_nothing(bench: Bench) -> None:
    leg, tap, _ = listening(bench)
    tap.fail("full")
    tapping.start(leg, tap, 0, 0)
    assert leg.tap is None


def test_what_was_held_back_in_a_pause_stays_out(bench: Bench) -> None:
    """The first packet of a new source is believed with its second only."""
    leg, tap, disk = listening(bench)
    phone = bench.phones[0]
    phone.ssrc = 0x5678
    phone.say(b"secret")
    leg.reception.heard_ns = 0
    leg.on_rtp()
    tapping.start(leg, tap, 0, monotonic_ns())
    said = phone.say(b"said")
    leg.on_rtp()
    assert len(bench.phones[1].heard()) == 2
    assert journalled(tap, disk) == [said]


def test_a_successor_takes_what_waited_as_of_when_it_arrived(bench: Bench) -> None:
    leg, tap, disk = listening(bench)
    phone = bench.phones[0]
    phone.say(b"secret")
    since = monotonic_ns()
    said = phone.say(b"said")
    arrived = monotonic_ns()
    leg.tap, leg.tap_index, leg.tap_since_ns = tap, 0, since
    tapping.catch_up(leg, monotonic_ns())
    assert len(bench.phones[1].heard()) == 2
    assert journalled(tap, disk) == [said]
    (record,) = disk.journal().records
    # The kernel's clock is the other one, to which ours is compared.
    assert record.arrival_ns < arrived + 1_000_000  # type: ignore[union-attr]
