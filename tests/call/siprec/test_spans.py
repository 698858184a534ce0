from agent.call.commands import PauseRecording
from agent.call.siprec.spans import Span, changes, recorded, spans_of

LEGS = ("s1", "s2")
PAUSED = PauseRecording(by="mqtt", reason="card", seconds=60.0)


def test_one_silent_stream_is_marked_alone_and_all_are_marked_together() -> None:
    assert spans_of(LEGS, inactive=(), held=(), paused=None) == ()
    assert spans_of(LEGS, inactive=("s2",), held=("s1",), paused=None) == (
        Span("inactive", 1, "src"),
        Span("hold", 0),
    )
    assert spans_of(LEGS, inactive=("s2", "s1"), held=LEGS, paused=None) == (
        Span("pause", None, "src", "inactive"),
        Span("hold", None),
    )


def test_who_has_it_paused_stands_for_all_streams() -> None:
    spans = spans_of(LEGS, inactive=LEGS, held=(), paused=PAUSED)
    assert spans == (Span("pause", None, "mqtt", "card"),)
    assert (spans[0].begin, spans[0].end) == ("pause-begin", "pause-end")


def test_spans_of_one_kind_never_overlap_on_a_stream() -> None:
    one = spans_of(LEGS, inactive=("s1",), held=(), paused=None)
    both = spans_of(LEGS, inactive=LEGS, held=(), paused=None)
    over, new = changes(one, both)
    assert over == [Span("inactive", 0, "src")]
    assert new == [Span("pause", None, "src", "inactive")]
    assert changes(both, both) == ([], [])


def test_what_is_kept_is_what_nobody_silenced() -> None:
    def kept(paused: PauseRecording | None = None) -> frozenset[str]:
        return recorded((*LEGS, "s3"), inactive=("s1",), held=("s2",), paused=paused)

    assert kept() == {"s3"}
    assert kept(PAUSED) == frozenset()
