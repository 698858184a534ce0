import struct
import zlib

import pytest
from hypothesis import given, strategies as st

from agent.formats import checkpoint as module
from agent.formats.checkpoint import (
    HEADER_SIZE,
    SMALL,
    Checkpoint,
    CheckpointError,
    CheckpointFullError,
    CheckpointVersionError,
    NotACheckpointError,
    OtherBootError,
)

BOOT = bytes(range(16))
AREA = 400


def fresh(area: int = AREA) -> bytearray:
    memory = bytearray(HEADER_SIZE + 2 * area)
    Checkpoint.create(memory, BOOT)
    return memory


def held(memory: bytearray) -> dict[str, bytes]:
    return dict(Checkpoint.open(bytearray(memory), BOOT).items())


def test_what_one_process_put_the_next_one_finds() -> None:
    memory = fresh()
    first = Checkpoint.open(memory, BOOT)
    first.put("call/1", b"one")
    first.put("call/2", b"")
    first.put("call/1", b"one, later")
    first.remove("call/3")
    second = Checkpoint.open(memory, BOOT)
    assert dict(second.items()) == {"call/1": b"one, later", "call/2": b""}
    assert len(second) == 2
    assert "call/1" in second
    assert second.get("call/1") == b"one, later"
    assert second.get("call/9") is None


def test_what_was_removed_is_gone_for_the_next_one_too() -> None:
    memory = fresh()
    first = Checkpoint.open(memory, BOOT)
    first.put("call/1", b"one")
    first.remove("call/1")
    assert held(memory) == {}


def test_a_full_area_goes_on_in_the_other_with_what_counts() -> None:
    memory = fresh()
    log = Checkpoint.open(memory, BOOT)
    log.put("stays", b"s" * 50)
    for round_ in range(100):
        log.put("changes", b"%03d" % round_ * 20)
    assert held(memory) == {"stays": b"s" * 50, "changes": b"099" * 20}


