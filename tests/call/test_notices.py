from agent.call.commands import Play
from agent.call.notices import Notices
from tests.call.sessions import evidence


def test_notices_are_played_in_order() -> None:
    notices = Notices(("fi", "sv"))
    assert not notices.missing
    assert notices.play_next(("a",)) == Play(legs=("a",), sound="fi", notice=True)
    notices.note_played(evidence("fi"))
    assert not notices.finished
    assert notices.play_next(("a",)) == Play(legs=("a",), sound="sv", notice=True)
    notices.note_played(evidence("sv"))
    assert notices.finished
    assert notices.evidence == (evidence("fi"), evidence("sv"))


def test_whoever_comes_later_hears_them_all() -> None:
    notices = Notices(("fi",))
    notices.note_played(evidence("fi"))
    notices.begin_again()
    assert not notices.finished
    assert notices.play_next(("b2",)).sound == "fi"


def test_no_notice_is_never_a_finished_one() -> None:
    notices = Notices(())
    assert notices.missing
    assert not notices.finished
