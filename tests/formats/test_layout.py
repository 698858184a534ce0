from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, strategies as st

from agent.common.ids import new_id
from agent.formats.layout import (
    MAX_DOCUMENT,
    MAX_SEQUENCE,
    AuditName,
    Dated,
    Folder,
    IndexEntry,
    LayoutError,
    annotation_key,
    audit_key,
    dated,
    day_of,
    envelope_key,
    index_key,
    index_prefix,
    manifest_key,
    month_of,
    parse_audit,
    parse_dated,
    parse_index,
    parse_state,
    seal_key,
    state_key,
    tombstone_key,
    unindexed_key,
    valid_id,
)

ID = "123e4567-e89b-42d3-a456-426614174000"
DAY = date(2026, 11, 23)
BLIND = "0123456789abcdef" * 4


def utc_ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (utc_ns(2026, 11, 23, 21, 59, 59), date(2026, 11, 23)),
        (utc_ns(2026, 11, 23, 22), date(2026, 11, 24)),
        (utc_ns(2026, 7, 1, 20, 59, 59), date(2026, 7, 1)),
        (utc_ns(2026, 7, 1, 21), date(2026, 7, 2)),
        (utc_ns(2028, 2, 29, 12), date(2028, 2, 29)),
    ],
)
def test_a_day_is_a_local_day(moment: int, day: date) -> None:
    assert day_of(moment) == day


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (envelope_key(DAY, ID), f"keys/2026/11/23/{ID}.key.age"),
        (manifest_key(DAY, ID), f"manifest/2026/11/23/{ID}.json.age"),
        (seal_key(DAY, ID), f"manifest/2026/11/23/{ID}.seal"),
        (tombstone_key(DAY, ID), f"tombstones/2026/11/23/{ID}.json"),
        (dated("audio", DAY, f"{ID}.wav.age"), f"audio/2026/11/23/{ID}.wav.age"),
        (dated("audio", DAY, f"{ID}.1.journal"), f"audio/2026/11/23/{ID}.1.journal"),
        (
            index_key("2026-11", "caller", BLIND, ID),
            f"index/2026-11/caller/{BLIND}/{ID}",
        ),
        (unindexed_key("2026-11", ID), f"index/2026-11/unindexed/{ID}"),
        (state_key(ID, 1), f"state/{ID}/000001.json"),
        (annotation_key(ID, 12), f"annotations/{ID}/000012.age"),
        (audit_key("gate", DAY, 17), "audit/gate/2026/11/23/000000000017.json"),
    ],
)
def test_names(key: str, expected: str) -> None:
    assert key == expected


def test_what_is_named_is_read_back() -> None:
    assert parse_dated(envelope_key(DAY, ID)) == Dated(Folder.KEYS, DAY, ID, "key.age")
    assert parse_dated(seal_key(DAY, ID)) == Dated(Folder.MANIFEST, DAY, ID, "seal")
    assert parse_index(index_key("2026-11", "officer", BLIND, ID)) == IndexEntry(
        "2026-11", "officer", BLIND, ID
    )
    assert parse_index(unindexed_key("2026-11", ID)) == IndexEntry(
        "2026-11", None, "", ID
    )
    assert parse_state(state_key(ID, MAX_DOCUMENT)) == (ID, MAX_DOCUMENT)
    assert parse_audit(audit_key("host-a.fi", DAY, MAX_SEQUENCE)) == AuditName(
        "host-a.fi", DAY, MAX_SEQUENCE
    )
    assert month_of(DAY) == "2026-11"


def test_each_folder_is_in_one_of_two_places() -> None:
    locked = {folder for folder in Folder if folder.target == "locked"}
    assert locked == {Folder.AUDIO, Folder.MANIFEST, Folder.NOTICES, Folder.AUDIT}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: dated("keys", DAY, "../../etc/passwd"),
        lambda: dated("keys", DAY, f"{ID}"),
        lambda: dated("keys", DAY, f"{ID}.key.age\n"),
        lambda: dated("keys", DAY, f"{ID.upper()}.key.age"),
        lambda: dated("keys", DAY, f"+358401234567.{ID}.age"),
        lambda: index_key("2026-13", "caller", BLIND, ID),
        lambda: index_key("2026-11", "caller", "+358401234567", ID),
        lambda: index_key("2026-11", "caller", BLIND, "x"),
        lambda: unindexed_key("2026-11", f"{ID} "),
        lambda: index_prefix("2026-1", "caller"),
        lambda: state_key("..", 1),
        lambda: state_key(ID, 0),
        lambda: state_key(ID, MAX_DOCUMENT + 1),
        lambda: annotation_key(ID, 0),
        lambda: audit_key("..", DAY, 1),
        lambda: audit_key("gate/x", DAY, 1),
        lambda: audit_key("gate", DAY, 0),
        lambda: audit_key("gate", DAY, MAX_SEQUENCE + 1),
    ],
)
def test_nothing_else_becomes_a_name(attempt: Callable[[], str]) -> None:
    with pytest.raises(LayoutError):
        attempt()


@pytest.mark.parametrize(
    "key",
    [
        "",
        f"keys/2026/02/30/{ID}.key.age",
        f"keys/0000/01/01/{ID}.key.age",
        f"keys/2026/11/23/{ID}.key.age/",
        f"keys/2026/11/23/{ID}.key.age\n",
        f"keys/2026/11/٢٣/{ID}.key.age",
        f"elsewhere/2026/11/23/{ID}.key.age",
        f"index/2026-11/name/{BLIND}/{ID}",
        f"index/2026-11/unindexed/{BLIND}/{ID}",
        f"state/{ID}/000000.json",
        f"state/{ID}/1.json",
        "audit/gate/2026/11/23/000000000000.json",
        "audit/gate/2026/13/23/000000000001.json",
        "audit/../gate/2026/11/23/000000000001.json",
    ],
)
def test_no_other_name_is_read(key: str) -> None:
    for parse in (parse_dated, parse_index, parse_state, parse_audit):
        with pytest.raises(LayoutError):
            parse(key)


@given(st.text(max_size=120))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    for parse in (parse_dated, parse_index, parse_state, parse_audit):
        with pytest.raises(LayoutError):
            parse(text)
    assert not valid_id(text)


def test_ids_are_those_that_are_made() -> None:
    assert all(valid_id(new_id()) for _ in range(50))
    assert not valid_id(None)
    assert not valid_id("123e4567-e89b-12d3-a456-426614174000")  # a time in it
