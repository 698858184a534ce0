"""The relay in this process: what the pool's tests see from outside, step by step."""

import random
from pathlib import Path

import pytest

from agent.common.clock import monotonic_ns
from agent.formats.journal_reading import read_journal
from agent.media import control, events
from agent.media.relay import Relay
from agent.model.call import EndCause
from tests.media.desks import SECOND, SOUND, Desk, Legs, play, start
from tests.media.phones import KEY, Phone, note_kinds


def test_a_bridge_breaks_off_what_plays_and_older_bridges(
    desk: Desk, legs: Legs
) -> None:
    desk.add_sound("s", SOUND)
    with Phone() as third:
        desk.open("t", third)
        desk.obey(control.Bridge(a="c", b="t"), play(loop=True))
        desk.obey(control.Bridge(a="c", b="o"))
        assert isinstance(desk.until(events.PlayEnded), events.PlayEnded)
        assert desk.relay._legs["t"].partner is None
        assert desk.relay._legs["c"].partner is desk.relay._legs["o"]


def test_the_end_closes_journals_and_says_so(
    desk: Desk, legs: Legs, tmp_path: Path
) -> None:
    path = tmp_path / "r.0.journal"
    command = start(path)
    desk.obey(command, control.Grant(recording=command.recording))
    other = Desk()
    other.relay.finish(EndCause.AGENT_DIED)
    other.loop.close()
    assert other.told == []
    desk.relay.finish(EndCause.AGENT_DIED)
    kinds = [type(event) for event in desk.told]
    assert kinds.count(events.LegClosed) == 2
    assert events.RecordingClosed in kinds
    journal = read_journal(path.read_bytes(), KEY)
    assert journal.complete
    notes = [record[0] for record in journal.records if len(record) == 1]
    assert note_kinds(notes) == ["begin", "agent-died"]
    desk.relay = Relay(
        desk.loop,
        desk.told.append,
        timeout=60.0,
        one_way_after=0.0,
        silent_after=0.0,
        fsync_interval=1.0,
        rng=random.Random(1),
    )


def test_reports_are_sent_every_few_seconds(
    desk: Desk, legs: Legs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.media.reports.INTERVAL", 0.01)
    with Phone() as phone:
        desk.open("p", phone)
        desk.loop.call_at(monotonic_ns() + SECOND // 5, lambda _: desk.loop.stop())
        desk.loop.run()
        assert phone.rtcp.recv(2000)
        assert phone.rtcp.recv(2000)
    # With each the main process is told how it stands with the leg.
    measured = [told for told in desk.told if isinstance(told, events.LegMeasured)]
    assert "p" in {told.leg for told in measured}
    assert all(told.stats.opened_ns for told in measured)
