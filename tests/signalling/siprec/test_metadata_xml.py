import contextlib
import gc
import time

import pytest
from hypothesis import given, strategies as st

from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Extension,
    Flaw,
    Group,
    MetadataError,
    NameId,
    Participant,
    ParticipantSession,
    ParticipantStreams,
    RecordingMetadata,
    SessionRecording,
    Stream,
    walk,
)
from agent.signalling.siprec.metadata_xml import is_uuid, parse_metadata
from agent.signalling.siprec.xml_tree import MAX_ELEMENTS

RFC = "urn:ietf:params:xml:ns:recording:1"
A, B, C, D = ("AAAAAAAAAAAAAAAAAAAAAA==", "BBBBBBBBBBBBBBBBBBBBBA==", *"CD")
TIME = "2020-01-01T00:00:00Z"
NANOSECONDS = 1_577_836_800_000_000_000


def parse(
    inner: str, namespace: str = RFC, root: str = "recording"
) -> RecordingMetadata:
    return parse_metadata(f'<{root} xmlns="{namespace}">{inner}</{root}>'.encode())


def flaws(inner: str) -> tuple[Flaw, ...]:
    """Those beside being no UUID and, where nothing is in it, being empty."""
    ignored = (Flaw.ID_FORM, Flaw.EMPTY)
    return tuple(one for one in parse(inner).flaws if one not in ignored)


@pytest.mark.parametrize(
    ("mode", "complete", "expected"),
    [
        ("", True, ()),
        ("<datamode>complete</datamode>", True, ()),
        ("<dataMode> Partial </dataMode>", False, ()),
        ("<datamode>delta</datamode>", True, (Flaw.DATA_MODE,)),
    ],
)
def test_a_document_is_complete_unless_it_is_partial(
    mode: str, complete: bool, expected: tuple[Flaw, ...]
) -> None:
    assert parse(mode).complete is complete
    assert flaws(mode) == expected


@pytest.mark.parametrize(
    "namespace",
    [RFC, "urn:ietf:params:xml:ns:recording", "urn:ietf:params:xml:ns:siprec"],
)
@pytest.mark.parametrize("root", ["recording", "recording_metadata"])
def test_namespaces_of_the_rfc_and_its_drafts(namespace: str, root: str) -> None:
    metadata = parse(f'<session session_id="{A}"/>', namespace, root)
    assert metadata == RecordingMetadata(sessions=(CommunicationSession(A),))


@pytest.mark.parametrize("namespace", ["", "urn:ietf:params:xml:ns:recording:2"])
def test_another_namespace_is_flagged_and_read(namespace: str) -> None:
    metadata = parse(f'<session session_id="{A}"/>', namespace)
    assert metadata.sessions == (CommunicationSession(A),)
    assert metadata.flaws == (Flaw.NAMESPACE,)


def test_what_is_no_metadata_changes_nothing() -> None:
    metadata = parse(f'<session session_id="{A}"/>', root="requestsnapshot")
    assert metadata == RecordingMetadata(complete=False, flaws=(Flaw.NOT_METADATA,))


def test_a_complete_document_of_nothing_is_empty() -> None:
    assert parse("<datamode>complete</datamode>").flaws == (Flaw.EMPTY,)
    assert parse("<datamode>partial</datamode>").flaws == ()


@pytest.mark.parametrize("inner", ["complete", "<parties><party id='1'/></parties>"])
def test_a_document_of_something_else_is_not_one_of_nothing(inner: str) -> None:
    assert parse(inner).flaws == (Flaw.NOT_UNDERSTOOD,)


def test_a_group() -> None:
    inner = (
        f'<group group_id=" {A} "><associate-time> {TIME} </associate-time>'
        f"<disassociate-time>{TIME}</disassociate-time><x xmlns='urn:x'>1</x></group>"
    )
    (group,) = parse(inner).groups
    assert group == Group(
        A, NANOSECONDS, NANOSECONDS, (Extension("urn:x", "x", {}, "1"),)
    )


