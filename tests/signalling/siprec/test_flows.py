"""The sequences of RFC 8068 section 3: documents applied in order, and who is heard.

What an example leaves out of its document (streams of a new participant, 3.2.3) is
flagged there.
"""

import pytest

from agent.signalling.siprec.metadata import Flaw, RecordingMetadata
from agent.signalling.siprec.metadata_state import MetadataState
from agent.signalling.siprec.metadata_xml import parse_metadata
from tests.signalling.siprec.corpus import document, rfc8068

CALL = "hVpd7YQgRW2nD22h7q60JQ=="
GROUP = "7+OTCyoxTmqmqyA/1weDAg=="
ALICE, BOB, CAROL = (
    "sip:alice@atlanta.com",
    "sip:bob@biloxy.com",
    "sip:carol@example.com",
)

Heard = list[tuple[str, list[str], list[str]]]


def heard(state: MetadataState) -> Heard:
    return [
        (
            present.participant.name_ids[0].aor.lower(),
            sorted(present.sends),
            sorted(present.receives),
        )
        for present in state.present
    ]


def after(
    *numbers: int, flaws: tuple[Flaw, ...] = (), at: int | None = None
) -> MetadataState:
    """The state after these examples; document `at` alone has flaws."""
    state = MetadataState()
    for number in numbers:
        expected = flaws if number == at else ()
        assert state.apply(rfc8068(number)) == expected
    return state


TALKING: Heard = [
    (ALICE, ["96", "97"], ["98", "99"]),
    (BOB, ["98", "99"], ["96", "97"]),
]


def test_a_basic_call() -> None:
    state = after(1)
    assert heard(state) == TALKING
    assert state.group == GROUP
    (session,) = state.sessions
    assert session.id == CALL
    assert session.group == GROUP
    assert session.sip_session_ids == (
        "ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",
    )
    (group,) = state.groups
    assert group.associated == 1_292_542_867_000_000_000
    assert [one.name for one in group.extensions] == ["call-center", "mydata"]
    assert [one.name for one in state.extensions] == ["mydata", "call-center", "mydata"]
    names = [one.name_ids[0].name for one in state.participants]
    assert names == ["Alice", "Bob"]
    assert [one.label for one in state.streams] == ["96", "97", "98", "99"]


def test_hold_and_resume() -> None:
    state = after(1, 2)
    assert heard(state) == [(ALICE, [], ["98", "99"]), (BOB, ["98", "99"], [])]
    assert state.apply(rfc8068(3)) == ()
    assert heard(state) == TALKING


def test_transfer_within_the_session() -> None:
    state = after(1, 2, 3, 4, at=4, flaws=(Flaw.UNKNOWN_STREAM,))
    assert heard(state) == [(BOB, ["98", "99"], []), (CAROL, [], ["98", "99"])]
    (session,) = state.sessions
    assert session.id == CALL
    assert session.group == GROUP
    assert session.sip_session_ids == (
        "3363127f0d084c10876dddd4f8e5eeb9;remote=2272bb7e70fe41dba0025ae9a26d54cf",
    )


def test_transfer_to_a_session_of_its_own() -> None:
    state = after(1, 5, 6)
    bob = "sip:bob@biloxy.com"
    assert heard(state) == [
        (bob, ["98", "99"], ["96", "97"]),
        (CAROL, ["96", "97"], ["98", "99"]),
    ]
    (session,) = state.sessions
    assert session.id == "bfLZ+NTFEeCNxQTuRyQBmw=="
    assert session.started == 1_292_542_867_000_000_000


@pytest.mark.parametrize("number", [5, 7, 13])
def test_disconnected(number: int) -> None:
    state = after(1, number)
    assert state.ended
    assert state.present == ()
    assert state.sessions == ()
    assert state.group == GROUP


def test_mixed_into_one_stream() -> None:
    state = after(8)
    mixed: Heard = [(ALICE, ["96"], ["96"]), (BOB, ["96"], ["96"])]
    assert heard(state) == mixed
    (session,) = state.sessions
    assert len(session.sip_session_ids) == 2
    state.apply(rfc8068(9))
    assert heard(state) == [(ALICE, [], ["96"]), (BOB, ["96"], [])]
    state.apply(rfc8068(10))
    assert heard(state) == mixed


def test_a_conference() -> None:
    state = after(8, 11)
    assert [name for name, _, _ in heard(state)] == [ALICE, BOB, CAROL]
    assert heard(state)[2] == (CAROL, ["96"], ["96"])
    assert len(state.sessions[0].sip_session_ids) == 3
    state.apply(rfc8068(12))
    assert [name for name, _, _ in heard(state)] == [BOB, CAROL]
    assert len(state.sessions[0].sip_session_ids) == 2
    assert not state.ended


def test_a_persistent_recording_session_has_one_call_after_another() -> None:
    state = after(8, 13)
    assert state.ended
    assert state.apply(rfc8068(6)) == ()
    assert not state.ended
    assert [name for name, _, _ in heard(state)] == [BOB, CAROL]


def test_a_turret_has_two_calls_at_once() -> None:
    state = after(14)
    assert [one.participant.name_ids[0].name for one in state.present] == [
        *("Alice", "Bob", "Bob", "Carol"),
    ]
    first, second = state.sessions
    assert (first.group, second.group) == (GROUP, GROUP)
    assert [one.session for one in state.present] == [
        *(first.id, first.id, second.id, second.id),
    ]
    assert all(one.sends == {"96"} == one.receives for one in state.present)
    assert state.group == GROUP
    state.apply(rfc8068(13))
    assert not state.ended
    assert [one.participant.name_ids[0].name for one in state.present] == [
        *("Bob", "Carol"),
    ]


def test_the_partial_document_of_rfc_7865() -> None:
    state = MetadataState()
    state.apply(parse_metadata(document("rfc7865-metadata-02")))
    assert [one.participant.name_ids[0].name for one in state.present] == [
        *("Bob", "Paul"),
    ]
    assert state.apply(parse_metadata(document("rfc7865-metadata-03"))) == ()
    assert [one.participant.name_ids[0].name for one in state.present] == ["Paul"]


def test_a_flow_goes_on_in_the_next_process() -> None:
    for numbers in ((1, 2, 3, 4, 7), (8, 9, 10, 11, 12, 13), (14, 13)):
        one, other = MetadataState(), MetadataState()
        for number in numbers:
            metadata: RecordingMetadata = rfc8068(number)
            assert other.apply(metadata) == one.apply(metadata)
            again = MetadataState()
            again.restore(other.state)
            other = again
            assert other.present == one.present
            assert other.ended == one.ended
            assert other.state == one.state
