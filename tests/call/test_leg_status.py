from agent.call.leg_status import LegStatus
from agent.media.events import LegStats
from agent.model.media import Direction
from tests.call.site import Site, until


async def test_a_call_tells_of_its_legs(site: Site) -> None:
    await site.start()
    await site.talk()
    [call] = site.control.orders.status()
    assert [(leg.name, leg.codec, leg.encrypted) for leg in call.legs] == [
        ("a", "PCMA", False),
        ("b1", "PCMA", False),
    ]
    assert not any(leg.held for leg in call.legs)
    assert call.recorded_for > 0
    assert [leg.loss for leg in call.legs] == [None, None]
    caller, officer = site.media.told("bridge")[0]
    figures = LegStats(opened_ns=1, received=90, lost=10, jitter_ms=1.5)
    site.media.figures.measured(caller, figures)
    site.media.figures.measured(officer, LegStats(opened_ns=1, received=9, lost=-1))
    [call] = site.control.orders.status()
    assert [leg.loss for leg in call.legs] == [0.1, 0.0]
    assert call.legs[0].jitter_ms == 1.5
    site.officer.change(Direction.SENDONLY)
    await site.until_logged("held")
    await until(lambda: site.control.orders.status()[0].legs[1].held)
    [held] = site.control.orders.status()
    [later] = site.control.orders.status()
    assert held.recorded_for == later.recorded_for


def test_loss_is_of_what_was_expected() -> None:
    assert LegStatus(name="a", received=95, lost=5).loss == 0.05
    assert LegStatus(name="a", received=0, lost=0).loss is None
    assert LegStatus(name="a").loss is None
