from datetime import date

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.archive.record_state import Hold, HoldKind, RecordState, Restriction
from agent.archive.witness import ADOPTED, Witness, WitnessError
from agent.formats.audit import Act, Row, make_row
from tests.archive.logs import ID, NOON
from tests.archive.shelves import id_of

TODAY = date(2026, 11, 29)
TOLD = {"hold": "h-1", "kind": "legal-claim", "review": "2027-01-15"}
HOLD = Hold(
    kind=HoldKind.LEGAL_CLAIM, owner="p-dan", since=TODAY, review=date(2027, 1, 15),
    reference="A-1",
)  # fmt: skip
RESTRICTED = Restriction(by="p-dan", since=TODAY, reason="disputed")
EMPTY = RecordState(id=ID)


def row(
    number: int, act: str, /, *, id_: str = ID, ref: str = "", **detail: str
) -> Row:
    return make_row(
        number, NOON, "p-dan", act, recording_id=id_, reference=ref, detail=detail
    )


def followed(*rows: Row) -> Witness:
    witness = Witness()
    witness.take(rows, TODAY)
    return witness


def test_what_was_put_on_a_record_is_in_force_without_a_document() -> None:
    witness = followed(
        row(1, Act.HOLD, ref="A-1", **TOLD),
        row(2, Act.RESTRICT, reason="disputed"),
        row(3, Act.ANNOTATE, number="1"),
        row(4, Act.FIND),
    )
    state = witness.in_force(EMPTY)
    assert state.holds == {"h-1": HOLD}
    assert state.restricted == RESTRICTED
    assert state.annotations == (1,)
    assert witness.ids() == [ID]
    assert witness.explains(state)
    assert not Witness().explains(state)
    other = RecordState(id=id_of(1))
    assert witness.in_force(other) == other


def test_what_was_lifted_is_not() -> None:
    witness = followed(
        row(1, Act.HOLD, **TOLD),
        row(2, Act.HOLD, **TOLD | {"hold": "h-2"}),
        row(3, Act.RESTRICT, reason="disputed"),
        row(4, Act.RESTRICT, reason="again"),
        row(5, Act.UNHOLD, hold="h-1"),
    )
    assert witness.in_force(EMPTY).holds.keys() == {"h-2"}
    assert witness.in_force(EMPTY).restricted == RESTRICTED
    rows = (row(6, Act.UNHOLD, hold="h-2"), row(7, Act.UNRESTRICT))
    witness.take(rows, TODAY)
    assert witness.in_force(EMPTY) == EMPTY
    assert witness.ids() == []


def test_a_document_that_says_more_counts_and_one_that_is_erased_is_let_be() -> None:
    witness = followed(row(1, Act.HOLD, ref="A-1", **TOLD))
    more = RecordState(id=ID, holds={"h-9": HOLD}, annotations=(4,))
    assert witness.in_force(more).holds.keys() == {"h-1", "h-9"}
    assert not witness.explains(more)
    gone = RecordState(id=ID, erasing="2026-11-29T12:00:00.000Z")
    assert witness.in_force(gone) == gone
    witness.take([row(2, Act.ERASED)], TODAY)
    assert witness.ids() == []


def test_rows_that_are_told_again_change_nothing() -> None:
    rows = [row(1, Act.HOLD, **TOLD), row(2, Act.UNHOLD, hold="h-1")]
    witness = followed(*rows)
    witness.take(rows[:1], TODAY)
    assert (witness.row, witness.ids()) == (2, [])


def test_destroyed_keys() -> None:
    witness = followed(
        row(1, Act.KEY_DESTROYED, id_="", day="2026-11-23", generation="2"),
        row(2, Act.KEY_DESTROYED),
        row(3, Act.KEY_DESTROYED, id_=""),
    )
    assert witness.days == {"2026-11-23.2"}
    assert witness.holds == {ID}


def test_a_hold_in_words_of_a_newer_gate_is_kept_all_the_same() -> None:
    witness = followed(
        row(1, Act.HOLD, **TOLD | {"kind": "of-a-new-kind"}), row(2, Act.HOLD)
    )
    kept = witness.in_force(EMPTY).holds
    assert kept.keys() == {"h-1"}
    assert (kept["h-1"].owner, kept["h-1"].review) == ("p-dan", TODAY)
    assert followed(row(1, Act.ANNOTATE, number="one")).ids() == []


def test_it_goes_on_from_what_it_wrote() -> None:
    witness = followed(
        row(1, Act.HOLD, ref="A-1", **TOLD),
        row(2, Act.KEY_DESTROYED, id_="", day="2026-11-23", generation="1"),
        row(3, Act.KEY_DESTROYED),
    )
    assert not witness.adopted
    adopted = make_row(4, NOON, "gate", Act.CONFIG, result=ADOPTED)
    witness.take([row(3, Act.CONFIG), adopted], TODAY)
    assert witness.adopted
    again = Witness.parse(witness.to_bytes())
    assert again.to_bytes() == witness.to_bytes()
    assert (again.row, again.day, again.adopted) == (4, TODAY, True)
    assert again.in_force(EMPTY) == witness.in_force(EMPTY)
    assert (again.days, again.holds) == (witness.days, witness.holds)


@given(st.binary(max_size=60))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(WitnessError, match="cannot be read"):
        Witness.parse(data)


def test_a_file_whose_ids_are_none_is_refused() -> None:
    words = msgspec.json.decode(followed(row(1, Act.HOLD, **TOLD)).to_bytes())
    words["records"] = {"me": words["records"][ID]}
    with pytest.raises(WitnessError):
        Witness.parse(msgspec.json.encode(words, order="sorted") + b"\n")


def test_a_row_of_no_record_puts_nothing_on_any() -> None:
    assert followed(row(1, Act.HOLD, id_="", **TOLD)).ids() == []
