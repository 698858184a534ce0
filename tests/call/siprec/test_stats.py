from agent.call.siprec.commands import Withheld
from agent.call.siprec.parties import Basis
from agent.call.siprec.stats import SessionStats


def test_nothing_has_been_counted_at_the_start_and_each_has_its_own() -> None:
    stats, other = SessionStats(), SessionStats()
    stats.segments[Basis.RULE] += 1
    stats.withheld[Withheld.EXEMPT] += 1
    assert [other.segments[one] for one in Basis] == [0] * len(Basis)
    assert [other.withheld[one] for one in Withheld] == [0] * len(Withheld)
