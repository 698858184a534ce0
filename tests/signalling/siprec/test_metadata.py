from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Extension,
    NameId,
    Participant,
    RecordingMetadata,
    walk,
)


def test_nothing_personal_shows() -> None:
    person = Participant("id", (NameId("sip:alice@example.com", "Alice"),))
    metadata = RecordingMetadata(participants=(person,))
    for value in (person, person.name_ids[0], metadata, Extension("n", "Alice")):
        assert "lice" not in repr(value)
        assert repr(value) == f"{type(value).__name__}(…)"


def test_it_started_when_its_first_session_did() -> None:
    sessions = (CommunicationSession("a", started=5), CommunicationSession("b"))
    more = (*sessions, CommunicationSession("c", started=3))
    assert RecordingMetadata(sessions=more).started == 3
    assert RecordingMetadata(sessions=sessions[1:]).started is None


def test_extensions_are_walked_in_the_order_of_the_document() -> None:
    inner = Extension("n", "b", children=(Extension("n", "c"),))
    outer = (Extension("n", "a", children=(inner,)), Extension("n", "d"))
    assert [one.name for one in walk(outer)] == ["a", "b", "c", "d"]
