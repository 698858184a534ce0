from datetime import date

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.formats.day_keys import (
    MAX_KEYS,
    MAX_LIST,
    DayKey,
    DayKeyList,
    DayKeysError,
    verify_day_keys,
)
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace
from tests.formats.flips import flips
from tests.formats.rosters import recipient, signing_key

GATE = signing_key("gate")


def key(day: str, generation: int = 1) -> DayKey:
    name = f"{day} {generation}"
    return DayKey(day=day, generation=generation, recipient=recipient(name))


def keys(**changes: object) -> DayKeyList:
    made = DayKeyList(
        serial=3,
        issued="2026-11-20T08:00:00Z",
        keys=(key("2026-11-23"), key("2026-11-23", 2), key("2026-11-24")),
    )
    return msgspec.structs.replace(made, **changes)


def signed(made: DayKeyList) -> bytes:
    return sign_document(made.to_bytes(), [GATE], Namespace.DAY_KEYS)


def test_a_days_newest_key_is_its_current_one() -> None:
    found = verify_day_keys(signed(keys()), [GATE.public], floor=3)
    assert found == keys()
    assert found.current(date(2026, 11, 23)) == key("2026-11-23", 2)
    assert found.current(date(2026, 11, 24)) == key("2026-11-24")
    assert found.current(date(2026, 11, 25)) is None


def test_an_older_list_is_refused() -> None:
    with pytest.raises(DayKeysError, match="the serial 3, and 4 has been seen"):
        verify_day_keys(signed(keys()), [GATE.public], floor=4)


def test_a_list_that_the_gate_has_not_signed_is_refused() -> None:
    with pytest.raises(DayKeysError, match="0 of the trusted keys"):
        verify_day_keys(signed(keys()), [signing_key("else").public])
    as_seal = sign_document(keys().to_bytes(), [GATE], Namespace.SEAL)
    with pytest.raises(DayKeysError, match="not for a recording-agent-day-keys"):
        verify_day_keys(as_seal, [GATE.public])


def test_every_flipped_bit_is_refused() -> None:
    for flipped in flips(signed(keys())):
        with pytest.raises(DayKeysError):
            verify_day_keys(flipped, [GATE.public])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "version 2"),
        ({"serial": 0}, "below 1"),
        ({"keys": (key("2026-11-24"), key("2026-11-23"))}, "order"),
        ({"keys": (key("2026-11-24"), key("2026-11-24"))}, "twice"),
        ({"keys": (key("2026-11-23", 2), key("2026-11-23", 1))}, "order"),
        ({"keys": (key("20261123"),)}, r"keys\[0\]"),
        ({"keys": (key("2026-02-30"),)}, r"keys\[0\]"),
        ({"keys": (key("2026-11-23", 0),)}, r"keys\[0\]"),
        (
            {"keys": (DayKey(day="2026-11-23", generation=1, recipient="age1"),)},
            r"keys\[0\]",
        ),
        (
            {
                "keys": (
                    key("2026-11-23"),
                    msgspec.structs.replace(key("2026-11-23"), day="2026-11-24"),
                )
            },
            "Two days share a key",
        ),
        ({"keys": (key("2026-11-23"),) * (MAX_KEYS + 1)}, "more day keys"),
        ({"issued": "x" * MAX_LIST}, "longer"),
        ({"issued": "x" * 2 * MAX_LIST}, "longer"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(DayKeysError, match=reason):
        verify_day_keys(signed(keys(**changes)), [GATE.public])


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    for made in (data, sign_document(b"{}\n", [GATE], Namespace.DAY_KEYS) + data):
        with pytest.raises(DayKeysError):
            verify_day_keys(made, [GATE.public])
