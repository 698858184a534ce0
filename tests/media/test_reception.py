from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from agent.media.reception import (
    LEAVING_NS,
    MAX_CANDIDATES,
    MAX_HELD,
    TAKEOVER_NS,
    Reception,
    Source,
    canonical_host,
)
from agent.model.media import Address, Latch

MS = 1_000_000
PEER: Source = ("192.0.2.1", 4000)
A, B = 0xAAAA, 0xBBBB


class Receiver:
    """A reception fed as a leg feeds it; packets are named by their numbers."""

    def __init__(self) -> None:
        self.reception = Reception()
        self.now_ms = 0

    def take(
        self, ssrc: int, sequence: int, *, source: Source | None = None
    ) -> list[str]:
        now_ns = self.now_ms * MS
        if source is None and self.reception.advance(
            ssrc, sequence & 0xFFFF, 160 * sequence & 0xFFFFFFFF, now_ns
        ):
            return [f"{ssrc:x}/{sequence}"]
        packet = f"{ssrc:x}/{sequence}".encode()
        believed = self.reception.examine(
            packet, ssrc, sequence & 0xFFFF, now_ns, source
        )
        return [packet.decode() for _, packet in believed]

    def run(self, ssrc: int, sequences: Iterable[int], step: int = 20) -> list[str]:
        believed = []
        for sequence in sequences:
            believed += self.take(ssrc, sequence)
            self.now_ms += step
        return believed


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def names(ssrc: int, sequences: Iterable[int]) -> list[str]:
    return [f"{ssrc:x}/{sequence}" for sequence in sequences]


# -- source validation --------------------------------------------------------


def test_the_first_packet_waits_for_the_second(receiver: Receiver) -> None:
    assert receiver.take(A, 5) == []
    assert receiver.reception.stream is None
    assert receiver.take(A, 6) == names(A, [5, 6])
    assert receiver.reception.stream is not None
    assert receiver.reception.stream.ssrc == A
    assert receiver.take(A, 7) == names(A, [7])


def test_two_packets_out_of_order_prove_nothing(receiver: Receiver) -> None:
    assert receiver.run(A, [5, 7, 6, 9]) == []
    assert receiver.take(A, 10) == names(A, [9, 10])
    assert receiver.reception.unheard == 3


def test_wrap_loss_reordering_and_duplicates_are_counted(receiver: Receiver) -> None:
    sequences = [65533, 65534, 65535, 65538, 65537, 65537, 65539, 65539]
    assert receiver.run(A, sequences) == names(A, sequences)
    reception = receiver.reception
    assert reception.received == 7
    assert reception.late == 3
    assert reception.highest_sequence == 65539
    assert reception.expected_of_source == 7
    assert reception.lost == reception.lost_of_source == 0
    receiver.run(A, [65545])
    assert reception.lost == 5


def test_a_new_source_takes_over_when_the_old_is_silent(receiver: Receiver) -> None:
    receiver.run(A, range(10))
    before = receiver.reception.stream
    assert receiver.run(B, range(100, 105)) == names(B, range(100, 105))
    assert receiver.reception.changes == 1
    assert receiver.reception.stream is not before


def test_beside_a_living_source_another_is_flagged_and_not_heard(
    receiver: Receiver,
) -> None:
    receiver.run(A, [1, 2])
    believed = []
    for n in range(3, 53):
        believed += receiver.take(A, n)
        believed += receiver.take(B, 7000 + n)
        receiver.now_ms += 20
    assert believed == names(A, range(3, 53))
    reception = receiver.reception
    assert (reception.rivals, reception.changes) == (1, 0)
    assert reception.lost == 0
    assert reception.unheard == 50 - MAX_HELD


def test_a_rival_is_believed_once_the_source_falls_silent(receiver: Receiver) -> None:
    receiver.run(A, range(3))
    receiver.run(B, [70], step=10)
    assert receiver.take(B, 71) == []
    receiver.now_ms += TAKEOVER_NS // MS
    assert receiver.take(B, 72) == names(B, [70, 71, 72])


