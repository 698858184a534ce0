import msgspec

from agent.call.any_state import AnyCallState
from agent.call.state import (
    CallState,
    CaptureState,
    ConversationState,
    DirectCallState,
    LegState,
    NoticesState,
    SegmentsState,
    SessionState,
)
from agent.model.call import CallDirection
from agent.model.media import Address
from agent.signalling.sip.flow import Flow

FLOW = Flow("udp", Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
LEG = LegState(
    name="a", session="s", flow=FLOW, media_id="m", number="0401234567", peer="trunk"
)


def test_no_document_shows_who_talks() -> None:
    direct = DirectCallState(
        call_id="c",
        route="r",
        direction=CallDirection.OUTBOUND,
        invite=b"INVITE sip:0401234567",
        first=LEG,
        second=LEG,
    )
    call = CallState(
        call_id="c",
        route="r",
        direction=CallDirection.INBOUND,
        caller="0401234567",
        called="0401234567",
        invite=b"INVITE sip:0401234567",
        legs=(LEG, LEG),
        session=SessionState(
            partner="b",
            legs_named=2,
            notices=NoticesState(),
            segments=SegmentsState(),
            conversation=ConversationState(state="TALKING", talkers=("a", "b")),
        ),
        capture=CaptureState(group="g"),
    )
    for shown in (repr(LEG), repr(direct), repr(call)):
        assert "0401234567" not in shown


def test_which_kind_of_call_it_is_stands_in_the_document() -> None:
    direct = DirectCallState(
        call_id="c",
        route="r",
        direction=CallDirection.OUTBOUND,
        invite=b"",
        first=LEG,
        second=LEG,
    )
    document = msgspec.msgpack.encode(direct)
    found = msgspec.msgpack.decode(document, type=AnyCallState)
    assert isinstance(found, DirectCallState)
    assert not isinstance(found, CallState)
    assert found == direct
