from agent.signalling.sip.answers import (
    MAX_ANSWERS,
    MAX_SECONDS,
    MIN_SECONDS,
    STALE_SECONDS,
    AnswerCache,
)
from agent.signalling.sip.resolution import Question

ASKED = Question("a.example", "A")


def test_an_answer_lives_as_long_as_it_says_within_bounds() -> None:
    cache = AnswerCache()
    assert cache.get(ASKED, 0.0) is None
    for ttl, seconds in ((60.0, 60.0), (0.0, MIN_SECONDS), (1e6, MAX_SECONDS)):
        cache.put(ASKED, ["192.0.2.1"], ttl, 0.0)
        assert cache.get(ASKED, seconds - 0.1) == ["192.0.2.1"]
        assert cache.get(ASKED, seconds) is None
        assert cache.stale(ASKED, seconds) == ["192.0.2.1"]
        assert cache.stale(ASKED, seconds + STALE_SECONDS) is None


def test_the_longest_unused_is_forgotten() -> None:
    cache = AnswerCache()
    for number in range(MAX_ANSWERS):
        cache.put(Question(f"h{number}", "A"), [], 60.0, 0.0)
    cache.get(Question("h0", "A"), 1.0)
    cache.put(ASKED, [], 60.0, 1.0)
    assert len(cache) == MAX_ANSWERS
    assert cache.get(Question("h0", "A"), 1.0) == []
    assert cache.get(Question("h1", "A"), 1.0) is None
