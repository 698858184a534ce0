import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from agent.archive.audit_log import AuditLogError
from agent.archive.record_state import RecordErasedError, hold
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.formats.audit import Act
from agent.formats.layout import envelope_key
from agent.retention.erasure import Erasure, Outcome
from agent.retention.marks import Mark, MarkError
from agent.retention.policy import DAY_NS, start_of_day
from agent.upload.backend import StorageError
from tests.retention.sites import (
    DAY,
    HELD,
    HOUR_NS,
    LISTS_NS,
    Built,
    KilledError,
    Killer,
    built,
)

RECORDED_NS = start_of_day(DAY + timedelta(1))
SETTLED_NS = start_of_day(DAY + timedelta(8))
"From then on a host brings what it recorded on that day by a fresh list of keys only."


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Built]:
    async with built(tmp_path, places=2, now_ns=RECORDED_NS) as site:
        yield site


def copy_of(site: Built, recording_id: str) -> bytes:
    return site.backends[0][1].objects[envelope_key(DAY, recording_id)]


async def test_a_recording_of_long_ago_goes_when_its_newer_key_is_known(
    two: Built,
) -> None:
    two.clock.now_ns = SETTLED_NS
    one, other = await two.record(), await two.record()
    copies = copy_of(two, one), copy_of(two, other)
    assert await two.erase_early(one, reference="12/2027") == Outcome(erased=[one])
    assert two.of(one) == set()
    assert not any(two.opens_envelope(copy, one) for copy in copies)
    assert two.opens(other)
    assert two.opens(other, place=1)
    assert two.tombstones() == [{one}] * 2
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == [2]
    told = [
        (row.act, row.result, row.reference)
        for row in two.rows()
        if row.act != Act.ROLL
    ]
    assert told == [
        (Act.ERASE, "begun", "12/2027"), (Act.KEY_MADE, "ok", ""),
        (Act.KEY_DESTROYED, "ok", ""), (Act.ERASED, "ok", ""),
    ]  # fmt: skip


async def test_within_a_week_it_waits_for_late_uploads(two: Built) -> None:
    one, other = await two.record(), await two.record()
    copy = copy_of(two, one)
    # A host has wrapped this one already, and brings it later.
    late = "00000000-0000-4000-8000-0000000000ff"
    coming = two.objects(late)
    erasure = Erasure(two.site)
    begun = await erasure.begin({one: [DAY]}, "private-call", two.clock())
    assert begun == Outcome(pending={one: DAY + timedelta(8)}, publish=True)
    assert begun.to_words() == {
        "erased": [], "pending": {one: "2026-12-01"}, "held": {}, "incomplete": [],
    }  # fmt: skip
    assert not two.opens(one)
    assert two.opens_envelope(copy, one), "whoever kept a copy, and is let by the gate"
    with pytest.raises(RecordErasedError):
        await two.site.states.change(one, lambda state: hold(state, "h", HELD))
    for locked, state in two.backends:
        for key, data in coming.items():
            under = locked if key.startswith(("audio", "manifest")) else state
            under.objects[key] = data
    two.clock.now_ns = SETTLED_NS - 1
    assert (await erasure.run(two.clock())).erased == []
    two.clock.now_ns = SETTLED_NS
    assert (await erasure.run(two.clock())).erased == [one]
    assert not two.opens_envelope(copy, one)
    assert two.opens(other)
    assert two.opens(late)
    assert two.opens(late, place=1)
    assert await erasure.run(two.clock()) == Outcome()


