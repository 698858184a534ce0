"""How often segments may begin."""

from typing import Any

from agent.call.siprec import commands as rec
from agent.call.siprec.churn import BURST, EVERY, LENGTH, Churn, Pace
from agent.model.call import EndCause
from agent.model.recording import UNDECIDED, RecordState
from tests.call.siprec.machine import Session, closing
from tests.call.siprec.situations import parties


def test_many_may_begin_at_once_and_then_one_every_while() -> None:
    churn = Churn()
    assert {churn.take(0.0) for _ in range(BURST)} == {Pace.FREE}
    assert churn.take(0.0) is Pace.CROWDED
    # What has gone by counts, whichever process asks.
    other = Churn()
    other.restore(churn.state)
    assert other.take(2 * EVERY) is Pace.FREE
    assert other.take(2 * EVERY) is Pace.CROWDED


def test_beyond_all_bounds_none_begins_and_waiting_costs_nothing() -> None:
    churn = Churn()
    for _ in range(2 * BURST):
        assert churn.take(0.0) is not Pace.WAIT
    assert churn.take(0.0) is Pace.WAIT
    assert churn.take(EVERY) is Pace.CROWDED
    assert churn.take(EVERY) is Pace.WAIT


def test_a_long_rest_gives_no_more_than_the_first_time() -> None:
    churn = Churn()
    churn.take(0.0)
    found = [churn.take(1e9) for _ in range(3 * BURST)]
    assert found.count(Pace.FREE) == BURST
    assert found.count(Pace.CROWDED) == BURST


# -- a client that tells other people all the time -----------------------------


def flapping(session: Session, times: int, now: float) -> list[Any]:
    """Two officers in turn, each time at the same moment."""
    said = [
        session.look(who=parties(str(n)), now=now) for n in range(1000, 1000 + times)
    ]
    return [command for commands in said for command in commands]


def test_people_who_change_all_the_time_share_a_segment_of_nobodys() -> None:
    session = Session(max_segment=1000.0)
    session.up()
    commands = flapping(session, 500, now=0.0)
    opened = [one for one in commands if isinstance(one, rec.OpenSegment)]
    assert len(opened) == BURST
    assert opened[-2].situation.parties.officers == (str(1000 + BURST - 2),)
    assert opened[-1].situation.parties.officers == ()
    assert opened[-1].situation.parties.caller == UNDECIDED
    # Nothing of it is lost, and those who talk at last get theirs.
    assert session.machine.segments.recording is RecordState.ON
    session = session.moved()
    session.look(who=parties("202"), now=LENGTH / 2)
    assert session.machine.get_timer() == LENGTH
    session.machine.handle_timer(LENGTH)
    [closed, opened_last] = session.commands()
    assert closed == closing(EndCause.TRANSFERRED)
    assert opened_last.situation.parties.officers == ("202",)


def test_segments_that_end_as_fast_as_they_begin_have_to_wait() -> None:
    session = Session(max_segment=1000.0)
    session.up()
    said = [session.look(going_on=n % 2 > 0, now=0.0) for n in range(1000)]
    commands = [command for commands in said for command in commands]
    opened = [one for one in commands if isinstance(one, rec.OpenSegment)]
    assert len(opened) == 2 * BURST - 1
    assert commands[-1] == rec.Wait(seconds=EVERY)
    assert session.machine.segments.recording is RecordState.OFF
    other = session.moved()
    for machine in (session, other):
        machine.look(going_on=machine is session, now=0.0)
        assert machine.machine.get_timer() == EVERY
        machine.machine.handle_timer(EVERY)
    [opened_last] = session.commands()
    assert isinstance(opened_last, rec.OpenSegment)
    # Where nobody talks by then, nothing is waited for any more.
    assert other.commands() == []
    assert other.machine.get_timer() is None
