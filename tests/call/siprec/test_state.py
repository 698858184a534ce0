"""What is kept of a recording session shows nobody's number, and is of one version."""

import msgspec

from agent.call.keeper import read
from agent.call.siprec.state import RecordingCallState
from agent.call.state import STATE_VERSION
from tests.call.siprec.sites import CALLER, Recorder


async def test_a_state_is_read_as_it_was_written_and_prints_nothing(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    state = site.call.state
    assert state is not None
    document = msgspec.msgpack.encode(state)
    found = read(document, RecordingCallState, STATE_VERSION)
    assert found == state
    assert not found.emergency
    kept = (state.machine, state.knowledge, state.streams, *state.streams.streams)
    for printed in (state, *kept):
        assert CALLER[1:] not in repr(printed)
        assert "96" not in repr(printed).replace(state.call_id, "")
    # It has its place among those of other calls.
    assert len(document) < 16 * 1024
