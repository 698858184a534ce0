from agent.media.strange_codecs import STRANGE_RUN, StrangeCodecs


def test_a_run_is_told_once_and_stays_heard() -> None:
    strange = StrangeCodecs()
    told = [strange.note(96) for _ in range(STRANGE_RUN + 20)]
    assert told.index(True) == STRANGE_RUN - 1
    assert told.count(True) == 1
    assert strange.heard == (96,)


def test_runs_of_several_codecs_are_told_apart() -> None:
    strange = StrangeCodecs()
    for _ in range(STRANGE_RUN):
        strange.note(98)
        strange.note(97)
    strange.note(3)
    assert strange.heard == (97, 98)


def test_what_is_no_codec_is_not_counted() -> None:
    strange = StrangeCodecs()
    assert not any(strange.note(13) for _ in range(STRANGE_RUN))
    assert not any(strange.note(72) for _ in range(STRANGE_RUN))
    assert strange.heard == ()


def test_a_negotiation_begins_anew() -> None:
    strange = StrangeCodecs()
    for _ in range(STRANGE_RUN):
        strange.note(96)
    strange.clear()
    assert strange.heard == ()
    assert not strange.note(96)
