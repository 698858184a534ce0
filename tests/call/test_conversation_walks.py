from hypothesis import given, strategies as st

from agent.call import commands as do
from agent.model.call import EndCause
from tests.call.sessions import evidence
from tests.call.talks import COLLEAGUE, OUTSIDE, Talk

WALK = (
    "transfer",
    "outside",
    "replaced",
    "surrendered",
    "back",
    "ringing",
    "answered",
    "refused",
    "redirected",
    "left a",
    "left other",
    "officer",
    "queue",
    "notice",
    "no notice",
    "failed",
    "silent",
    "timer",
    "stop",
)


def step(talk: Talk, action: str, now: float) -> None:
    it = talk.it
    rung = min(it.hunt.ringing, default="b1")
    other = it.talkers[-1]
    match action:
        case "transfer":
            it.transfer(other, COLLEAGUE, now, held=int(now) % 2 == 0)
        case "outside":
            it.transfer(it.talkers[0], OUTSIDE, now, held=True)
        case "replaced":
            it.replaced(other, f"c{now}", now, officer=now > 5, announced=now > 9)
        case "surrendered":
            it.surrendered(other, now)
        case "back":
            it.taken_back(other, now)
        case "ringing":
            it.target_ringing(rung, now)
        case "answered":
            it.target_answered(rung, now)
        case "refused":
            it.hunt.refused(rung, 486, now)
        case "redirected":
            it.hunt.redirected(rung, (f"sip:{now}@h",), now)
        case "left a":
            it.left(it.talkers[0], now)
        case "left other":
            it.left(other, now, cause=EndCause.SIGNALLING_TIMEOUT)
        case "officer":
            it.identified(other, now, officer=True)
        case "queue":
            it.identified(other, now, officer=False)
        case "notice":
            it.notice_played(evidence(), now)
        case "no notice":
            it.notice_failed(now)
        case "failed":
            it.recording_failed("x", now, kept=True)
        case "silent":
            it.media_timeout(now)
        case "timer":
            it.handle_timer(it.get_timer() or now)
        case _:
            it.stop(now)


@given(st.lists(st.sampled_from(WALK), max_size=30), st.booleans())
def test_any_walk_keeps_the_promises(walk: list[str], policy: bool) -> None:
    talk = Talk(on_notice_failure="unrecorded" if policy else "refuse")
    for now, action in enumerate(walk, start=1):
        if talk.causes:
            break
        step(talk, action, float(now))
        # What is recorded has an officer in it, and a bridge has two ends.
        officers = talk.it._officers & set(talk.it.talkers)
        assert not talk.segments.is_open or officers
        assert not talk.segments.is_open or len(talk.it.talkers) == 2
    talk.it.stop(99.0)
    assert len(talk.causes) == 1
    assert not talk.segments.is_open
    assert not talk.it.hunt.ringing
    assert talk.it.get_timer() is None
    seen = talk.begun + talk.take()
    opened = [c for c in seen if isinstance(c, do.OpenRecording)]
    closed = [c for c in seen if isinstance(c, do.CloseRecording)]
    assert len(opened) == len(closed)
    rung = {c.leg for c in seen if isinstance(c, do.Invite)}
    assert not talk.it.rings(min(rung, default=""))
