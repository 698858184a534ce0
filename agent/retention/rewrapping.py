"""Envelopes get another outer layer, so that the key of the one before may go.

The inner layer, to the people, is never opened. A new envelope is read back and opened
before it counts; what was done is seen in the envelope itself, never remembered.
"""

import os
from collections.abc import Sequence
from datetime import date

from agent.common.errors import AgentError
from agent.formats.age import AgeError, Identity
from agent.formats.envelope import MAX_ENVELOPE, unwrap, wrap
from agent.formats.layout import envelope_key
from agent.retention.site import Place
from agent.upload.backend import (
    ObjectMissingError,
    ObjectTooLargeError,
    read_object,
)


class EnvelopeLostError(AgentError):
    """An envelope opens with none of the keys it may be under."""

    hint = (
        "Its day's key is kept until this is settled: restore the envelope, or lift"
        " what keeps the record."
    )


async def rewrap(
    places: Sequence[Place],
    day: date,
    recording_id: str,
    *,
    to: Identity,
    under: Sequence[Identity],
) -> int:
    """Have a record's envelope lie under the key `to`, wherever it is.

    `under` are keys that it may lie under now. Returns in how many places it was
    changed. Where one place's envelope is damaged, or another recording's, that of
    another place takes its place; none at all is nothing to be moved.

    Raises EnvelopeLostError: none of them opens; StorageError.
    """
    key = envelope_key(day, recording_id)
    held: list[tuple[Place, bool]] = []
    inner = b""
    for place in places:
        try:
            outer = await read_object(place.archive.state, key, MAX_ENVELOPE)
        except ObjectMissingError:
            continue
        except ObjectTooLargeError:
            outer = b""  # no envelope is so long: like one that does not open
        there = _opened(outer, [to], recording_id)
        held.append((place, bool(there)))
        inner = inner or there or _opened(outer, under, recording_id)
    if not held:
        return 0
    if not inner:
        raise EnvelopeLostError(f"The envelope of {recording_id} does not open.")
    moved = [place for place, done in held if not done]
    for place in moved:
        outer = wrap(inner, recording_id, _Outer(str(to.recipient())), os.urandom)
        await place.archive.state.replace(key, outer)
        stored = await read_object(place.archive.state, key, MAX_ENVELOPE)
        if _opened(stored, [to], recording_id) != inner:
            raise EnvelopeLostError(f"The envelope of {recording_id} was not replaced.")
    return len(moved)


def _opened(outer: bytes, identities: Sequence[Identity], recording_id: str) -> bytes:
    """The inner layer; empty if the outer one does not open, or is another's."""
    try:
        return unwrap(outer, identities, recording_id)
    except AgeError:
        return b""


class _Outer:
    """Whom a new layer is to."""

    def __init__(self, recipient: str) -> None:
        self.recipient = recipient
