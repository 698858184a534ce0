"""The gate's list of day keys: to whom envelopes get their outer layer, day by day.

FORMAT.md, section "List of day keys". Signed by the gate, whose key is in the roster.
"""

from collections.abc import Iterable
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Final

import msgspec

from agent.common.errors import AgentError
from agent.formats.age import parse_recipient
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.signed import verify_document
from agent.formats.sshsig import Namespace, PublicKey, SignatureError

VERSION: Final = 1
MAX_LIST: Final = 8 * 2**20
"Bytes; MAX_KEYS post-quantum keys."
MAX_KEYS: Final = 4000


class DayKeysError(AgentError):
    """The list of day keys is not to be used."""

    hint = "Fetch the newest list from the gate."


class DayKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public half of one day's key."""

    day: str
    "ISO date, Europe/Helsinki."
    generation: int
    "From 1; the highest of a day is the one to encrypt to."
    recipient: str
    "`age1…` or `age1pq1…`."


class DayKeyList(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True
):
    """The published list."""

    version: int = VERSION
    serial: int
    "Counts up; a reader that has seen a higher one refuses this."
    issued: str
    "UTC, ISO 8601."
    keys: tuple[DayKey, ...]
    "In the order of days and generations."

    @cached_property
    def _current(self) -> dict[str, DayKey]:
        return {key.day: key for key in self.keys}

    def current(self, day: date) -> DayKey | None:
        """The key of that day's envelopes; None where the list does not reach."""
        return self._current.get(day.isoformat())

    def to_bytes(self) -> bytes:
        """Canonical JSON with its line feed: what the gate signs."""
        return canonical(self)


def verify_day_keys(
    data: bytes, gate_keys: Iterable[PublicKey], *, floor: int = 0
) -> DayKeyList:
    """Read a signed list.

    Raises DayKeysError: none of the gate's keys has signed it, its serial is below
    `floor`, or what it says cannot be.
    """
    if len(data) > 2 * MAX_LIST:
        raise DayKeysError("The list of day keys is longer than any that is believed.")
    try:
        verified = verify_document(data, Namespace.DAY_KEYS, gate_keys)
    except SignatureError as error:
        raise DayKeysError(f"The list of day keys cannot be used: {error}") from None
    found = parse_day_keys(verified.payload)
    if found.serial < floor:
        raise DayKeysError(
            f"The list of day keys has the serial {found.serial}, and {floor} has been"
            " seen already."
        )
    return found


def parse_day_keys(payload: bytes) -> DayKeyList:
    """Read a list that is not signed yet. Raises DayKeysError."""
    try:
        found = parse_canonical(payload, DayKeyList, limit=MAX_LIST, version=VERSION)
    except CanonicalError as error:
        raise DayKeysError(f"The list of day keys cannot be used: {error}") from None
    _judge(found)
    return found


def _judge(found: DayKeyList) -> None:
    if found.serial < 1:
        raise DayKeysError("The serial of the list of day keys is below 1.")
    if len(found.keys) > MAX_KEYS:
        raise DayKeysError("There are more day keys than are believed.")
    places = [(key.day, key.generation) for key in found.keys]
    if any(one >= other for one, other in pairwise(places)):
        raise DayKeysError(
            "The day keys are not in their order, or one is there twice."
        )
    if len({key.recipient for key in found.keys}) < len(found.keys):
        raise DayKeysError("Two days share a key: the older's end would be no erasure.")
    for index, key in enumerate(found.keys):
        try:
            known = date.fromisoformat(key.day).isoformat() == key.day
            known &= str(parse_recipient(key.recipient)) == key.recipient
        except (ValueError, AgentError):
            known = False
        if not known or key.generation < 1:
            raise DayKeysError(
                f"keys[{index}] of the list of day keys has a day, a generation or a"
                " key that is none."
            )