def test_what_is_dead_takes_no_more_memory_than_it_must() -> None:
    memory = fresh(8 * SMALL)
    log = Checkpoint.open(memory, BOOT)
    for round_ in range(100):
        log.put("changes", bytes([round_]) * (SMALL // 10))
    written = [at for at in range(0, len(memory), SMALL // 10) if memory[at]]
    assert max(at % (8 * SMALL) for at in written) < 1.2 * SMALL
    assert held(memory) == {"changes": bytes([99]) * (SMALL // 10)}


def test_compaction_leaves_nothing_of_what_was_removed() -> None:
    memory = fresh()
    log = Checkpoint.open(memory, BOOT)
    log.put("gone", b"a secret")
    log.remove("gone")
    while b"a secret" in memory:
        log.put("other", b"o" * 50)
    assert held(memory) == {"other": b"o" * 50}


def test_what_does_not_fit_leaves_all_as_it_was() -> None:
    memory = fresh()
    log = Checkpoint.open(memory, BOOT)
    log.put("one", b"1" * 200)
    with pytest.raises(CheckpointFullError):
        log.put("two", b"2" * 200)
    with pytest.raises(CheckpointFullError):
        log.put("one", b"3" * 300)
    assert dict(log.items()) == held(memory) == {"one": b"1" * 200}
    log.put("two", b"2" * 20)
    assert held(memory) == {"one": b"1" * 200, "two": b"2" * 20}


def test_an_area_may_be_full_to_the_last_byte() -> None:
    memory = fresh()
    Checkpoint.open(memory, BOOT).put("one", b"1" * (AREA - 13))
    assert held(memory) == {"one": b"1" * (AREA - 13)}


def test_a_key_too_long_is_our_own_mistake() -> None:
    with pytest.raises(CheckpointError, match="too long"):
        Checkpoint.open(fresh(), BOOT).put("k" * 256, b"")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda m: m.__setitem__(slice(0, 2), b"xx"), NotACheckpointError),
        (lambda m: m.__setitem__(9, 2), CheckpointVersionError),
        (lambda m: m.__setitem__(10, 99), OtherBootError),
        (lambda m: m.__setitem__(slice(64, 160), bytes(96)), NotACheckpointError),
    ],
)
def test_what_is_not_ours_is_refused_by_name(spoil, error) -> None:  # type: ignore[no-untyped-def]
    memory = fresh()
    spoil(memory)
    with pytest.raises(error):
        Checkpoint.open(memory, BOOT)


def test_memory_without_a_header_is_none() -> None:
    with pytest.raises(NotACheckpointError):
        Checkpoint.open(bytearray(100), BOOT)


def test_a_slot_of_the_wrong_area_does_not_count() -> None:
    memory = fresh()
    # Generation 1 is area 1's; its bytes in area 0's slot are no generation of it.
    memory[64:80] = memory[128:144]
    assert held(memory) == {}
    memory[128:144] = bytes(16)
    with pytest.raises(NotACheckpointError):
        Checkpoint.open(memory, BOOT)


def test_a_record_of_a_kind_nobody_knows_ends_the_log() -> None:
    memory = fresh()
    Checkpoint.open(memory, BOOT).put("one", b"1")
    start = HEADER_SIZE  # generation 2, of the first opening
    memory[start + 9] = 7
    body = bytes(memory[start + 4 : start + 10 + 4])
    seed = zlib.crc32(struct.pack(">QI", 2, 1))
    memory[start : start + 4] = zlib.crc32(body, seed).to_bytes(4, "big")
    assert held(memory) == {}


def test_each_opening_is_counted() -> None:
    memory = fresh()
    assert [Checkpoint.open(memory, BOOT).openings for _ in range(3)] == [1, 2, 3]


class Killed(BaseException):
    pass


class Dying(bytearray):
    """Memory whose owner is killed at its nth write."""

    writes = -1

    def __setitem__(self, key, value) -> None:  # type: ignore[no-untyped-def]
        if self.writes == 0:
            raise Killed
        self.writes -= 1
        super().__setitem__(key, value)


KEYS = st.sampled_from(["a", "b", "call/3"])
CHANGES = st.lists(
    st.tuples(KEYS, st.one_of(st.none(), st.binary(max_size=60))), max_size=40
)


def apply(log: Checkpoint, key: str, value: bytes | None) -> None:
    if value is None:
        log.remove(key)
    else:
        log.put(key, value)


ROUNDS = st.lists(
    st.dictionaries(KEYS, st.one_of(st.none(), st.binary(max_size=60))), max_size=20
)


def changed(
    held: dict[str, bytes], changes: dict[str, bytes | None]
) -> dict[str, bytes]:
    return {k: v for k, v in (held | changes).items() if v is not None}


@given(ROUNDS, st.integers(0, 120), ROUNDS)
def test_killed_at_any_write_a_round_of_changes_is_whole_or_was_not(
    rounds: list[dict[str, bytes | None]],
    writes: int,
    later: list[dict[str, bytes | None]],
) -> None:
    memory = Dying(fresh())
    log = Checkpoint.open(memory, BOOT)
    memory.writes = writes
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    try:
        for changes in rounds:
            after = changed(before, changes)
            log.update(changes)
            before = after
    except Killed:
        pass
    memory.writes = -1
    log = Checkpoint.open(memory, BOOT)
    found = dict(log.items())
    assert found in (before, after)
    # And it goes on with it as if nothing had been.
    for changes in later:
        found = changed(found, changes)
        log.update(changes)
        assert held(memory) == found


@given(CHANGES, st.data())
def test_any_torn_tail_gives_a_prefix(
    changes: list[tuple[str, bytes | None]], data: st.DataObject
) -> None:
    memory = fresh(10_000)
    log = Checkpoint.open(memory, BOOT)
    prefixes: list[dict[str, bytes]] = [{}]
    for key, value in changes:
        apply(log, key, value)
        prefixes.append(dict(log.items()))
    at = HEADER_SIZE + data.draw(st.integers(0, 3000))
    size = data.draw(st.integers(1, 300))
    memory[at : at + size] = data.draw(st.binary(min_size=size, max_size=size))
    assert held(memory) in prefixes


def test_the_records_lie_where_the_document_says() -> None:
    memory = fresh()
    Checkpoint.open(memory, BOOT).put("k", b"value")
    seed = zlib.crc32(struct.pack(">QI", 2, 1))
    body = struct.pack(">IBB", 5, 1, 1) + b"kvalue"
    record = struct.pack(">I", zlib.crc32(body, seed)) + body
    start = HEADER_SIZE
    assert memory[start : start + len(record)] == record
    assert memory[:8] == module.MAGIC
