"""What tables hold is asserted by `test_metadata_state.py`; here, what it costs."""

import gc
import time
import tracemalloc
from collections.abc import Callable

import pytest

from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Flaw,
    NameId,
    Participant,
    ParticipantSession,
    ParticipantStreams,
    RecordingMetadata,
    Stream,
)
from agent.signalling.siprec.metadata_state import MetadataState
from agent.signalling.siprec.metadata_tables import MAX_KNOWN, MetadataTables


def nowhere(count: int) -> RecordingMetadata:
    """Members of no session they name, and as many sessions."""
    return RecordingMetadata(
        sessions=tuple(CommunicationSession(f"s{n}") for n in range(count)),
        participant_sessions=tuple(
            ParticipantSession(f"p{n}", "") for n in range(count)
        ),
    )


def everywhere(count: int) -> RecordingMetadata:
    """One who leaves and comes without saying which session, again and again."""
    return RecordingMetadata(
        sessions=tuple(CommunicationSession(f"s{n}") for n in range(count)),
        participants=(Participant("p"),),
        participant_sessions=(
            *(ParticipantSession("p", f"s{n}") for n in range(count)),
            *(ParticipantSession("p", "", n, n) for n in range(count)),
        ),
    )


def one_heard_on_all(count: int) -> RecordingMetadata:
    return RecordingMetadata(
        participants=(Participant("p"),),
        streams=tuple(Stream(f"s{n}", "", f"{n}") for n in range(count)),
        participant_streams=tuple(
            ParticipantStreams("p", frozenset((f"s{n}",)), frozenset((f"s{n}",)))
            for n in range(count)
        ),
    )


def unassociated(count: int) -> RecordingMetadata:
    return RecordingMetadata(
        sessions=tuple(CommunicationSession(f"s{n}") for n in range(count)),
        participants=tuple(Participant(f"p{n}") for n in range(count)),
    )


def one_id_for_all(count: int) -> RecordingMetadata:
    return RecordingMetadata(
        sessions=(CommunicationSession("a", "a"),) * count,
        participants=(Participant("a"),) * count,
        streams=(Stream("a", "a", "a"),) * count,
        participant_sessions=(ParticipantSession("a", "a"),) * count,
    )


@pytest.mark.parametrize(
    "hostile", [nowhere, everywhere, one_heard_on_all, unassociated, one_id_for_all]
)
def test_whatever_is_said_costs_in_proportion(
    hostile: Callable[[int], RecordingMetadata],
) -> None:
    def cost(count: int) -> float:
        """Seconds of the processor, at best, for a snapshot and a change."""
        snapshot = hostile(count)
        best = 9.0
        gc.disable()
        try:
            for _ in range(3):
                state = MetadataState()
                begin = time.process_time()
                state.apply(snapshot)
                state.apply(RecordingMetadata(complete=False))
                best = min(best, time.process_time() - begin)
        finally:
            gc.enable()
        return best

    assert cost(2000) < 40 * cost(200)


def test_memory_is_bounded_over_the_years() -> None:
    state = MetadataState()
    tracemalloc.start()
    try:
        for day in range(300):
            name = f"{day}-{'x' * 10_000}"
            state.apply(
                RecordingMetadata(
                    complete=day == 0,
                    sessions=(CommunicationSession(name, started=day),),
                    participants=(Participant(name, (NameId(name),)),),
                )
            )
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * MAX_KNOWN


def test_tables_are_filled_as_they_were() -> None:
    tables = MetadataTables()
    flaws: dict[Flaw, None] = {}
    tables.merge(one_id_for_all(1), flaws)
    assert list(flaws) == [Flaw.DUPLICATE_ID, Flaw.UNKNOWN_GROUP]
    again = MetadataTables()
    again.fill(tables.as_document)
    assert again.as_document == tables.as_document
    assert again.is_member("a", "a")
    assert not again.is_over("a")
    assert [one.id for one in again.going_on] == ["a"]
