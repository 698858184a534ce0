from typing import Any

import msgspec

from agent.call.siprec.knowledge import (
    MAX_ID,
    MAX_IDS,
    NO_STREAM,
    UNREADABLE,
    Knowledge,
)
from agent.call.siprec.state import KnowledgeState
from agent.identity.numbers import FINLAND
from agent.model.recording import UNDECIDED
from agent.signalling.sip.message import Request
from agent.signalling.sip.multipart import with_description_only
from agent.signalling.sip.parser import parse_message
from tests.call.siprec.client import NAMESPACE, Document
from tests.call.siprec.sites import CALLER, OFFICER, SECOND, TALK, rules
from tests.call.siprec.situations import stream

STREAMS = (stream("s1", "96"), stream("s2", "97"))


def message(
    metadata: bytes = b"", kind: str = "application/rs-metadata+xml"
) -> Request:
    data = (
        b"INVITE sip:recorder@host SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP host;branch=z9hG4bK1\r\n"
        b"From: <sip:client@host>;tag=a\r\nTo: <sip:recorder@host>\r\n"
        b"Call-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:client@host>\r\n"
    )
    data += b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        kind.encode(),
        len(metadata),
        metadata,
    )
    parsed = parse_message(data)
    assert isinstance(parsed, Request)
    return with_description_only(parsed)


def knowledge(**more: Any) -> Knowledge:
    return Knowledge(
        message(),
        rules(**more),
        is_officer=lambda number: number in {OFFICER, SECOND},
        is_exempt=lambda number: number == "112",
        identity=FINLAND,
    )


def told(*documents: Document, **more: Any) -> Knowledge:
    known = knowledge(**more)
    for document in documents:
        known.take(message(document.xml))
    return known


def test_without_a_word_it_is_recorded_all_the_same() -> None:
    known = knowledge()
    assert known.take(message()) is None
    situation = known.situation(STREAMS)
    assert situation.going_on
    assert not situation.incomplete
    assert situation.parties.caller == UNDECIDED
    assert known.documents == ()


def test_a_document_tells_who_talks() -> None:
    known = told(TALK)
    situation = known.situation(STREAMS)
    assert situation.parties.officers == (OFFICER,)
    assert situation.held == frozenset()
    [document] = known.documents
    assert document.xml == TALK.xml
    session = known.recorded_session(situation.parties)
    assert session.session_ids == ("aa;remote=bb",)
    assert session.group_id == "group"


def test_a_session_without_ids_of_sip_is_named_by_its_own() -> None:
    known = knowledge()
    xml = TALK.xml.replace(b"<sipSessionID>aa;remote=bb</sipSessionID>", b"")
    known.take(message(xml))
    session = known.recorded_session(known.situation(STREAMS).parties)
    assert session.session_ids == ("call",)


def test_what_was_not_as_it_should_be_is_told_once() -> None:
    known = knowledge()
    known.take(message(TALK.xml, "application/rs-metadata"))
    known.tolerate(("no-label", "no-label"))
    session = known.recorded_session(known.situation(STREAMS).parties)
    assert session.tolerated == ("metadata-type", "no-label")


def test_a_label_that_no_stream_has_is_told() -> None:
    known = told(TALK)
    parties = known.situation(STREAMS).parties
    assert known.recorded_session(parties).tolerated == ()
    known.situation(STREAMS[:1])
    assert known.recorded_session(parties).tolerated == (NO_STREAM,)


def test_what_cannot_be_read_is_kept_and_asked_for() -> None:
    known = told(TALK)
    document = known.take(message(b"<broken"))
    assert document is not None
    assert document.flaws == (UNREADABLE,)
    situation = known.situation(STREAMS)
    assert situation.incomplete
    assert situation.parties.officers == (OFFICER,)
    assert len(known.documents) == 2


def test_a_part_that_comes_first_is_used_as_far_as_it_goes() -> None:
    known = told(Document({CALLER: "96", OFFICER: "97"}, mode="partial"))
    situation = known.situation(STREAMS)
    assert situation.incomplete
    assert situation.parties.officers == (OFFICER,)


def test_only_a_sound_document_is_believed_that_nobody_talks() -> None:
    empty = f'<recording xmlns="{NAMESPACE}"/>'.encode()
    known = knowledge()
    known.take(message(empty))
    assert not known.situation(STREAMS).going_on
    known.take(message(empty.replace(b"recording:1", b"strange")))
    assert known.situation(STREAMS).going_on
    known.take(message(empty.replace(b"/>", b"><call party='1'/></recording>")))
    assert known.situation(STREAMS).going_on
    known = told(Document({CALLER: "96", OFFICER: "97"}, stopped=True))
    assert not known.situation(STREAMS).going_on


def test_who_was_heard_and_is_not_any_more_is_on_hold() -> None:
    known = told(TALK)
    known.situation(STREAMS)
    known.take(message(Document({CALLER: "", OFFICER: "97"}).xml))
    assert known.situation(STREAMS).held == {"96"}
    assert known.situation(STREAMS).held == {"96"}
    known.take(message(TALK.xml))
    assert known.situation(STREAMS).held == frozenset()


def test_a_stream_nobody_was_ever_said_to_be_heard_on_is_not_on_hold() -> None:
    known = told(Document({CALLER: "", OFFICER: ""}))
    assert known.situation(STREAMS).held == frozenset()


def test_whoever_has_left_holds_nobody() -> None:
    known = told(TALK)
    known.situation(STREAMS)
    known.take(message(Document({CALLER: "", OFFICER: "97"}, left=(CALLER,)).xml))
    assert known.situation(STREAMS).held == frozenset()


