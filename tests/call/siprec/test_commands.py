from typing import get_args

from agent.call.siprec import commands as rec
from agent.call.siprec.recording_session import _CAUSES


def test_every_command_is_one_of_the_union() -> None:
    own = {
        found
        for found in vars(rec).values()
        if isinstance(found, type)
        and found.__module__ == rec.__name__
        and not issubclass(found, str)
    }
    assert own < set(get_args(rec.Command))


def test_whatever_forbids_it_a_segment_ends_for_a_cause() -> None:
    assert set(_CAUSES) == set(rec.Withheld)
