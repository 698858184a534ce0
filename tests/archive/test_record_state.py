from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.archive.record_state import (
    MAX_ANNOTATIONS,
    MAX_HOLDS,
    MAX_REQUESTS,
    Hold,
    HoldKind,
    OpenRequest,
    RecordState,
    Restriction,
    StateError,
    annotate,
    begin_erasing,
    close_request,
    encode_state,
    hold,
    lift_hold,
    open_request,
    parse_state_document,
    restrict,
    unrestrict,
)
from tests.archive.logs import ID

SINCE = date(2026, 11, 29)
EMPTY = RecordState(id=ID)
CLAIM = Hold(
    kind=HoldKind.LEGAL_CLAIM, owner="p-dpo", since=SINCE, review=date(2027, 1, 15)
)
RESTRICTION = Restriction(by="p-case", since=SINCE, reason="accuracy")
REQUEST = OpenRequest(by="p-case", since=SINCE, kind="access")
RESTRICTED = restrict(EMPTY, RESTRICTION)
ASKED_FOR = open_request(EMPTY, "r-1", REQUEST)
altered = msgspec.structs.replace


def test_what_stops_the_clock() -> None:
    assert EMPTY.stops_clock == ()
    state = hold(EMPTY, "h-1", CLAIM)
    state = restrict(state, RESTRICTION)
    state = open_request(state, "r-1", REQUEST)
    assert state.stops_clock == ("hold", "restriction", "request")
    for undo, left in (
        (lambda s: lift_hold(s, "h-1"), ("restriction", "request")),
        (unrestrict, ("request",)),
        (lambda s: close_request(s, "r-1"), ()),
    ):
        with pytest.raises(StateError):
            begin_erasing(state, "2026-11-29T12:00:00.000Z")
        state = undo(state)
        assert state.stops_clock == left
    assert begin_erasing(state, "2026-11-29T12:00:00.000Z").erasing


def test_what_is_done_twice_is_done_once() -> None:
    for change in (
        lambda s: hold(s, "h-1", CLAIM),
        lambda s: restrict(s, RESTRICTION),
        lambda s: open_request(s, "r-1", REQUEST),
    ):
        assert change(change(EMPTY)) == change(EMPTY)


def test_annotations_are_numbered() -> None:
    assert annotate(annotate(EMPTY)).annotations == (1, 2)


def full_of(many: int, name: str, value: object) -> RecordState:
    return altered(EMPTY, **{name: dict.fromkeys(map(str, range(many)), value)})


@pytest.mark.parametrize(
    "change",
    [
        lambda: hold(hold(EMPTY, "h-1", CLAIM), "h-1", altered(CLAIM, owner="p-2")),
        lambda: hold(EMPTY, "Matti Meikäläinen", CLAIM),
        lambda: hold(EMPTY, "h-1", altered(CLAIM, owner="Matti Meikäläinen")),
        lambda: hold(full_of(MAX_HOLDS, "holds", CLAIM), "h-1", CLAIM),
        lambda: lift_hold(EMPTY, "h-1"),
        lambda: restrict(RESTRICTED, altered(RESTRICTION, by="p-2")),
        lambda: restrict(EMPTY, altered(RESTRICTION, reason="as I said")),
        lambda: unrestrict(EMPTY),
        lambda: open_request(EMPTY, "+358401234567", REQUEST),
        lambda: open_request(
            full_of(MAX_REQUESTS, "requests", REQUEST), "r-1", REQUEST
        ),
        lambda: open_request(ASKED_FOR, "r-1", altered(REQUEST, by="p-2")),
        lambda: close_request(EMPTY, "r-1"),
        lambda: annotate(altered(EMPTY, annotations=tuple(range(MAX_ANNOTATIONS)))),
        lambda: begin_erasing(EMPTY, "yesterday"),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[[], RecordState]) -> None:
    with pytest.raises(StateError) as caught:
        change()
    assert "Matti" not in str(caught.value)


def test_long_holds_are_told() -> None:
    state = hold(EMPTY, "h-1", CLAIM)
    assert state.long_holds(SINCE + timedelta(47)) == {}
    assert state.long_holds(SINCE + timedelta(48)) == {"h-1": CLAIM}
    forgotten = msgspec.structs.replace(CLAIM, review=date(2030, 1, 1))
    state = hold(EMPTY, "h-1", forgotten)
    assert state.long_holds(SINCE + timedelta(90)) == {}
    assert state.long_holds(SINCE + timedelta(91)) == {"h-1": forgotten}


def test_a_document_is_read_back() -> None:
    state = hold(restrict(EMPTY, RESTRICTION), "h-1", CLAIM)
    state = annotate(open_request(state, "r-1", REQUEST))
    numbered = msgspec.structs.replace(state, number=7)
    assert parse_state_document(encode_state(numbered), ID, 7) == numbered
    for recording_id, number in ((ID, 8), (ID[:-1] + "1", 7)):
        with pytest.raises(StateError):
            parse_state_document(encode_state(numbered), recording_id, number)


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 2},
        {"id": "x"},
        {"name": "Matti"},
        {"holds": {"h": {"kind": "because"}}},
        {"erasing": "Matti"},
        {"annotations": ["1"]},
    ],
)
def test_what_is_no_document_is_refused(fields: dict[str, Any]) -> None:
    document = msgspec.to_builtins(EMPTY) | fields
    with pytest.raises(StateError):
        parse_state_document(msgspec.json.encode(document, order="sorted"), ID, 0)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(StateError):
        parse_state_document(data, ID, 1)