def test_a_restart_of_the_same_source_is_validated_too(receiver: Receiver) -> None:
    receiver.run(A, range(3))
    receiver.now_ms += 100
    assert receiver.take(A, 20_000) == []
    assert receiver.take(A, 20_001) == names(A, [20_000, 20_001])
    assert receiver.reception.changes == 1
    assert receiver.reception.lost == 0


def test_one_wild_sequence_number_changes_nothing(receiver: Receiver) -> None:
    receiver.run(A, range(3))
    assert receiver.take(A, 40_000) == []
    assert receiver.run(A, range(3, 6)) == names(A, range(3, 6))
    assert receiver.reception.lost == 0


def test_any_number_of_sources_takes_no_more_memory(receiver: Receiver) -> None:
    receiver.run(A, range(3))
    for ssrc in range(1000):
        assert receiver.take(ssrc, 9) == []
    assert len(receiver.reception._candidates) == MAX_CANDIDATES
    for n in range(1000):
        assert receiver.take(999, 10 + n) == []
    assert len(receiver.reception._candidates[None, 999].held) == MAX_HELD
    assert receiver.run(A, range(3, 6)) == names(A, range(3, 6))


# -- figures ------------------------------------------------------------------


def test_jitter_is_that_of_appendix_a8() -> None:
    reception = Reception()
    reception.examine(b"", A, 0, 0)
    reception.examine(b"", A, 1, 20 * MS)
    expected = 0.0
    # The first difference has nothing to differ from but the start.
    reception.advance(A, 2, 320, 40 * MS)
    for n, late_ms in enumerate((5, 0, 5, 0), start=3):
        reception.advance(A, n, 160 * n, (20 * n + late_ms) * MS)
        expected += (40 - expected) / 16
    assert reception.jitter == pytest.approx(expected)


def test_a_wild_timestamp_is_not_jitter() -> None:
    reception = Reception()
    reception.examine(b"", A, 0, 0)
    reception.examine(b"", A, 1, 0)
    reception.advance(A, 2, 0, 0)
    reception.advance(A, 3, 0xFFFFFFFF, 0)
    assert reception.jitter == 0


def test_nothing_received_is_nothing_lost() -> None:
    assert Reception().lost == 0


# -- the latch ----------------------------------------------------------------


def latch(mode: Latch) -> Reception:
    reception = Reception()
    assert reception.expect(Address(*PEER), mode, 0)
    return reception


@pytest.mark.parametrize(
    ("mode", "allowed"),
    [
        (Latch.OFF, {PEER}),
        (Latch.ADDRESS, {PEER, (PEER[0], 9)}),
        (Latch.ANY, {PEER, (PEER[0], 9), ("198.51.100.7", 4000)}),
    ],
)
def test_who_may_be_listened_to(mode: Latch, allowed: set[Source]) -> None:
    reception = latch(mode)
    sources = {PEER, (PEER[0], 9), ("198.51.100.7", 4000)}
    assert {s for s in sources if reception.may_come_from(s, 0)} == allowed


def test_before_any_negotiation_nobody_is_listened_to() -> None:
    assert not Reception().may_come_from(PEER, 0)


def test_two_packets_of_one_place_latch(receiver: Receiver) -> None:
    reception = receiver.reception = latch(Latch.ADDRESS)
    other = PEER[0], 9
    assert receiver.take(A, 1, source=PEER) == []
    assert receiver.take(A, 2, source=other) == []
    assert reception.latched is None
    assert receiver.take(A, 2, source=PEER) == names(A, [1, 2])
    assert reception.latched == PEER
    assert reception.may_come_from(PEER, 0)
    assert not reception.may_come_from(other, 0)


def test_the_same_negotiation_again_keeps_the_latch(receiver: Receiver) -> None:
    reception = receiver.reception = latch(Latch.ADDRESS)
    receiver.take(A, 1, source=PEER)
    receiver.take(A, 2, source=PEER)
    assert not reception.expect(Address(*PEER), Latch.ADDRESS, 0)
    assert reception.latched == PEER


