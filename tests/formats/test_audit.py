from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.formats.audit import (
    GENESIS,
    MAX_DETAILS,
    MAX_OBJECT,
    Act,
    AuditError,
    Page,
    Row,
    RowError,
    digest_of,
    host_of,
    make_row,
    open_page,
    sign_page,
    utc_day,
)
from agent.formats.canonical import canonical
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, SigningKey

KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(32))
ID = "123e4567-e89b-42d3-a456-426614174000"
NOW = 1_795_986_123_456_789_000


def row(sequence: int = 1, **fields: Any) -> Row:
    given = {"who": "p-17", "act": Act.RELEASE, **fields}
    return make_row(sequence, NOW, **given)


def page(*rows: Row, first: int = 1) -> Page:
    return Page(writer="gate", first=first, previous=GENESIS, rows=rows or (row(),))


def signed(document: object, key: SigningKey = KEY) -> bytes:
    return sign_document(canonical(document), [key], Namespace.AUDIT)


def test_a_page_is_read_back() -> None:
    written = page(
        row(purpose="quality", recording_id=ID, reference="VRK/12-2026"),
        row(2, act=Act.DENIED, result="not-yours", detail={"day": "2026-11-23"}),
    )
    data = sign_page(written, KEY)
    assert open_page(data, [OTHER.public, KEY.public]) == written
    assert written.last == 2
    assert data.startswith(b'{"first":1,"previous":"000')
    assert len(digest_of(data)) == 64


def test_times_are_utc_with_milliseconds() -> None:
    assert row().time == "2026-11-29T21:02:03.456Z"
    assert utc_day(NOW).isoformat() == "2026-11-29"
    assert row().moment.isoformat() == "2026-11-29T21:02:03.456000+00:00"


def test_a_closing_row_names_the_next_day() -> None:
    closing = row(act=Act.ROLL, detail={"day": "2026-11-30"})
    rolls_to = page(closing).rolls_to()
    assert rolls_to is not None
    assert rolls_to.isoformat() == "2026-11-30"
    assert page().rolls_to() is None
    for detail in ({}, {"day": "tomorrow"}):
        with pytest.raises(AuditError):
            open_page(signed(page(row(act=Act.ROLL, detail=detail))), [KEY.public])


@pytest.mark.parametrize(
    "fields",
    [
        {"who": ""},
        {"who": "Matti Meikäläinen"},
        {"who": "+358401234567"},
        {"act": "Release"},
        {"purpose": "because I want to"},
        {"recording_id": "0401234567"},
        {"recording_id": f"{ID}\n"},
        {"result": "x" * 33},
        {"reference": "Meikäläinen"},
        {"reference": "a case"},
        {"detail": {"a name": "x"}},
        {"detail": {"number": "0401234567"}},
        {"detail": {"number": "+358401234567"}},
        {"detail": {"name": "Matti Meikäläinen"}},
        {"detail": {f"d{number}": "x" for number in range(MAX_DETAILS + 1)}},
    ],
)
def test_no_row_holds_a_name_a_number_or_free_text(fields: dict[str, Any]) -> None:
    with pytest.raises(RowError) as caught:
        row(**fields)
    assert all(
        str(value) not in str(caught.value) for value in fields.values() if value
    )


@pytest.mark.parametrize(
    "altered",
    [
        {"version": 2},
        {"first": 2},
        {"first": 0},
        {"previous": "0"},
        {"writer": "gate/../x"},
        {"rows": []},
        {"more": 1},
        {"rows": [msgspec.to_builtins(row()) | {"time": "2026-13-40T99:00:00.000Z"}]},
        {"rows": [msgspec.to_builtins(row()) | {"detail": {"n": "0401234567"}}]},
        {"rows": [msgspec.to_builtins(row()) | {"name": "Matti"}]},
        {"rows": [msgspec.to_builtins(row(n)) for n in (1, 3)]},
    ],
)
def test_what_is_no_page_is_refused_even_if_it_is_signed(
    altered: dict[str, Any],
) -> None:
    with pytest.raises(AuditError):
        open_page(signed(msgspec.to_builtins(page()) | altered), [KEY.public])


def test_a_hosts_log_is_named_for_it_and_its_spool() -> None:
    assert host_of("host-a.fi.3f2a91bc") == "host-a.fi"
    assert host_of("gate") == ""


def test_only_who_is_trusted_is_believed() -> None:
    data = sign_page(page(), KEY)
    for trusted in ([], [OTHER.public]):
        with pytest.raises(AuditError):
            open_page(data, trusted)
    roster = sign_document(canonical(page()), [KEY], Namespace.ROSTER)
    with pytest.raises(AuditError):
        open_page(roster, [KEY.public])
    with pytest.raises(AuditError):
        open_page(bytes(MAX_OBJECT + 1), [KEY.public])


def test_every_flipped_bit_shows() -> None:
    data = sign_page(page(row(recording_id=ID)), KEY)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(AuditError):
            open_page(bytes(flipped), [KEY.public])
    for length in range(len(data)):
        with pytest.raises(AuditError):
            open_page(data[:length], [KEY.public])


@given(st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(AuditError):
        open_page(data, [KEY.public])