def test_a_session() -> None:
    inner = (
        f'<session session_id="{A}"><sipSessionID>ab;\n remote=cd</sipSessionID>'
        f"<sipSessionID>ef</sipSessionID><sipSessionID/><group-ref>{B}\n</group-ref>"
        f"<start-time>{TIME}</start-time><stop-time>{TIME}</stop-time>"
        "<reason protocol='SIP'>one</reason><reason/><reason>two</reason></session>"
    )
    (session,) = parse(inner).sessions
    assert session == CommunicationSession(
        *(A, B, ("ab;remote=cd", "ef"), NANOSECONDS, NANOSECONDS, "one; two")
    )


def test_a_participant() -> None:
    inner = (
        f'<participant participant_id="{A}">'
        '<nameID aor=" sip:a@x "><name xml:lang="it"> Al\n Ice </name></nameID>'
        '<nameID><aor>tel:+39123</aor></nameID><nameID/><y a="b"/></participant>'
    )
    (participant,) = parse(inner).participants
    names = (NameId("sip:a@x", "Al Ice"), NameId("tel:+39123"))
    assert participant == Participant(A, names, (Extension(RFC, "y", {"a": "b"}),))


def test_a_stream() -> None:
    inner = f'<stream stream_id="{A}" session_id="{B}"><label> 96 </label></stream>'
    assert parse(inner).streams == (Stream(A, B, "96"),)


def test_associations() -> None:
    times = (
        f"<associate-time>{TIME}</associate-time>"
        f"<disassociate-time>{TIME}</disassociate-time>"
    )
    metadata = parse(
        f'<sessionrecordingassoc session_id="{A}">{times}</sessionrecordingassoc>'
        f'<participantsessionassoc participant_id="{A}" session_id="{B}">{times}'
        "<param>isfocus</param><param/></participantsessionassoc>"
        f'<participantsessionassoc participant_id="{A}"/>'
        f'<participantstreamassoc participant_id="{A}">{times}<send>s</send>'
        "<send>t</send><recv>r</recv><recv/></participantstreamassoc>"
        f'<participantstreamassoc participant_id="{B}"/>'
    )
    span = (NANOSECONDS, NANOSECONDS)
    assert metadata.session_recordings == (SessionRecording(A, *span),)
    assert metadata.participant_sessions == (
        ParticipantSession(A, B, *span, ("isfocus",)),
        ParticipantSession(A, ""),
    )
    assert metadata.participant_streams == (
        ParticipantStreams(A, frozenset("st"), frozenset("r"), *span),
        ParticipantStreams(B),
    )


def test_a_draft_nests_what_the_rfc_has_apart() -> None:
    metadata = parse(
        f'<recording id="r"><requestor>SRC</requestor></recording>'
        f'<session id="{A}" group="{B}"><associate-time>{TIME}</associate-time>'
        "</session>"
        f'<participant id="C" session="{A}"><aor>sip:c@x</aor><send><id>s</id></send>'
        f"<associate-time>{TIME}</associate-time></participant>"
        f'<participant id="D"><nameID aor="sip:d@x"/><recv>s</recv></participant>'
        f'<stream id="s" session="{A}"><label>1</label><mode>mixed</mode></stream>'
        f'<extensiondata parent="{A}"><u:n xmlns:u="urn:u">9</u:n></extensiondata>',
        "urn:ietf:params:xml:ns:siprec",
        "recording_metadata",
    )
    draft = "urn:ietf:params:xml:ns:siprec"
    assert metadata.sessions == (CommunicationSession(A, B),)
    assert metadata.session_recordings == (SessionRecording(A, NANOSECONDS),)
    assert metadata.participants == (
        Participant("C", (NameId("sip:c@x"),)),
        Participant("D", (NameId("sip:d@x"),)),
    )
    assert metadata.participant_sessions == (ParticipantSession("C", A, NANOSECONDS),)
    assert metadata.participant_streams == (
        ParticipantStreams("C", frozenset("s"), frozenset(), NANOSECONDS),
        ParticipantStreams("D", frozenset(), frozenset("s")),
    )
    mode = Extension(draft, "mode", {}, "mixed")
    assert metadata.streams == (Stream("s", A, "1", (mode,)),)
    found = {one.name: one.text for one in walk(metadata.extensions)}
    assert found == {"recording": "", "requestor": "SRC", "extensiondata": "", "n": "9"}
    assert metadata.flaws == (Flaw.ID_FORM,)


