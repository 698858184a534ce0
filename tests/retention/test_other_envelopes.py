from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.archive.record_state import hold
from agent.formats.layout import envelope_key
from agent.retention.other_envelopes import LOST_AFTER, OtherEnvelopes
from agent.retention.policy import DAY_NS, start_of_day
from tests.retention.sites import DAY, HELD, Built, built

ASKED_NS = start_of_day(DAY + timedelta(1))
LOST_NS = LOST_AFTER.days * DAY_NS


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Built]:
    async with built(tmp_path, places=2, now_ns=ASKED_NS) as site:
        yield site


def others(site: Built) -> OtherEnvelopes:
    assert site.keyring is not None
    return OtherEnvelopes(site.site, site.keyring, DAY)


def envelopes(site: Built, recording_id: str) -> list[bytes]:
    key = envelope_key(DAY, recording_id)
    return [state.objects[key] for _, state in site.backends]


async def test_those_that_stay_are_moved_in_every_place(two: Built) -> None:
    going, staying = await two.record(), await two.record()
    before = envelopes(two, going), envelopes(two, staying)
    made: list[bool] = []
    stuck = await others(two).move({going}, 1, new_key=lambda: made.append(True))
    assert (stuck, made) == ({}, [True])
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == [1, 2]
    assert envelopes(two, going) == before[0]
    assert not set(envelopes(two, staying)) & set(before[1])
    # Asked again, there is nothing to be done.
    moved = envelopes(two, staying)
    assert not await others(two).move({going}, 1, new_key=lambda: made.append(True))
    assert (envelopes(two, staying), made) == (moved, [True])


@pytest.mark.parametrize("held", [False, True])
async def test_what_opens_by_no_key_keeps_the_old_one_for_a_while(
    two: Built, *, held: bool
) -> None:
    going, junk = await two.record(), await two.record()
    for _, state in two.backends:
        state.objects[envelope_key(DAY, junk)] = b"junk"
    if held:
        await two.site.states.change(junk, lambda state: hold(state, "h", HELD))
    stuck = await others(two).move({going}, 1, new_key=lambda: None)
    assert stuck.keys() == {junk}
    for now_ns, left in ((LOST_NS - 1, True), (LOST_NS, held)):
        kept = await others(two).not_lost(stuck, ASKED_NS, ASKED_NS + now_ns)
        assert bool(kept) is left
    lost = [row.id for row in two.rows() if row.result == "envelope-lost"]
    assert lost == ([] if held else [junk])


async def test_what_still_comes_keeps_it_for_ever(two: Built) -> None:
    going = await two.record()
    state = two.backends[0][1]
    coming = iter(
        [two.objects(f"00000000-0000-4000-8000-0000000001{n:02x}") for n in range(9)]
    )

    def before(operation: str, key: str) -> None:
        if operation == "list" and key.startswith("keys/"):
            state.objects.update(next(coming, {}))

    state._before = before
    stuck = await others(two).move({going}, 1, new_key=lambda: None)
    assert stuck.keys() == {""}
    assert await others(two).not_lost(stuck, ASKED_NS, ASKED_NS + 9 * LOST_NS)
