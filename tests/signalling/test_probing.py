import random

from agent.signalling.probing import PeerChanged, PeerState, Probing


def probing(**intervals: float) -> Probing:
    return Probing(intervals, rng=random.Random(1), now=0.0)


def probe(state: Probing, status: int, now: float) -> list[PeerChanged]:
    """One probe of the only peer, due by `now`, with its answer."""
    [name] = state.due(now)
    state.answered(name, status, now)
    found = []
    while (event := state.next_event()) is not None:
        found.append(event)
    return found


def test_who_is_not_probed_is_never_known() -> None:
    state = probing(pbx=0.0)
    assert state.get_timer() is None
    assert state.due(1e9) == []
    assert state.state_of("pbx") is PeerState.UNKNOWN
    assert not state.is_down("pbx")


def test_the_first_probe_comes_soon_and_the_next_after_the_answer() -> None:
    state = probing(pbx=30.0)
    first = state.get_timer()
    assert first is not None
    assert first < 1.0
    assert state.due(first) == ["pbx"]
    assert state.get_timer() is None
    state.answered("pbx", 200, 5.0)
    at = state.get_timer()
    assert at is not None
    assert 5.0 + 27.0 <= at <= 5.0 + 33.0


def test_up_at_the_first_answer_whatever_it_says() -> None:
    for status in (200, 404, 405, 486):
        state = probing(pbx=10.0)
        assert probe(state, status, 1.0) == [PeerChanged("pbx", PeerState.UP)]
        assert probe(state, status, 20.0) == []
        assert state.stats.ups == 1


def test_down_at_the_second_silence_and_up_at_the_second_answer() -> None:
    state = probing(pbx=10.0)
    probe(state, 200, 1.0)
    assert probe(state, 408, 20.0) == []
    assert probe(state, 200, 40.0) == []  # one lost answer is none
    assert probe(state, 408, 60.0) == []
    assert probe(state, 503, 80.0) == [PeerChanged("pbx", PeerState.DOWN)]
    assert state.is_down("pbx")
    assert probe(state, 200, 100.0) == []
    assert probe(state, 408, 120.0) == []
    assert probe(state, 200, 140.0) == []
    assert probe(state, 200, 160.0) == [PeerChanged("pbx", PeerState.UP)]
    stats = state.stats
    assert (stats.sent, stats.answered, stats.failed) == (9, 5, 4)
    assert (stats.ups, stats.downs) == (2, 1)


def test_a_peer_that_was_never_there_is_down() -> None:
    state = probing(pbx=10.0)
    assert probe(state, 408, 1.0) == []
    assert probe(state, 408, 20.0) == [PeerChanged("pbx", PeerState.DOWN)]
