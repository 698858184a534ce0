"""What of a recording session may not be recorded, and becomes of what was."""

from agent.call import commands as do
from agent.call.siprec import commands as rec
from agent.call.siprec.recording_session import Phase
from agent.model.call import EndCause, Outcome
from tests.call.siprec.machine import Session, closing
from tests.call.siprec.situations import OFFICER, parties


def test_an_exempt_party_is_never_recorded() -> None:
    session = Session()
    exempt = parties(OFFICER, exempt=True)
    assert session.up(who=exempt) == [rec.Withhold(reason=rec.Withheld.EXEMPT)]
    assert session.look(who=exempt) == []
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.EXEMPT


def test_an_exempt_party_that_joins_ends_what_is_recorded_while_it_is_there() -> None:
    session = Session()
    session.up()
    [withhold, closed] = session.look(who=parties(OFFICER, exempt=True))
    assert withhold.reason is rec.Withheld.EXEMPT
    assert closed == closing(EndCause.TRANSFERRED)
    [opened] = session.look()
    assert opened.number == 2
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.RECORDED


def test_what_was_recorded_of_an_exempt_party_is_discarded() -> None:
    session = Session()
    session.up()
    exempt = parties(OFFICER, exempt=True)
    [_withhold, closed] = session.look(who=exempt, exempt_before=True)
    assert closed == do.CloseRecording(cause=EndCause.TRANSFERRED, discard=True)
    session = session.moved()
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.EXEMPT


def test_it_may_be_policy_to_keep_what_was_recorded_of_an_exempt_party() -> None:
    session = Session(on_late_exemption="keep")
    session.up()
    exempt = parties(OFFICER, exempt=True)
    [_withhold, closed] = session.look(who=exempt, exempt_before=True)
    assert closed == closing(EndCause.TRANSFERRED)
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.RECORDED


def test_nothing_else_that_is_withheld_costs_what_there_is() -> None:
    session = Session()
    session.up()
    [_withhold, closed] = session.look(announced=False, exempt_before=True)
    assert closed == closing(EndCause.RECORDING_STOPPED)


def test_without_a_notice_nothing_is_kept_until_it_was_given() -> None:
    session = Session()
    assert session.up(announced=False) == [rec.Withhold(reason=rec.Withheld.NOTICE)]
    [opened] = session.look()
    assert opened.number == 1
    [_withhold, closed] = session.look(announced=False)
    assert closed == closing(EndCause.RECORDING_STOPPED)


def test_without_a_notice_it_may_be_policy_to_record() -> None:
    session = Session(on_notice_failure="record")
    [opened] = session.up(announced=False)
    assert opened.number == 1


def test_officers_who_leave_outsiders_alone_end_what_is_recorded() -> None:
    session = Session()
    session.up()
    [withhold, closed] = session.look(who=parties(outsiders_only=True))
    assert withhold.reason is rec.Withheld.OUTSIDERS
    assert closed == closing(EndCause.TRANSFERRED)
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.RECORDED


def test_before_an_officer_is_there_nothing_is_recorded() -> None:
    session = Session()
    waits = session.up(awaits_officer=True)
    assert waits == [rec.Withhold(reason=rec.Withheld.NO_OFFICER)]
    assert session.moved().machine.phase is Phase.IDLE
    [opened] = session.look()
    assert opened.number == 1
    [_withhold, closed] = session.look(awaits_officer=True)
    assert closed == closing(EndCause.TRANSFERRED)
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.RECORDED


def test_who_leaves_the_queue_has_given_up() -> None:
    session = Session()
    session.up(awaits_officer=True)
    session.machine.left(EndCause.SESSION_ENDED)
    assert session.closed().outcome is Outcome.ABANDONED
