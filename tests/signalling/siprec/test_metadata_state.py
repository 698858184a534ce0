"""Documents applied in their order; the flows of RFC 8068 are in `test_flows.py`."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Extension,
    Flaw,
    Group,
    NameId,
    Participant,
    ParticipantSession,
    ParticipantStreams,
    RecordingMetadata,
    SessionRecording,
    Stream,
)
from agent.signalling.siprec.metadata_state import (
    MAX_STATE,
    KnownMetadata,
    MetadataState,
)
from agent.signalling.siprec.metadata_tables import MAX_KNOWN

ALICE = Participant("a", (NameId("sip:alice@x"),))
BOB = Participant("b", (NameId("sip:bob@x"),))
CAROL = Participant("c", (NameId("sip:carol@x"),))
CALL = RecordingMetadata(
    groups=(Group("g"),),
    sessions=(CommunicationSession("s", "g", started=1),),
    participants=(ALICE, BOB),
    streams=(Stream("x", "s", "1"), Stream("y", "s", "2")),
    participant_sessions=(ParticipantSession("a", "s"), ParticipantSession("b", "s")),
    participant_streams=(
        ParticipantStreams("a", frozenset("x"), frozenset("y")),
        ParticipantStreams("b", frozenset("y"), frozenset("x")),
    ),
)

People = list[tuple[str, str, str, str]]


def partial(**parts: object) -> RecordingMetadata:
    return RecordingMetadata(complete=False, **parts)  # type: ignore[arg-type]


def people(state: MetadataState) -> People:
    """Who is in which session, heard where, hearing where."""
    return [
        (
            one.participant.id,
            one.session,
            "".join(sorted(one.sends)),
            "".join(sorted(one.receives)),
        )
        for one in state.present
    ]


def call(*documents: RecordingMetadata) -> MetadataState:
    """A state after these; nothing was wrong with them."""
    state = MetadataState()
    for document in (CALL, *documents):
        assert state.apply(document) == ()
    return state


TALKING: People = [("a", "s", "1", "2"), ("b", "s", "2", "1")]


def test_nothing_is_known_at_first() -> None:
    state = MetadataState()
    assert (state.known, state.needs_snapshot, state.ended) == (False, False, False)
    assert (state.group, state.sessions, state.present) == ("", (), ())


def test_a_complete_document_says_who_talks() -> None:
    state = call()
    assert state.known
    assert not state.needs_snapshot
    assert state.group == "g"
    assert state.groups == CALL.groups
    assert state.sessions == CALL.sessions
    assert state.participants == CALL.participants
    assert state.streams == CALL.streams
    assert people(state) == TALKING
    assert "alice" not in repr(state.present)


def test_a_complete_document_replaces_all() -> None:
    other = RecordingMetadata(sessions=(CommunicationSession("t"),))
    state = call(other)
    assert state.sessions == other.sessions
    assert (state.group, state.participants, state.present) == ("", (), ())


def test_on_hold_nobody_is_heard_and_then_again() -> None:
    hold = partial(participant_streams=(ParticipantStreams("a"),))
    state = call(hold)
    assert people(state) == [("a", "s", "", ""), ("b", "s", "2", "1")]
    state.apply(partial(participant_streams=CALL.participant_streams))
    assert people(state) == TALKING


def test_who_leaves_is_gone_and_may_come_back() -> None:
    state = call(partial(participant_sessions=(ParticipantSession("a", "s", None, 5),)))
    assert people(state) == TALKING[1:]
    state.apply(partial(participant_sessions=(ParticipantSession("a", "s", 6),)))
    assert people(state) == TALKING
    both = (ParticipantSession("a", "s", 8), ParticipantSession("a", "s", 6, 7))
    state.apply(partial(participant_sessions=both))
    assert people(state) == TALKING


def test_who_leaves_without_saying_what_leaves_all() -> None:
    state = call(partial(participant_sessions=(ParticipantSession("a", "", None, 5),)))
    assert people(state) == TALKING[1:]


def test_who_comes_without_saying_where_comes_to_the_session_going_on() -> None:
    more = partial(
        participants=(CAROL,), participant_sessions=(ParticipantSession("c", ""),)
    )
    assert people(call(more)) == [*TALKING, ("c", "s", "", "")]


def test_a_partial_document_changes_only_what_it_names() -> None:
    more = Extension("n", "e")
    state = call(
        partial(
            groups=(Group("g", 3),),
            sessions=(CommunicationSession("s", reason="r", sip_session_ids=("i",)),),
            participants=(Participant("a", (), (more,)),),
            streams=(Stream("x", "", "3"),),
            extensions=(more,),
        )
    )
    assert state.groups == (Group("g", 3),)
    assert state.sessions == (
        CommunicationSession("s", "g", ("i",), started=1, reason="r"),
    )
    assert state.participants == (Participant("a", ALICE.name_ids, (more,)), BOB)
    assert state.streams == (Stream("x", "s", "3"), Stream("y", "s", "2"))
    assert state.extensions == (more,)
    assert people(state) == [("a", "s", "3", "2"), ("b", "s", "2", "3")]


def test_a_label_is_of_the_stream_that_took_it_last() -> None:
    state = call(partial(streams=(Stream("z", "s", "1"),)))
    assert people(state) == [("a", "s", "", "2"), ("b", "s", "2", "")]


def test_streams_of_a_participant_end_one_by_one_or_all() -> None:
    one = ParticipantStreams("a", frozenset("x"), frozenset(), None, 5)
    assert people(call(partial(participant_streams=(one,))))[0] == ("a", "s", "", "2")
    every = ParticipantStreams("a", disassociated=5)
    assert people(call(partial(participant_streams=(every,))))[0] == ("a", "s", "", "")
    nobody = ParticipantStreams("c", disassociated=5)
    member = (ParticipantSession("c", "s"),)
    more = partial(
        participants=(CAROL,),
        participant_sessions=member,
        participant_streams=(nobody,),
    )
    assert people(call(more))[-1] == ("c", "s", "", "")


def test_several_associations_of_one_document_are_one() -> None:
    two = (
        ParticipantStreams("a", frozenset("x")),
        ParticipantStreams("a", frozenset("y"), frozenset("y")),
    )
    assert people(call(partial(participant_streams=two)))[0] == ("a", "s", "12", "2")


@pytest.mark.parametrize(
    "over",
    [
        partial(sessions=(CommunicationSession("s", stopped=5),)),
        partial(session_recordings=(SessionRecording("s", None, 5),)),
    ],
)
def test_a_session_ends_and_another_begins(over: RecordingMetadata) -> None:
    state = call(over)
    assert state.ended
    assert (state.sessions, state.present) == ((), ())
    assert state.group == "g"
    state.apply(partial(participants=(CAROL,)))
    assert state.ended
    state.apply(
        partial(
            sessions=(CommunicationSession("t", "h"),),
            groups=(Group("h"),),
            participant_sessions=(ParticipantSession("a", "t"),),
        )
    )
    assert not state.ended
    assert state.group == "h"
    assert people(state)[0] == ("a", "t", "1", "2")


def test_a_group_that_no_session_names_is_theirs_if_it_is_the_only() -> None:
    groups = (Group("g"), Group("h"))
    state = MetadataState()
    state.apply(RecordingMetadata(groups=groups[:1]))
    assert state.group == "g"
    state.apply(RecordingMetadata(groups=groups))
    assert state.group == ""


def test_who_consults_is_heard_elsewhere_in_each_session() -> None:
    state = call(
        partial(
            sessions=(CommunicationSession("t"),),
            participants=(CAROL,),
            streams=(Stream("z", "t", "3"), Stream("w", "t", "4")),
            participant_sessions=(
                ParticipantSession("a", "t"),
                ParticipantSession("c", "t"),
            ),
            participant_streams=(
                ParticipantStreams("a", frozenset("xz"), frozenset("yw")),
                ParticipantStreams("c", frozenset("w"), frozenset("z")),
            ),
        )
    )
    assert people(state) == [
        *(("a", "s", "1", "2"), ("a", "t", "3", "4"), ("b", "s", "2", "1")),
        ("c", "t", "4", "3"),
    ]


def test_a_participant_of_no_session_is_in_that_of_their_streams() -> None:
    state = MetadataState()
    document = msgspec.structs.replace(CALL, participant_sessions=())
    assert state.apply(document) == (Flaw.NOT_ASSOCIATED,)
    assert people(state) == TALKING


def test_a_participant_without_streams_too_is_in_the_only_session() -> None:
    state = MetadataState()
    document = msgspec.structs.replace(
        CALL, participant_sessions=(), participant_streams=()
    )
    assert state.apply(document) == (Flaw.NOT_ASSOCIATED,)
    assert people(state) == [("a", "s", "", ""), ("b", "s", "", "")]


def test_a_partial_document_first_is_kept_and_more_is_asked_for() -> None:
    state = MetadataState()
    first = partial(
        participants=(ALICE,), participant_sessions=CALL.participant_sessions
    )
    assert state.apply(first) == (
        *(Flaw.PARTIAL_FIRST, Flaw.UNKNOWN_SESSION, Flaw.UNKNOWN_PARTICIPANT),
    )
    assert state.needs_snapshot
    assert not state.known
    assert people(state) == [("a", "s", "", "")]
    assert state.apply(CALL) == ()
    assert state.known
    assert not state.needs_snapshot


def test_what_cannot_be_read_asks_for_a_snapshot() -> None:
    state = call()
    state.missed()
    assert state.needs_snapshot
    state.apply(CALL)
    assert not state.needs_snapshot
    other = RecordingMetadata(complete=False, flaws=(Flaw.NOT_METADATA,))
    assert state.apply(other) == (Flaw.NOT_METADATA,)
    assert state.needs_snapshot
    assert people(state) == TALKING


@pytest.mark.parametrize(
    ("document", "flaw"),
    [
        (partial(sessions=(CommunicationSession("t", "?"),)), Flaw.UNKNOWN_GROUP),
        (partial(streams=(Stream("z", "?", "3"),)), Flaw.UNKNOWN_SESSION),
        (partial(session_recordings=(SessionRecording("?"),)), Flaw.UNKNOWN_SESSION),
        (
            partial(participant_sessions=(ParticipantSession("a", "?"),)),
            Flaw.UNKNOWN_SESSION,
        ),
        (
            partial(participant_sessions=(ParticipantSession("?", "s"),)),
            Flaw.UNKNOWN_PARTICIPANT,
        ),
        (
            partial(participant_streams=(ParticipantStreams("?"),)),
            Flaw.UNKNOWN_PARTICIPANT,
        ),
        (
            partial(participant_streams=(ParticipantStreams("a", frozenset("?")),)),
            Flaw.UNKNOWN_STREAM,
        ),
        (partial(participants=(Participant("s"),)), Flaw.DUPLICATE_ID),
        (partial(streams=(Stream("a", "s", "3"),)), Flaw.DUPLICATE_ID),
    ],
)
def test_what_contradicts_what_is_known_is_flagged(
    document: RecordingMetadata, flaw: Flaw
) -> None:
    state = call()
    assert flaw in state.apply(document)
    assert state.known


def test_the_flaws_of_the_document_are_among_them() -> None:
    document = msgspec.structs.replace(CALL, flaws=(Flaw.TIME,))
    assert MetadataState().apply(document) == (Flaw.TIME,)


def test_a_state_goes_on_elsewhere() -> None:
    left = (ParticipantSession("b", "s", None, 5),)
    state = call(partial(participant_sessions=left, extensions=(Extension("n", "e"),)))
    packed = msgspec.msgpack.encode(state.state)
    other = MetadataState()
    other.restore(msgspec.msgpack.decode(packed, type=KnownMetadata))
    assert other.state == state.state
    assert people(other) == people(state) == TALKING[:1]
    assert other.known
    assert other.group == "g"
    assert other.extensions == state.extensions
    stopped = partial(sessions=(CommunicationSession("s", stopped=7),))
    assert other.apply(stopped) == state.apply(stopped)
    again = MetadataState()
    again.restore(other.state)
    assert again.ended


def test_extensions_are_of_what_goes_on_and_of_the_document() -> None:
    one, two, three, four = (Extension("n", name) for name in "abcd")
    state = call(
        partial(
            groups=(Group("g", extensions=(one,)), Group("h", extensions=(two,))),
            sessions=(CommunicationSession("s", extensions=(three,)),),
            extensions=(four,),
        )
    )
    assert state.extensions == (three, one, four)
    state.apply(partial(sessions=(CommunicationSession("s", stopped=5),)))
    assert state.extensions == (four,)


def test_what_is_too_much_for_the_next_process_is_asked_for_there() -> None:
    state = call()
    long = Extension("n", "e", text="x" * MAX_STATE)
    state.apply(partial(extensions=(long,)))
    assert state.known
    other = MetadataState()
    other.restore(state.state)
    assert (other.known, other.needs_snapshot, other.present) == (False, True, ())
    other.apply(CALL)
    assert people(other) == TALKING
    packed = msgspec.msgpack.encode(other.state)
    assert len(packed) < MAX_STATE / 50


def test_what_is_kept_is_bounded() -> None:
    state = call()
    long = "x" * (MAX_KNOWN // 4)
    for number in range(10):
        name = Participant(f"p{number}", (NameId(long),))
        flaws = state.apply(partial(participants=(name,)))
    assert Flaw.TOO_MANY in flaws
    assert len(state.participants) <= 6
    assert people(state)[:2] == TALKING


def test_members_and_streams_are_bounded_too() -> None:
    state = call()
    long = "x" * (MAX_KNOWN // 3)
    for number in range(6):
        member = ParticipantSession(f"p{number}", long)
        flaws = state.apply(partial(participant_sessions=(member,)))
    assert Flaw.TOO_MANY in flaws
    assert people(state) == TALKING


def test_who_is_elsewhere_too_is_not_forgotten() -> None:
    note = Extension("n", "e", text="x" * (MAX_KNOWN // 2))
    state = call(
        partial(
            sessions=(CommunicationSession("t"),),
            participant_sessions=(ParticipantSession("a", "t"),),
            extensions=(note,),
        ),
        partial(sessions=(CommunicationSession("s", stopped=5),)),
    )
    state.apply(partial(participant_sessions=(ParticipantSession("?", "t"),)))
    assert people(state) == [("a", "t", "", "")]
    assert state.participants == (ALICE,)
    assert state.sessions == (CommunicationSession("t"),)
    assert state.group == ""
    state.apply(
        partial(
            sessions=(CommunicationSession("t", stopped=6), CommunicationSession("u")),
        )
    )
    state.apply(partial(participants=(CAROL,)))
    assert state.participants == (CAROL,)


def test_what_is_over_makes_room_for_what_goes_on() -> None:
    state = call(partial(session_recordings=(SessionRecording("s", 1),)))
    for number in range(60):
        session, person = f"s{number}", f"p{number}"
        note = Extension("n", "e", text="x" * (MAX_KNOWN // 20))
        flaws = state.apply(
            partial(
                groups=(Group(f"g{number}"),),
                sessions=(CommunicationSession(session, f"g{number}", started=number),),
                participants=(Participant(person, (NameId("sip:p@x"),), (note,)),),
                streams=(Stream(f"t{number}", session, "1"),),
                participant_sessions=(ParticipantSession(person, session),),
                participant_streams=(
                    ParticipantStreams(person, frozenset({f"t{number}"})),
                ),
            )
        )
        assert flaws == ()
        assert people(state)[-1] == (person, session, "1", "")
        over = CommunicationSession(session, stopped=number)
        last = CommunicationSession("s", stopped=2)
        assert state.apply(partial(sessions=(over, last))) == ()
        assert state.ended
    assert len(state.participants) < 20


IDS = st.sampled_from("absxyg?")
TIMES = st.none() | st.integers(0, 9)
SETS = st.frozensets(IDS, max_size=3)


def several(
    *arguments: st.SearchStrategy[object], of: type
) -> st.SearchStrategy[object]:
    return st.lists(st.builds(of, *arguments), max_size=3).map(tuple)


DOCUMENTS = st.builds(
    RecordingMetadata,
    complete=st.booleans(),
    groups=several(IDS, TIMES, TIMES, of=Group),
    sessions=several(IDS, IDS, st.just(()), TIMES, TIMES, of=CommunicationSession),
    participants=several(IDS, of=Participant),
    streams=several(IDS, IDS, IDS, of=Stream),
    participant_sessions=several(IDS, IDS, TIMES, TIMES, of=ParticipantSession),
    participant_streams=several(IDS, SETS, SETS, TIMES, TIMES, of=ParticipantStreams),
    session_recordings=several(IDS, TIMES, TIMES, of=SessionRecording),
)


@given(st.lists(DOCUMENTS, max_size=5))
def test_whatever_refers_to_whatever(documents: list[RecordingMetadata]) -> None:
    state = MetadataState()
    for document in documents:
        state.apply(document)
        over = {
            one.id for one in state.state.metadata.sessions if one.stopped is not None
        }
        labels = {one.label for one in state.streams}
        for one in state.present:
            assert one.sends | one.receives <= labels
            assert one.session not in over
        again = MetadataState()
        again.restore(state.state)
        assert again.present == state.present
        assert again.state == state.state