def test_after_a_move_the_old_place_is_not_believed_for_a_while(
    receiver: Receiver,
) -> None:
    reception = receiver.reception = latch(Latch.ADDRESS)
    receiver.take(A, 1, source=PEER)
    receiver.take(A, 2, source=PEER)
    assert reception.expect(Address(PEER[0], 5000), Latch.ADDRESS, 0)
    assert reception.latched is None
    assert not reception.may_come_from(PEER, LEAVING_NS - 1)
    assert reception.may_come_from((PEER[0], 5000), 0)
    assert reception.may_come_from((PEER[0], 5002), 0)
    # A phone that says another port than it uses is heard in the end.
    assert reception.may_come_from(PEER, LEAVING_NS)


def test_a_change_of_mode_alone_does_not_lock_the_peer_out() -> None:
    reception = latch(Latch.ADDRESS)
    assert reception.expect(Address(*PEER), Latch.OFF, 0)
    assert reception.may_come_from(PEER, 0)


def test_a_latch_may_be_inherited() -> None:
    reception = latch(Latch.ADDRESS)
    reception.resume((PEER[0], 9))
    assert reception.may_come_from((PEER[0], 9), 0)
    assert not reception.may_come_from(PEER, 0)


def test_addresses_are_compared_as_the_kernel_spells_them() -> None:
    assert canonical_host("2001:DB8:0::1") == "2001:db8::1"
    with pytest.raises(ValueError, match="does not appear"):
        canonical_host("example.net")


# -- properties ---------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B]), st.integers(0, 0xFFFF), st.integers(0, 100)),
        max_size=80,
    )
)
def test_garbage_is_bounded_and_counted_once(
    packets: list[tuple[int, int, int]],
) -> None:
    receiver = Receiver()
    believed = 0
    for ssrc, sequence, wait in packets:
        receiver.now_ms += wait
        believed += len(receiver.take(ssrc, sequence))
    reception = receiver.reception
    assert believed <= len(packets)
    assert reception.received <= believed
    assert reception.lost >= 0
    assert len(reception._candidates) <= MAX_CANDIDATES
    assert 0 <= reception.jitter < 1e6


@given(st.lists(st.booleans(), min_size=200, max_size=300), st.integers(0, 0xFFFF))
def test_loss_alone_never_costs_a_source_its_place(
    arrives: list[bool], first: int
) -> None:
    receiver = Receiver()
    receiver.run(A, [first, first + 1])
    sent = [first + 2 + n for n, there in enumerate(arrives) if there]
    assert receiver.run(A, sent) == names(A, sent)
    assert receiver.reception.changes == 0


def test_another_clock_begins_another_run(receiver: Receiver) -> None:
    receiver.run(A, range(10))
    reception = receiver.reception
    reception.jitter = 80.0
    before = reception.stream
    assert reception.jitter_ms == 10
    reception.change_clock(48_000)
    assert reception.stream is not before
    assert reception.stream is not None
    assert (reception.stream.ssrc, reception.stream.clock_rate) == (A, 48_000)
    assert (reception.jitter, reception.jitter_ms) == (480, 10)
    assert (reception.changes, reception.lost) == (0, 0)


def test_a_clock_known_before_the_source(receiver: Receiver) -> None:
    receiver.reception.change_clock(48_000)
    receiver.run(A, range(2))
    assert receiver.reception.stream is not None
    assert receiver.reception.stream.clock_rate == 48_000


@pytest.mark.parametrize("clock_rate", [8000, 48_000])
def test_a_steady_source_has_no_jitter_by_its_clock(clock_rate: int) -> None:
    reception = Reception()
    reception.change_clock(clock_rate)
    step = clock_rate // 50
    for n in range(2):
        reception.examine(b"x", A, n, n * 20 * MS)
    for n in range(2, 500):
        assert reception.advance(A, n, n * step, n * 20 * MS)
    assert reception.jitter < 1
