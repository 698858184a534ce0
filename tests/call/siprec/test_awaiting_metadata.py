"""A recording session whose client has not told yet who talks."""

import pytest

from agent.call.siprec import commands as rec
from agent.call.siprec.recording_session import PATIENCE, Phase
from agent.model.call import EndCause, Outcome
from tests.call.siprec.machine import Session
from tests.call.siprec.situations import OFFICER, parties


def test_metadata_that_follows_at_once_makes_no_segment_of_its_own() -> None:
    session = Session()
    nobody = parties(caller="undecided")
    assert session.up(who=nobody, told=False) == []
    assert session.machine.awaits_metadata
    assert session.machine.phase is Phase.IDLE
    assert session.machine.get_timer() == PATIENCE
    assert session.moved().machine.awaits_metadata
    assert session.look(who=nobody, told=False, now=PATIENCE / 2) == []
    session.machine.handle_timer(PATIENCE / 2)
    [opened] = session.look(now=PATIENCE / 2)
    assert opened.situation.parties.officers == (OFFICER,)
    assert not session.machine.awaits_metadata
    session.machine.handle_timer(PATIENCE)
    assert session.commands() == []


@pytest.mark.parametrize("end", ["timer", "left", "stop"])
def test_what_nobody_tells_of_is_recorded_all_the_same(end: str) -> None:
    session = Session()
    assert session.up(told=False) == []
    if end == "timer":
        session.machine.handle_timer(PATIENCE)
    elif end == "left":
        session.machine.left(EndCause.SESSION_ENDED)
    else:
        session.machine.stop()
    opened, *rest = session.commands()
    assert isinstance(opened, rec.OpenSegment)
    assert not session.machine.awaits_metadata
    if end != "timer":
        assert rest[-1].outcome is Outcome.RECORDED
        assert session.machine.get_timer() is None


def test_a_notice_that_metadata_is_to_show_is_not_missed_before_it_comes() -> None:
    session = Session()
    assert session.up(told=False, announced=False) == []
    [opened] = session.look(now=PATIENCE / 2)
    assert isinstance(opened, rec.OpenSegment)
