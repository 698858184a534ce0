"""Main processes that take over from each other in the middle of calls."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.call.state import CallState
from agent.call.takeover import adopt
from agent.media.events import RecordingClosed
from agent.model.call import EndCause, Outcome
from agent.model.media import Direction
from agent.recording.ledger import LedgerRow
from agent.signalling.sip import core as sip
from tests.call.site import AGENT, Site, until

# Each of them again, and after every event another process takes over.
from tests.call.test_transfers import *  # noqa: F403
from tests.call.test_transfers_attended import *  # noqa: F403
from tests.call.test_transfers_replaces import *  # noqa: F403


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    made.restless = True
    yield made
    if hasattr(made, "joint"):
        await made.stop()


@pytest.fixture
async def calm(tmp_path: Path) -> AsyncIterator[Site]:
    """A site where another process takes over when the test says so."""
    made = Site(tmp_path)
    yield made
    await made.stop()


async def established(site: Site) -> None:
    site.trunk.call()
    await site.officer.heard(sip.Acknowledged)
    await until(lambda: site.media.verbs["grant_journal"], "a journal")
    await until(lambda: not site.recorder._tasks, "the envelope is durable")


def lose(site: Site, session: str) -> None:
    """Signalling has no such session any more, and nobody was told."""
    del site.core._sessions._by_id[session]


async def ended(site: Site, outcome: Outcome) -> LedgerRow:
    await until(lambda: not site.control.active_calls, "the call is over")
    await until(lambda: not len(site.control._tasks), "its row is closed")
    await until(lambda: not site.recorder.unfinished, "it is sealed")
    row = (await site.rows())[0]
    assert row.outcome == outcome
    return row


async def test_a_call_is_recorded_to_its_end_as_if_nothing_had_been(
    calm: Site,
) -> None:
    await calm.start()
    await established(calm)
    await calm.take_over()
    assert calm.control.active_calls == 1
    assert calm.recorder.unfinished == 1
    calm.trunk.hang_up()
    await calm.officer.heard(sip.Ended)
    await ended(calm, Outcome.RECORDED)
    (job,) = calm.finishers.jobs
    assert job.end.cause == EndCause.CALLER_HANGUP
    assert not any(calm.key_memory)
    assert calm.keeper.documents("") == {}


async def test_a_hold_of_before_is_a_hold_after(calm: Site) -> None:
    await calm.start()
    await established(calm)
    calm.officer.change(Direction.SENDONLY)
    await until(lambda: calm.trunk.direction is Direction.RECVONLY)
    await calm.take_over()
    calm.officer.change(Direction.SENDRECV)
    await until(lambda: calm.trunk.direction is Direction.SENDRECV)
    assert [mark.kind for mark in calm.media.marks] == ["hold", "resume"]


async def test_a_journal_that_closes_late_closes_the_row_of_a_call_before(
    calm: Site,
) -> None:
    await calm.start()
    await established(calm)
    calm.media.journals = False
    calm.trunk.hang_up()
    await calm.officer.heard(sip.Ended)
    await until(lambda: not calm.control.active_calls)
    await calm.take_over()
    (segment,) = calm.keeper.segments()
    calm.recorder.closed(
        RecordingClosed(
            recording=segment.recording_id, path="", packets=0, blocks=0, bytes=0
        )
    )
    await ended(calm, Outcome.RECORDED)
    assert calm.keeper.documents("") == {}


async def test_what_was_not_sealed_yet_is_sealed_by_who_takes_over(
    calm: Site,
) -> None:
    await calm.start()
    await established(calm)
    calm.finishers.failures = 1
    calm.trunk.hang_up()
    await until(lambda: calm.finishers.jobs, "a first attempt")
    (segment,) = calm.keeper.segments()
    assert segment.closed
    await calm.take_over()
    await ended(calm, Outcome.RECORDED)
    assert len(calm.finishers.jobs) == 2
    assert calm.finishers.jobs[0].journal_key == calm.finishers.jobs[1].journal_key


async def test_an_interrupted_recording_stays_one(calm: Site) -> None:
    await calm.start()
    await established(calm)
    (segment,) = calm.keeper.segments()
    calm.recorder.interrupted(segment.recording_id)
    await calm.take_over()
    calm.trunk.hang_up()
    await ended(calm, Outcome.PARTIAL)


async def test_a_call_that_was_being_set_up_is_cleared(calm: Site) -> None:
    await calm.start()
    calm.officer.answers = False
    calm.trunk.call()
    await calm.officer.heard(sip.InviteReceived)
    sessions = list(calm.core._sessions._by_id)
    assert len(sessions) == 2
    calm.keeper.commit()
    assert calm.keeper.calls() == []
    await calm.control.close()
    calm._connect_again()
    adopt(calm.control, (), (), sessions)
    calm.agent.flush()
    await calm.officer.heard(sip.Cancelled)
    await calm.trunk.heard(sip.Ended)


async def test_a_party_that_signalling_has_lost_has_left(calm: Site) -> None:
    await calm.start()
    await established(calm)
    [call] = calm.control._calls.values()
    session = call.names[0]
    lose(calm, session)
    await calm.take_over()
    await calm.officer.heard(sip.Ended)
    row = await ended(calm, Outcome.RECORDED)
    assert row.cause == EndCause.AGENT_DIED


@pytest.mark.parametrize("opened", [False, True])
async def test_a_transfer_whose_invite_was_never_sent_is_carried_out(
    calm: Site, opened: bool
) -> None:
    await calm.start()
    await established(calm)
    calm.media.gate = asyncio.Event()
    calm.officer.refer(f"sip:202@{AGENT}")
    await until(lambda: calm.media.told("open_leg")[2:], "its leg is opened")
    (call,) = calm.control._calls.values()
    if not opened:
        del call._legs._legs["b2"]  # type: ignore[attr-defined]
    calm.keeper.changed(call)
    calm.media.gate = None
    await calm.take_over()
    await calm.second.heard(sip.InviteReceived)
    await calm.officer.told(200)
    assert calm.control.active_calls == 1


async def test_a_transfer_whose_invite_signalling_has_lost_fails(calm: Site) -> None:
    await calm.start()
    await established(calm)
    calm.second.answers = False
    calm.officer.refer(f"sip:202@{AGENT}")
    await calm.second.heard(sip.InviteReceived)
    (call,) = calm.control._calls.values()
    lose(calm, call.names[-2])
    await calm.take_over()
    await calm.officer.told(502)
    assert calm.control.active_calls == 1


async def test_a_phone_that_was_about_to_take_over_is_refused(calm: Site) -> None:
    await calm.start()
    await established(calm)
    calm.media.gate = asyncio.Event()
    replaces = ("Replaces", calm.officer.replaces())
    calm.second.call("201", headers=[replaces])
    await until(lambda: calm.media.told("open_leg")[2:], "its leg is opened")
    (call,) = calm.control._calls.values()
    calm.keeper.changed(call)
    await calm.take_over()
    await calm.second.heard(sip.Refused)
    assert calm.control.active_calls == 1


async def test_a_call_whose_route_is_no_more_is_cleared(calm: Site) -> None:
    await calm.start()
    await established(calm)
    calm.keeper.commit()
    calls = calm.keeper.calls()
    sessions = list(calm.core._sessions._by_id)
    calm._connect_again()
    calm.joint.routes._routes = ()
    adopt(calm.control, calls, (), sessions)
    calm.agent.flush()
    await calm.officer.heard(sip.Ended)
    await calm.trunk.heard(sip.Ended)
    assert any(entry["event"] == "call_not_resumed" for entry in calm.log)


async def test_a_state_that_makes_no_sense_hurts_no_other_call(calm: Site) -> None:
    await calm.start()
    await established(calm)
    calm.keeper.commit()
    (state,) = calm.keeper.calls()
    assert isinstance(state, CallState)
    broken = msgspec.structs.replace(state, call_id="broken", legs=())
    calm._connect_again()
    keys = calm.keeper.keys.all()
    calm.recorder.resume(calm.keeper.segments(), keys, keys)
    adopt(calm.control, [broken, state], (), ())
    assert calm.control.active_calls == 1


async def test_a_call_past_us_goes_on(calm: Site) -> None:
    await calm.start()
    parties = (calm.officer, calm.trunk)
    calm.media.workers_up = 0
    calm.officer.call("112")
    await calm.trunk.heard(sip.Acknowledged)
    await until(lambda: not len(calm.control._tasks))
    await calm.take_over()
    assert calm.control.active_calls == 1
    invites = [party.core.invite_of(party.session) for party in parties]
    assert [calm.control.in_emergency(one.call_id) for one in invites] == [True, True]
    calm.trunk.hang_up()
    await calm.officer.heard(sip.Ended)
    await ended(calm, Outcome.EXEMPT)


async def test_a_call_past_us_without_one_of_its_ends_is_cleared(calm: Site) -> None:
    await calm.start()
    calm.media.workers_up = 0
    calm.officer.call("112")
    await calm.trunk.heard(sip.Acknowledged)
    (call,) = calm.control._calls.values()
    lose(calm, call.names[1])
    await calm.take_over()
    await calm.officer.heard(sip.Ended)


async def test_a_segment_whose_envelope_never_came_is_begun_anew(calm: Site) -> None:
    await calm.start()
    never = threading.Event()
    write = lambda *_: never.wait(1)  # noqa: E731
    calm.recorder._write_envelope = write  # type: ignore[method-assign]
    calm.trunk.call()
    await calm.officer.heard(sip.Acknowledged)
    await until(lambda: calm.media.begins, "a segment")
    await calm.take_over()
    await until(lambda: calm.media.verbs["grant_journal"], "another segment")
    never.set()
    first, second = calm.media.begins
    assert first.group == second.group
    calm.trunk.hang_up()
    row = await ended(calm, Outcome.PARTIAL)
    assert [recording.recording_id for recording in row.recordings] == [
        second.recording_id
    ]


async def test_a_segment_that_the_new_process_began_is_not_lost(calm: Site) -> None:
    await calm.start()
    slow, write = threading.Event(), calm.recorder._write_envelope

    def later(*arguments: Any) -> None:
        slow.wait(5)
        write(*arguments)

    calm.recorder._write_envelope = later  # type: ignore[method-assign]
    calm.trunk.call()
    await calm.officer.heard(sip.Acknowledged)
    await until(lambda: calm.media.begins, "a segment")
    (call,) = calm.control._calls.values()
    # An officer may answer while the calls of the process before are looked through.
    call.caught_up()
    slow.set()
    await until(lambda: calm.media.verbs["grant_journal"], "a journal")
    calm.trunk.hang_up()
    row = await ended(calm, Outcome.RECORDED)
    assert len(row.recordings) == len(calm.media.begins) == 1
