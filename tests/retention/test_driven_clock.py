"""The sweep over 400 days of a clock that the test drives."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from agent.archive.record_state import hold, lift_hold
from agent.formats.layout import HELSINKI, day_of, envelope_key
from agent.retention.policy import start_of_day
from tests.retention.sites import HELD, HOUR_NS, built

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = date(2027, 1, 20)
"From here on 400 days have a leap day, and the clocks' changes of two years."


def expiry(ended_ns: int) -> datetime:
    """A year after a recording's end, by the calendar and clock of Helsinki."""
    ended = EPOCH + timedelta(microseconds=ended_ns // 1000)
    local = ended.astimezone(HELSINKI)
    day = date(local.year + 1, local.month, local.day) if (
        local.month, local.day) != (2, 29) else date(local.year + 1, 2, 28)  # fmt: skip
    return datetime.combine(day, local.time(), tzinfo=HELSINKI).replace(fold=local.fold)


@pytest.mark.parametrize("seed", range(1))
async def test_nothing_early_nothing_a_day_late_and_holds_are_kept(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    days = [FIRST + timedelta(n) for n in range(0, 410, 5)]
    days += [date(2027, 3, 28), date(2027, 10, 31), date(2028, 2, 28)]
    days += [date(2028, 2, 29), date(2028, 3, 1)]
    async with built(tmp_path, gate=False, now_ns=start_of_day(FIRST)) as site:
        state = site.backends[0][1].objects
        envelopes: dict[str, str] = {}
        ended: dict[str, int] = {}
        held: dict[str, int] = {}
        "Until when."
        for day in days:
            moment = rng.randrange(start_of_day(day), start_of_day(day) + 23 * HOUR_NS)
            recording_id = await site.record(day)
            ended[recording_id] = moment
            envelopes[recording_id] = envelope_key(day, recording_id)
            assert day_of(moment) == day
            if rng.random() < 0.1:
                held[recording_id] = moment + rng.randrange(300, 500) * 24 * HOUR_NS
                await site.site.states.change(
                    recording_id, lambda state: hold(state, "h", HELD)
                )
        gone: dict[str, int] = {}
        lifted: set[str] = set()
        sweep = site.sweep()
        site.clock.now_ns = start_of_day(date(2028, 1, 20))
        while site.clock.now_ns < start_of_day(date(2029, 3, 4)):
            # As a timer does: at midnight, and after the hour that a mark stands.
            day = day_of(site.clock.now_ns) + timedelta(1)
            for now_ns in (start_of_day(day), start_of_day(day) + HOUR_NS):
                site.clock.now_ns = now_ns
                for recording_id, until in held.items():
                    if until <= now_ns and recording_id not in lifted:
                        lifted.add(recording_id)
                        await site.site.states.change(
                            recording_id, lambda state: lift_hold(state, "h")
                        )
                report = await sweep.run(now_ns)
                assert (report.left, report.late) == ([], [])
                for recording_id in ended.keys() - gone.keys():
                    if envelopes[recording_id] not in state:
                        gone[recording_id] = now_ns
        for recording_id, moment in ended.items():
            if recording_id in held:
                assert gone.get(recording_id, 2**63) > held[recording_id]
                continue
            at = EPOCH + timedelta(microseconds=gone[recording_id] // 1000)
            overdue = at.astimezone(HELSINKI) - expiry(moment)
            assert timedelta() <= overdue <= timedelta(days=1)
