from datetime import date
from pathlib import Path

import pytest

from agent.access.desk import DeskError
from agent.access.standing import hold, lift, restrict, standing, unrestrict
from agent.archive.record_state import HoldKind, StateError
from agent.archive.states import States
from agent.common.ids import new_id
from tests.access.site import Site, with_two_targets

REVIEW = date(2027, 2, 1)


async def test_a_hold_is_made_seen_and_ended(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    desk = site.desk()
    name = await hold(desk, segment.id, HoldKind.LEGAL_CLAIM, REVIEW, "A/1")
    [held] = (await standing(desk, segment.id)).holds
    assert (held.id, held.kind, held.owner) == (name, "legal-claim", "p-quinn")
    assert held.review == "2027-02-01"
    await lift(desk, segment.id, name)
    assert (await standing(desk, segment.id)).holds == ()
    with pytest.raises(StateError):
        await lift(desk, segment.id, name)


async def test_a_restriction_comes_and_goes_in_every_target(tmp_path: Path) -> None:
    site = Site(tmp_path / "one")
    segment = site.record()
    other = Site(tmp_path / "other")
    site.copy_to(other)
    desk = with_two_targets(site.desk(), other)
    await restrict(desk, segment.id, "unlawful", "")
    assert (await standing(desk, segment.id)).restricted
    for one in (site, other):
        state = await States(one.target.state).read(segment.id)
        assert state.restricted is not None
        assert state.restricted.by == "p-quinn"
    await unrestrict(desk, segment.id)
    assert not (await standing(desk, segment.id)).restricted


async def test_who_must_be_known_and_what_must_be_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    with pytest.raises(DeskError, match="person"):
        await restrict(site.desk(person=""), segment.id, "disputed", "")
    with pytest.raises(DeskError, match="no such recording"):
        await restrict(site.desk(), new_id(), "disputed", "")