async def test_the_old_key_stays_while_a_list_that_has_it_counts(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS + 100 * 24 * HOUR_NS
    one = await two.record()
    # A host wraps this one by its list from before, and brings it two days later.
    late = "00000000-0000-4000-8000-0000000000ff"
    coming = two.objects(late)[envelope_key(DAY, late)]
    erasure = Erasure(two.site)
    begun = await erasure.begin({one: [DAY]}, "private-call", two.clock())
    until = DAY + timedelta(8 + 100 + 3)
    assert begun == Outcome(pending={one: until}, publish=True)
    two.clock.now_ns = start_of_day(until) - 1
    for _, state in two.backends:
        state.objects[envelope_key(DAY, late)] = coming
    assert await erasure.run(two.clock()) == Outcome(pending={one: until})
    two.clock.now_ns += 1
    assert (await erasure.run(two.clock())).erased == [one]
    assert two.opens(late)
    assert two.opens(late, place=1)


async def test_a_killed_gate_goes_on_with_every_day_of_a_record(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    one, other = await two.record(), DAY + timedelta(2)
    assert two.keyring is not None
    await two.keyring.generate_until(other, today=other)
    for _, state in two.backends:
        state.objects[envelope_key(other, one)] = b"a decoy"
    mark = Mark.of(other, [one], two.clock(), "early", generation=1, also=[DAY])
    await two.site.marks.add(mark)  # and then it was killed
    erasure = Erasure(two.site)
    assert (await erasure.run(two.clock())).pending.keys() == {one}
    assert two.of(one).isdisjoint(envelope_key(day, one) for day in (DAY, other))
    two.clock.now_ns += LISTS_NS
    assert (await erasure.run(two.clock())).erased == [one]
    assert [two.keyring.generations(day) for day in (DAY, other)] == [[2], [2]]


async def test_a_clock_that_is_ahead_destroys_no_key(two: Built) -> None:
    one = await two.record()
    copy = copy_of(two, one)
    erasure = Erasure(two.site)
    await erasure.begin({one: [DAY]}, "wrong", two.clock())
    done = await erasure.run(SETTLED_NS)
    (left,) = done.left
    assert "clock" in left.reason
    assert done.erased == []
    assert two.opens_envelope(copy, one)
    two.clock.now_ns = SETTLED_NS
    assert (await erasure.run(two.clock())).erased == [one]
    assert not two.opens_envelope(copy, one)


async def test_a_clock_that_is_behind_says_of_no_key_when_it_was_made(
    two: Built,
) -> None:
    two.clock.now_ns = SETTLED_NS
    one = await two.record()
    erasure = Erasure(two.site)
    done = await erasure.begin({one: [DAY]}, "wrong", RECORDED_NS)
    assert ["clock" in left.reason for left in done.left] == [True]
    assert done.publish, "hosts may use the new key"
    done = await erasure.run(two.clock())
    assert done == Outcome(pending={one: DAY + timedelta(8 + 3)})


async def test_another_that_is_asked_for_later_delays_none(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    one, other = await two.record(), await two.record()
    copies = copy_of(two, one), copy_of(two, other)
    erasure = Erasure(two.site)
    await erasure.begin({one: [DAY]}, "wrong", two.clock())
    two.clock.now_ns += LISTS_NS - 1
    await erasure.begin({other: [DAY]}, "wrong", two.clock())
    two.clock.now_ns += 1
    until = DAY + timedelta(8 + 2 + 3)
    done = await erasure.run(two.clock())
    assert done == Outcome(erased=[one], pending={other: until})
    assert not two.opens_envelope(copies[0], one)
    two.clock.now_ns = start_of_day(until)
    assert (await erasure.run(two.clock())).erased == [other]
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == [3]


async def test_what_is_held_is_not_erased(two: Built) -> None:
    one = await two.record()
    await two.site.states.change(one, lambda state: hold(state, "h", HELD))
    done = await Erasure(two.site).begin({one: [DAY]}, "private-call", two.clock())
    assert done == Outcome(held={one: ("hold",)})
    assert two.opens(one)
    assert not any(key.startswith("erasures/") for key in two.everything())


async def test_several_of_a_day_need_one_new_key(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    ids = [await two.record() for _ in range(4)]
    assert (await two.erase_early(*ids[:3])).erased == ids[:3]
    assert two.opens(ids[3])
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == [2]
    assert (await two.erase_early(ids[3])).erased == ids[3:]
    assert two.keyring.generations(DAY) == [3]


async def test_asked_for_twice_it_goes_on(two: Built) -> None:
    one = await two.record()
    erasure = Erasure(two.site)
    for _ in range(2):
        done = await erasure.begin({one: [DAY]}, "private-call", two.clock())
        assert done.pending == {one: DAY + timedelta(8)}
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == [1, 2]


async def test_its_state_is_forgotten_a_day_later(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    one = await two.record()
    await two.erase_early(one)
    erasure = Erasure(two.site)
    await erasure.run(two.clock())
    assert any(key.startswith("state/") for key in two.everything())
    two.clock.now_ns += 25 * HOUR_NS
    await erasure.run(two.clock())
    telling = {key.partition("/")[0] for key in two.everything()}
    assert telling == {"audit", "tombstones"}


async def test_what_a_lock_keeps_is_tried_once_a_day(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    one = await two.record()
    locked = two.backends[1][0]
    locked.locked = set(locked.objects)
    erasure = Erasure(two.site)
    await erasure.begin({one: [DAY]}, "private-call", two.clock())
    two.clock.now_ns += LISTS_NS
    done = await erasure.run(two.clock())
    assert done.erased == [one], "nothing opens it"
    (left,) = done.left
    assert (left.place, left.locked) == ("storage[1]", True)
    locked.locked.clear()
    again = await erasure.run(two.clock())
    assert (again.left, again.erased) == ([left], []), "it was told before"
    two.clock.now_ns += 25 * HOUR_NS
    assert (await erasure.run(two.clock())).left == []
    assert two.of(one) == set()
    assert sum(row.act == Act.ERASED for row in two.rows()) == 1


async def test_what_fails_is_tried_at_once(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    one = await two.record()

    def before(operation: str, key: str) -> None:
        if operation == "list" and key.startswith("audio"):
            raise StorageError("It is away.", hint="")

    two.backends[1][0]._before = before
    erasure = Erasure(two.site)
    (left,) = (await two.erase_early(one)).left
    assert (left.reason, left.locked) == ("It is away.", False)
    two.backends[1][0]._before = lambda _operation, _key: None
    assert (await erasure.run(two.clock())).left == []


async def test_a_hold_that_came_before_the_claim_ends_the_erasure(two: Built) -> None:
    one = await two.record()
    mark = Mark.of(DAY, [one], two.clock(), "early", generation=1)
    await two.site.marks.add(mark)  # and then it was killed
    await two.site.states.change(one, lambda state: hold(state, "h", HELD))
    assert (await Erasure(two.site).run(two.clock())).held == {one: ("hold",)}
    assert not any(key.startswith("erasures/") for key in two.everything())


async def test_without_a_gate_the_envelope_goes_at_once(tmp_path: Path) -> None:
    async with built(tmp_path, gate=False, now_ns=RECORDED_NS) as site:
        one, other = await site.record(), await site.record()
        done = await Erasure(site.site).begin({one: [DAY]}, "wrong", site.clock())
        assert done == Outcome(erased=[one])
        assert site.of(one) == set()
        assert site.opens(other)


@pytest.mark.parametrize("kept", [True, False])
async def test_junk_of_the_day_holds_up_an_erasure_for_two_weeks_only(
    two: Built, *, kept: bool
) -> None:
    two.clock.now_ns = SETTLED_NS
    one, junk = await two.record(), await two.record()
    for _, state in two.backends:
        state.objects[envelope_key(DAY, junk)] = b"junk"
    if kept:
        await two.site.states.change(junk, lambda state: hold(state, "h", HELD))
    copy = copy_of(two, one)
    erasure = Erasure(two.site)
    await erasure.begin({one: [DAY]}, "private-call", two.clock())
    two.clock.now_ns += 14 * DAY_NS - 1_000_000_000
    assert (await erasure.run(two.clock())).left
    assert two.opens_envelope(copy, one)
    two.clock.now_ns += 1_000_000_000
    with structlog.testing.capture_logs() as log:
        done = await erasure.run(two.clock())
    assert bool(done.left) is kept
    assert two.opens_envelope(copy, one) is kept
    given_up = [e["recording_id"] for e in log if e["event"] == "envelope_given_up"]
    assert given_up == ([] if kept else [junk])
    rows = [row.id for row in two.rows() if row.result == "envelope-lost"]
    assert rows == given_up


async def test_a_request_that_counts_no_more_destroys_no_key(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    one, other = await two.record(), await two.record()
    copies = copy_of(two, one), copy_of(two, other)
    asked: list[tuple[str, str]] = []
    refused = new_id()

    async def approved(mark: Mark) -> None:
        asked.append((mark.early_id, mark.request))
        if mark.request == refused:
            raise AgentError("Nobody has signed it.")

    erasure = Erasure(two.site, approved=approved)
    now = two.clock
    await erasure.begin({one: [DAY]}, "wrong", now(), request=refused)
    good = new_id()
    await erasure.begin({other: [DAY]}, "wrong", now(), request=good)
    assert [m.request for m in await erasure.open_marks(one)] == [refused]
    now.now_ns += LISTS_NS
    done = await erasure.run(now())
    assert done.erased == []
    assert [left.reason for left in done.left] == ["Nobody has signed it."]
    assert {opens for opens in asked if opens[0] == one} == {(one, refused)}
    # Its envelope is where it was, and no key has gone that opens it.
    assert two.opens(one)
    assert two.opens_envelope(copies[1], other)
    again = new_id()
    await erasure.begin({one: [DAY]}, "wrong", now(), request=again)
    assert [m.request for m in await erasure.open_marks(one)] == [again]
    now.now_ns += LISTS_NS
    assert (await erasure.run(now())).erased == [one, other]
    assert await erasure.open_marks(one) == []
    assert not any(two.opens_envelope(copy, one) for copy in copies)


@pytest.mark.parametrize("what", ["damaged", "another's"])
async def test_another_that_does_not_open_keeps_the_old_key(
    two: Built, what: str
) -> None:
    two.clock.now_ns = SETTLED_NS
    one, damaged = await two.record(), await two.record()
    sound = copy_of(two, damaged)
    stray = copy_of(two, one) if what == "another's" else b"damaged"
    for _, state in two.backends:
        state.objects[envelope_key(DAY, damaged)] = stray
    erasure = Erasure(two.site)
    done = await erasure.begin({one: [DAY]}, "private-call", two.clock())
    (left,) = done.left
    assert damaged in left.reason
    assert done.pending
    for _, state in two.backends:
        state.objects[envelope_key(DAY, damaged)] = sound
    two.clock.now_ns += LISTS_NS
    assert (await erasure.run(two.clock())).erased == [one]
    assert two.opens(damaged)


async def test_as_long_as_envelopes_come_no_key_goes(two: Built) -> None:
    two.clock.now_ns = SETTLED_NS
    one = await two.record()
    state = two.backends[0][1]
    coming = iter([two.objects(f"00000000-0000-4000-8000-0000000001{n:02x}")
                   for n in range(6)])  # fmt: skip

    def before(operation: str, key: str) -> None:
        if operation == "list" and key.startswith("keys/"):
            state.objects.update(next(coming, {}))

    state._before = before
    erasure = Erasure(two.site)
    done = await erasure.begin({one: [DAY]}, "private-call", two.clock())
    assert [left.reason for left in done.left] == [
        "envelopes of that day are being uploaded"
    ]
    two.clock.now_ns += LISTS_NS
    assert (await erasure.run(two.clock())).erased == [one]


async def test_what_fails_of_a_day_is_told(two: Built) -> None:
    one = await two.record()

    def before(operation: str, key: str) -> None:
        if operation == "list" and key.startswith("keys/"):
            raise StorageError("It is away.", hint="")

    two.backends[0][1]._before = before
    done = await Erasure(two.site).begin({one: [DAY]}, "wrong", two.clock())
    assert {left.reason for left in done.left} == {"It is away."}
    assert done.erased == []


async def test_a_reason_is_a_word(two: Built) -> None:
    one = await two.record()
    with pytest.raises(MarkError):
        await Erasure(two.site).begin({one: [DAY]}, "he said so", two.clock())
    assert two.opens(one)


async def killed_at(folder: Path, step: int) -> bool:
    killer = Killer()
    async with built(folder, before=killer, now_ns=SETTLED_NS) as site:
        one, other = await site.record(), await site.record()
        copy = copy_of(site, one)
        killer.left = step
        with contextlib.suppress(KilledError, AuditLogError):
            await Erasure(site.site).begin({one: [DAY]}, "wrong", site.clock())
            site.clock.now_ns += LISTS_NS
            await Erasure(site.site).run(site.clock())
        over = killer.left > 0
        killer.left = -1
        assert site.opens(other), "whatever happens"
        again = await site.restarted()
        erasure = Erasure(again.site)
        done = await erasure.run(site.clock())
        if not (done.erased or site.tombstones()[0]):  # it had hardly begun
            await erasure.begin({one: [DAY]}, "wrong", site.clock())
            site.clock.now_ns += LISTS_NS
            done = await erasure.run(site.clock())
        assert done.left == []
        assert site.of(one) == set()
        assert site.tombstones() == [{one}]
        assert not site.opens_envelope(copy, one)
        assert site.opens(other)
        return over


async def test_killed_at_every_step_the_next_run_ends_it(tmp_path: Path) -> None:
    for step in range(1, 200):
        folder = tmp_path / str(step)
        folder.mkdir()
        if await killed_at(folder, step):
            break
    else:
        pytest.fail("it has more steps than are tried")
    assert step > 10


async def test_a_keyring_from_a_backup_loses_no_day_that_an_erasure_goes_on_with(
    two: Built,
) -> None:
    one, other = await two.record(), await two.record()
    erasure = Erasure(two.site)
    mark = Mark.of(DAY, [one], two.clock(), "early", reason="mistake", generation=3)
    # The keyring that had the generations 2 and 3 is lost.
    await two.site.marks.add(mark)
    two.clock.now_ns = SETTLED_NS
    assert (await erasure.run(two.clock())).publish
    two.clock.now_ns += LISTS_NS
    assert (await erasure.run(two.clock())).erased == [one]
    assert two.opens(other)
    assert two.opens(other, place=1)
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == [4]


async def test_what_is_being_erased_and_comes_again_gets_no_newer_key(
    two: Built,
) -> None:
    one, other = await two.record(), await two.record()
    again = copy_of(two, one)
    erasure = Erasure(two.site)
    await erasure.begin({one: [DAY]}, "mistake", two.clock())
    # A host brings to the second storage what it had there to bring.
    two.backends[1][1].objects[envelope_key(DAY, one)] = again
    await erasure.begin({other: [DAY]}, "mistake", two.clock())
    kept = two.backends[1][1].objects[envelope_key(DAY, one)]
    two.clock.now_ns = SETTLED_NS
    assert sorted((await erasure.run(two.clock())).erased) == [one, other]
    assert not two.opens_envelope(again, one)
    assert not two.opens_envelope(kept, one)
