from agent.call.hearing import MAX_ALARMS
from agent.media.events import LegAlarm, LegHeard
from tests.call.site import Site


async def test_a_side_that_is_missing_is_told_and_its_return(site: Site) -> None:
    await site.start()
    await site.talk()
    customer, officer = site.media.told("bridge")[0]
    site.media.emit(LegAlarm(leg=officer, kind="one-way", seconds=10.04))
    entry = await site.until_logged("one_way_audio")
    assert (entry["leg"], entry["seconds"]) == ("b1", 10.0)
    assert entry["level"] == "warning"
    site.media.emit(LegHeard(leg=officer, kind="one-way", seconds=30.0))
    entry = await site.until_logged("one_way_audio_over")
    assert (entry["leg"], entry["seconds"]) == ("b1", 30.0)
    site.media.emit(LegAlarm(leg=customer, kind="silent", seconds=60.0))
    entry = await site.until_logged("silent_leg")
    assert entry["leg"] == "a"
    site.media.emit(LegHeard(leg=customer, kind="silent", seconds=61.0))
    await site.until_logged("silent_leg_over")


async def test_a_leg_that_comes_and_goes_is_told_so_often_only(site: Site) -> None:
    await site.start()
    await site.talk()
    customer = site.media.told("bridge")[0][0]
    for _ in range(MAX_ALARMS + 5):
        site.media.emit(LegAlarm(leg=customer, kind="one-way", seconds=10.0))
        site.media.emit(LegHeard(leg=customer, kind="one-way", seconds=11.0))
    await site.advance(0)
    assert len(site.logged("one_way_audio")) == MAX_ALARMS
    assert len(site.logged("one_way_audio_over")) == MAX_ALARMS
    site.media.emit(LegAlarm(leg="gone", kind="one-way", seconds=10.0))
    await site.advance(0)
