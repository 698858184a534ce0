import gc
from datetime import UTC, date, datetime, timedelta

from agent.gate.parts import RecordLocks
from tests.gate.rig import Rig


async def test_one_record_has_one_lock_while_somebody_holds_it() -> None:
    locks = RecordLocks()
    async with locks("a"):
        assert locks("a").locked()
        assert not locks("b").locked()
    gc.collect()
    assert not locks._locks


async def test_days_are_local_and_moments_utc(rig: Rig) -> None:
    assert rig.parts.now() == datetime(2026, 11, 29, 10, tzinfo=UTC)
    assert rig.parts.instant() == "2026-11-29T10:00:00Z"
    rig.clock.ahead(timedelta(hours=12, minutes=30))
    assert rig.parts.now().date() == date(2026, 11, 29)
    assert rig.parts.today() == date(2026, 11, 30)
