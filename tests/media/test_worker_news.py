from pathlib import Path

import pytest

from agent.formats.rtp.rtcp import Bye, parse_compound
from agent.media.events import (
    Latched,
    LegClosed,
    LegMeasured,
    LegStats,
    MediaEvent,
    MediaHeard,
    MediaQuiet,
    PlayEnded,
)
from agent.media.figures import Figures
from agent.media.worker_news import WorkerNews
from agent.model.media import Direction
from tests.media.pairs import (
    FIRST,
    talk,
)
from tests.media.phones import Phone, Site, audio_bytes, site


@pytest.mark.parametrize(("leg", "name"), [("c", "unknown"), ("nobody", "notice")])
async def test_what_cannot_be_played_is_told(
    running: Site, customer: Phone, leg: str, name: str
) -> None:
    await running.connect("call", "c", customer)
    token = running.pool.play(leg, [name])
    ended = await running.event(PlayEnded)
    assert (ended.token, ended.completed, ended.frames) == (token, False, 0)


async def test_silence_is_told_and_its_end(
    tmp_path: Path, customer: Phone, officer: Phone
) -> None:
    async with site(tmp_path, ports=(FIRST, FIRST + 99), timeout_s=0.1) as running:
        held = Direction.SENDONLY
        await running.connect("call", "o", officer, direction=held)
        await running.connect("call", "c", customer)
        quiet = await running.event(MediaQuiet)
        assert quiet.leg == "c"
        assert 0.1 <= quiet.seconds < 10
        # On a busy machine what was said may be long ago when the worker looks.
        while not running.told(MediaHeard):
            customer.say(audio_bytes(customer.sequence))
            await running.settle()
        heard = await running.event(MediaHeard)
        assert heard.leg == "c"
        before = running.events[: running.events.index(heard)]
        assert [event.leg for event in before if isinstance(event, MediaQuiet)] == ["c"]


async def test_the_end_of_a_leg_says_goodbye(running: Site, customer: Phone) -> None:
    await running.connect("call", "c", customer)
    running.pool.play("c", ["notice"])
    source = (await customer.hear()).ssrc
    running.pool.close_leg("c")
    report = parse_compound(await customer.hear_rtcp())
    assert report[-1] == Bye((source,))
    assert not (await running.event(PlayEnded)).completed
    await running.event(LegClosed)
    # Void, all of them: the leg is gone.
    running.pool.close_leg("c")
    running.pool.configure("c", customer.negotiated())
    running.pool.stop_playing("c")
    running.pool.unbridge("c")
    running.pool.bridge("c", "c")


async def test_the_figures_of_each_leg_are_kept(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    news, figures = running.pool._news, running.pool.figures
    news.told(LegMeasured(leg="c", stats=LegStats(opened_ns=1, received=7)))
    news.told(LegMeasured(leg="nobody", stats=LegStats(received=7)))
    told = figures.of("c")
    assert told is not None
    assert told.received == 7
    assert len(figures) == 1
    assert not running.told(LegMeasured)
    for leg in ("c", "o"):
        running.pool.close_leg(leg)
    last = [await running.event(LegClosed), await running.event(LegClosed)]
    sent = sum(event.stats.sent for event in last)
    assert figures.totals.sent == sent > 0


def test_what_is_told_of_calls_nobody_knows_of_yet_is_kept_back() -> None:
    heard: list[MediaEvent] = []
    news = WorkerNews(heard.append, Figures(0), held=True)
    report = Latched(leg="a")
    news.told(report)
    assert heard == []
    assert news.release() == [report]
    news.told(report)
    assert heard == [report]
    assert news.release() == []
