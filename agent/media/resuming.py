"""The calls of an earlier main process, taken up where it left them."""

from collections.abc import Mapping, Sequence

from agent.media.crew import Crew
from agent.media.errors import NoPortsError
from agent.media.legs import Legs
from agent.media.memory import LegMemory, RecordingMemory
from agent.media.recordings import Recordings
from agent.media.state import MediaState


async def resume(
    states: Sequence[MediaState],
    keys: Mapping[str, bytes],
    crew: Crew,
    legs: Legs,
    recordings: Recordings,
) -> None:
    """Put the legs and recordings of each call in place.

    What no worker has is told to one anew: the ports are the same, and the gap is
    stated. A leg whose port somebody else has taken is told to be closed.
    """
    for state in states:
        worker = await crew.for_call(state.call)
        for leg in state.legs:
            try:
                ports = legs.ports.claim(leg.host, leg.port)
            except NoPortsError:
                legs.refuse(leg.leg)
                continue
            legs.add(LegMemory.of(leg, state.call, worker, ports))
        for leg in state.legs:
            one, other = legs.get(leg.leg), legs.get(leg.partner)
            if one is not None and other is not None:
                one.join(other)
        legs.tell_anew(state.call)
        recordings.resume(
            RecordingMemory.of(recording, state.call, worker, key)
            for recording in state.recordings
            if (key := keys.get(recording.recording)) is not None
        )
        legs.listen(state.call)
