from agent.call.siprec.budget import BURST, SHARE, Budget
from agent.call.siprec.knowledge import UNREAD, Knowledge
from agent.call.siprec.reading import Reading
from agent.model.recording import UNDECIDED
from tests.call.siprec.client import Document
from tests.call.siprec.sites import CALLER, OFFICER, SECOND, TALK
from tests.call.siprec.test_knowledge import STREAMS, knowledge, message


class Timed:
    """A reading in which each look at the clock costs the same."""

    def __init__(self, *, cost: float) -> None:
        self.now = 0.0
        self.cost = cost
        self._used = 0.0
        self.budget = Budget()
        self.knowledge: Knowledge = knowledge()
        self.reading = Reading(
            self.knowledge, self.budget, now=lambda: self.now, ticks=self._ticks
        )

    def _ticks(self) -> float:
        self._used += self.cost
        return self._used


def test_what_is_affordable_is_read_and_charged() -> None:
    timed = Timed(cost=BURST / 4)
    document = timed.reading.take(message(TALK.xml))
    assert document is not None
    assert UNREAD not in document.flaws
    situation = timed.reading.situation(STREAMS)
    assert situation.parties.officers == (OFFICER,)
    assert not situation.behind
    assert not timed.reading.forbids(STREAMS)
    assert timed.budget.allows(0.0)
    timed.reading.forbids(STREAMS)
    assert not timed.budget.allows(0.0)


def test_a_message_that_tells_nothing_costs_nothing() -> None:
    timed = Timed(cost=BURST)
    assert timed.reading.take(message()) is None
    assert timed.budget.allows(0.0)


def test_beyond_it_a_document_is_kept_unread_and_asked_for_later() -> None:
    timed = Timed(cost=BURST)
    timed.reading.take(message(TALK.xml))
    other = Document({CALLER: "96", SECOND: "97"})
    document = timed.reading.take(message(other.xml))
    assert document is not None
    assert (document.xml, document.flaws) == (other.xml, (UNREAD,))
    assert timed.budget.unread == 1
    situation = timed.reading.situation(STREAMS)
    # Nothing was decided yet, and what was read is little.
    assert situation.parties.officers == (OFFICER,)
    assert (situation.incomplete, situation.behind) == (True, True)
    assert situation.going_on
    # Once it is told again, and there is something to be spent.
    timed.now += 3 * BURST / SHARE
    timed.cost = 0.0
    timed.reading.take(message(other.xml))
    situation = timed.reading.situation(STREAMS)
    assert situation.parties.officers == (SECOND,)
    assert (situation.incomplete, situation.behind) == (False, False)
    assert timed.budget.unread == 1


def test_a_part_that_is_read_does_not_make_up_for_what_was_not() -> None:
    timed = Timed(cost=BURST)
    timed.reading.take(message(TALK.xml))
    timed.reading.take(message(TALK.xml))
    timed.now += 2 * BURST / SHARE
    part = Document({CALLER: "96", SECOND: "97"}, mode="partial")
    timed.reading.take(message(part.xml))
    assert timed.reading.situation(STREAMS).behind
    restored = knowledge()
    restored.restore(timed.knowledge.state)
    assert restored.situation(STREAMS).behind


def test_beyond_it_parties_stay_as_they_were_decided() -> None:
    timed = Timed(cost=0.0)
    timed.reading.take(message(TALK.xml))
    assert timed.reading.situation(STREAMS[:1]).parties.officers == (OFFICER,)
    timed.budget.charge(2 * BURST)
    exempt = Document({CALLER: "96", "112": "97"})
    timed.knowledge.take(message(exempt.xml))
    situation = timed.reading.situation(STREAMS)
    assert situation.streams == STREAMS
    assert situation.parties.officers == (OFFICER,)
    assert situation.behind
    assert not timed.reading.forbids(STREAMS)
    timed.now += 2 * BURST / SHARE
    assert timed.reading.forbids(STREAMS)
    assert timed.reading.situation(STREAMS).parties.exempt


def test_who_was_never_told_of_is_undecided() -> None:
    timed = Timed(cost=0.0)
    timed.budget.charge(2 * BURST)
    timed.reading.take(message(TALK.xml))
    situation = timed.reading.situation(STREAMS)
    assert situation.parties.caller == UNDECIDED
    assert situation.going_on


def test_a_host_that_stood_still_costs_no_more_than_a_burst() -> None:
    timed = Timed(cost=3600.0)
    timed.reading.take(message(TALK.xml))
    timed.now += 0.1
    assert timed.budget.allows(timed.now)