def test_the_notice_counts_as_its_rules_say() -> None:
    assert told(TALK).situation(STREAMS).announced
    assert not told(TALK, notice="extension:notice=yes").situation(STREAMS).announced


def test_groups_are_the_clients_or_of_this_session_alone() -> None:
    fallback = "00000000-0000-4000-8000-000000000000"
    assert knowledge().group(fallback) == fallback
    assert told(TALK).group(fallback) == told(TALK).group("") != fallback


def test_another_process_knows_the_same() -> None:
    known = told(TALK)
    known.situation(STREAMS)
    known.take(message(Document({CALLER: "96", OFFICER: ""}, mode="partial").xml))
    known.situation(STREAMS)
    document = msgspec.msgpack.encode(known.state)
    other = knowledge()
    other.restore(msgspec.msgpack.decode(document, type=KnowledgeState))
    assert other.situation(STREAMS) == known.situation(STREAMS)
    assert other.situation(STREAMS).held == {"97"}
    assert other.documents == known.documents


def test_ids_without_end_do_not_fill_the_next_process() -> None:
    labels = range(200)
    sends = "".join(f"<send>{one}</send>" for one in labels)
    name = "p" * 10_000
    xml = (
        f"<recording xmlns='{NAMESPACE}'><session session_id='S'/>"
        f"<participant participant_id='{name}'/>"
        f"<participantsessionassoc participant_id='{name}' session_id='S'/>"
        f"<participantstreamassoc participant_id='{name}'>{sends}"
        "</participantstreamassoc>"
    )
    xml += "".join(
        f"<stream stream_id='{one}' session_id='S'><label>{one}</label></stream>"
        for one in labels
    )
    known = knowledge()
    known.take(message(f"{xml}</recording>".encode()))
    known.situation(STREAMS)
    assert len(msgspec.msgpack.encode(known.state)) < 48 * 1024


def test_of_ids_a_manifest_names_so_many_of_such_a_length() -> None:
    ids = "".join(f"<sipSessionID>{n}{'x' * 500}</sipSessionID>" for n in range(90))
    known = knowledge()
    group = "g" * 500
    xml = f"<recording xmlns='{NAMESPACE}'><group group_id='{group}'/>"
    xml += "<session session_id='S'>"
    xml += f"<group-ref>{group}</group-ref>{ids}</session></recording>"
    known.take(message(xml.encode()))
    session = known.recorded_session(known.situation(STREAMS).parties)
    assert len(session.session_ids) == MAX_IDS
    assert {len(one) for one in session.session_ids} == {MAX_ID}
    assert session.group_id == "g" * MAX_ID


def test_whom_nobody_knows_waits_for_an_officer_where_that_is_wanted() -> None:
    queue = Document({CALLER: "96", "0295000000": "97"})
    for waits, document, expected in (
        ("record", queue, False),
        ("wait", queue, True),
        ("wait", TALK, False),
    ):
        known = told(document, without_officer=waits)
        assert known.forbids(STREAMS) is expected
        assert known.situation(STREAMS).awaits_officer is expected


# -- who must never be recorded, and since when they are there ------------------

SOS = "112"
THREE = {CALLER: "96", OFFICER: "97", SOS: "98"}


def exempt_before(*documents: Document | bytes) -> bool:
    """Whether one who must never be recorded was there before the last of these."""
    known = knowledge()
    for document in documents:
        xml = document if isinstance(document, bytes) else document.xml
        known.take(message(xml))
        told = known.situation(STREAMS)
    assert told.parties.exempt
    return told.exempt_before


def test_who_joins_others_was_not_there_before() -> None:
    assert not exempt_before(TALK, Document(THREE))
    assert not exempt_before(TALK, Document({SOS: "98"}, mode="partial"))


def test_the_first_who_are_named_were_there_before() -> None:
    assert exempt_before(Document(THREE))
    assert exempt_before(b"nothing that can be read", Document(THREE))
    assert exempt_before(Document({}, mode="partial"), Document(THREE))


def test_whoever_is_named_beside_a_single_party_was_there_before() -> None:
    assert exempt_before(
        Document({OFFICER: "97"}), Document({OFFICER: "97", SOS: "96"})
    )


def test_whoever_comes_after_what_could_not_be_read_may_have_been_there() -> None:
    assert exempt_before(TALK, b"nothing that can be read", Document(THREE))


def test_whoever_gets_another_number_was_there_before() -> None:
    named = Document({CALLER: "96", OFFICER: "97"}).xml
    assert exempt_before(named, named.replace(b"sip:" + CALLER.encode(), b"sip:112"))


def test_what_was_rung_was_rung_before() -> None:
    known = knowledge(service=SOS)
    known.take(message(TALK.xml))
    known.take(message(TALK.xml))
    assert known.situation(STREAMS).exempt_before


def test_another_process_believes_no_more_that_nobody_talks() -> None:
    before, after = knowledge(), knowledge()
    xml = f'<recording xmlns="{NAMESPACE}"><participant/></recording>'.encode()
    before.take(message(xml))
    assert before.situation(STREAMS).going_on
    after.restore(before.state)
    assert after.situation(STREAMS).going_on


def test_another_process_knows_who_was_there() -> None:
    before, after = knowledge(), knowledge()
    before.take(message(TALK.xml))
    after.restore(before.state)
    after.take(message(Document(THREE).xml))
    told = after.situation(STREAMS)
    assert told.parties.exempt
    assert not told.exempt_before