def test_elements_of_others_are_extensions_whatever_they_are_called() -> None:
    inner = (
        f'<session session_id="{A}"><x:start-time xmlns:x="urn:x">1</x:start-time>'
        f'</session><x:session xmlns:x="urn:x" session_id="{B}"/>'
    )
    metadata = parse(inner)
    (session,) = metadata.sessions
    assert session.started is None
    assert session.extensions == (Extension("urn:x", "start-time", {}, "1"),)
    assert metadata.extensions == (Extension("urn:x", "session", {"session_id": B}),)
    assert metadata.flaws == ()


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<group/><session/><participant/><stream/>", Flaw.NO_ID),
        ("<sessionrecordingassoc/><participantsessionassoc/>", Flaw.NO_ID),
        ("<participantstreamassoc participant_id=' '/>", Flaw.NO_ID),
        ("<session id='C'/><session id='C'/>", Flaw.DUPLICATE_ID),
        ("<session id='C'/><group id='C'/>", Flaw.DUPLICATE_ID),
        ("<stream id='C'/>", Flaw.NO_LABEL),
        (
            "<stream id='C'><label>1</label></stream>"
            "<stream id='D'><label>1</label></stream>",
            Flaw.DUPLICATE_LABEL,
        ),
        ("<participant id='C'/>", Flaw.NO_AOR),
        (
            "<participant id='C'><nameID><name>x</name></nameID></participant>",
            Flaw.NO_AOR,
        ),
        (
            "<participant id='C'><nameID aor='1@x'/></participant>",
            Flaw.AOR_WITHOUT_SCHEME,
        ),
        ("<session id='C'><start-time>x</start-time></session>", Flaw.TIME),
        (
            "<session id='C'><stop-time>2020-01-01T00:00:00</stop-time></session>",
            Flaw.TIME_WITHOUT_ZONE,
        ),
        (
            "<session id='C'><stop-time>1970-01-01T00:00:00Z</stop-time></session>",
            Flaw.TIME_IMPLAUSIBLE,
        ),
    ],
)
def test_flaws(inner: str, expected: Flaw) -> None:
    assert flaws(inner) == (expected,)


def test_in_a_partial_document_a_participant_needs_no_address() -> None:
    inner = "<datamode>partial</datamode><participant id='C'/>"
    assert flaws(inner) == ()


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (A, True),
        ("urn:uuid:9529b910-87b6-4299-a6fe-350f0dcb1f5e", True),
        ("9529B910-87b6-4299-a6fe-350f0dcb1f5e", True),
        ("00FA0800705D4C5DCAAC41", False),
        ("AAAA", False),
        ("ä", False),
        ("", False),
    ],
)
def test_ids_are_uuids(identity: str, expected: bool) -> None:
    assert is_uuid(identity) is expected
    inner = f"<session session_id='{identity or 'x'}'/>"
    assert (Flaw.ID_FORM in parse(inner).flaws) is not expected


def cost(elements: int) -> float:
    """Seconds of the processor for a document of so many, at best."""
    streams = "".join(
        f"<stream id='s{n}' session='a'><label>{n}</label></stream>"
        f"<participantstreamassoc participant_id='p{n % 7}'><send>s{n}</send>"
        "</participantstreamassoc>"
        for n in range(elements // 4)
    )
    xml = f"<recording xmlns='{RFC}'>{streams}</recording>".encode()
    best = 9.0
    # What else the tests hold is not to be looked through on this account.
    gc.disable()
    try:
        for _ in range(3):
            begin = time.process_time()
            parse_metadata(xml)
            best = min(best, time.process_time() - begin)
    finally:
        gc.enable()
    return best


def test_many_elements_cost_in_proportion() -> None:
    assert cost(MAX_ELEMENTS - 10) < 40 * cost(MAX_ELEMENTS // 10)


@given(st.text(max_size=100))
def test_any_text_in_any_place_is_read_or_no_metadata(text: str) -> None:
    for inner in (
        *(text, f"<datamode>{text}</datamode>", f"<stream id='{text}'/>"),
        f"<session id='C'><start-time>{text}</start-time>{text}</session>",
    ):
        with contextlib.suppress(MetadataError, UnicodeEncodeError):
            parse(inner)
