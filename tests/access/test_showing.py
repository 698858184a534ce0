from datetime import date
from pathlib import Path

from agent.access.annotating import Statement, annotate
from agent.access.showing import show
from agent.access.standing import hold
from agent.archive.record_state import HoldKind
from tests.access.site import ASKED, DAY, NOW, Site


async def test_everything_there_is_to_see(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    desk = site.desk()
    plain = await show(desk, segment.id, ASKED)
    assert (plain.annotations, plain.standing.holds) == ([], ())
    await annotate(desk, segment.id, Statement("statement", "Not so."), ASKED, NOW)
    await hold(desk, segment.id, HoldKind.ACCESS_REQUEST, date(2027, 1, 1), "A/1")
    shown = await show(desk, segment.id, ASKED, day=DAY)
    assert shown.opened.manifest.id == segment.id
    assert [one.text for one in shown.annotations] == ["Not so."]
    assert [one.kind for one in shown.standing.holds] == ["access-request"]
    assert "Not so." not in repr(shown)
