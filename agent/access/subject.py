"""A person's whole request (GDPR Article 15): everything that is found for a number.

A copy of each recording as standard audio with its tags, what was noted about it, when
and why it was used (without the names of those who did), and the facts of Article
15(1). Where another's secret is spoken, that span is silent in the copy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import msgspec

from agent.access.annotating import annotations
from agent.access.auditing import uses
from agent.access.copying import Maker, copy_recording
from agent.access.desk import Desk, RestrictedError
from agent.access.facts import Facts, to_json, to_markdown
from agent.access.files_out import Place
from agent.access.finding import FoundRecordings, Window, find_number
from agent.access.gate_client import GateDeniedError, GateError
from agent.access.opening import Expected
from agent.access.standing import hold
from agent.archive.audit_reports import Consultation
from agent.archive.index import Hit
from agent.archive.record_state import HoldKind
from agent.common.errors import AgentError
from agent.formats.envelope import open_envelope
from agent.formats.layout import Domain
from agent.formats.masking import Span

FOLDER: Final = "recordings"
"Of the answer: the copies."


class SubjectError(AgentError):
    """The answer would not be whole, so none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRequest:
    """What a person asks for."""

    number: str = field(repr=False)
    domain: Domain = "caller"
    window: Window
    masks: Mapping[str, Sequence[Span]]
    hold_until: date | None = None
    """The day to think again about a hold on each recording, so that none is erased
    while the request is open; None: none is held."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one recording that was found."""

    id: str
    day: str
    masked: tuple[str, ...] = ()
    why_not: str = ""
    "Why there is no copy; empty where there is one."
    hold: str = ""
    "Id of the hold that was put on it for this request."


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """`contents.json`: what the answer is made of."""

    made: str
    first: str
    last: str
    reference: str
    recordings: tuple[Given, ...]
    uses_told: bool
    "Whether a log tells when and why the recordings were used."


async def answer(
    desk: Desk,
    asked: SubjectRequest,
    maker: Maker,
    facts: Facts,
    place: Place,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Contents:
    """Write the answer to `place`; what could not be given is named in it.

    Raises SubjectError before anything is written if not all is found, or a mask is of
    a recording that is not; GateError, StorageError, WriteError.
    """
    found = await find_number(
        desk, asked.number, asked.domain, asked.window, maker.reason
    )
    _refuse_half(found, asked)
    holds = await _hold(desk, found, asked, maker)
    given = []
    for count, hit in enumerate(found.hits, 1):
        one = await _give(desk, hit, asked, maker, place)
        given.append(msgspec.structs.replace(one, hold=holds.get(hit.id, "")))
        on_progress(count, len(found.hits))
    told = await _uses(desk, [hit.id for hit in found.hits])
    if told is not None:
        place.add("uses.json", _indented(told))
    contents = Contents(
        made=maker.now.date().isoformat(),
        first=asked.window.first.isoformat(),
        last=asked.window.last.isoformat(),
        reference=maker.reason.reference,
        recordings=tuple(given),
        uses_told=told is not None,
    )
    place.add("facts.json", to_json(facts))
    place.add("facts.md", to_markdown(facts).encode())
    place.add("contents.json", _indented(contents))
    return contents


def _refuse_half(found: FoundRecordings, asked: SubjectRequest) -> None:
    if found.truncated:
        raise SubjectError(
            "There are more recordings than one search tells.",
            hint="Answer for fewer days at a time.",
        )
    if found.unopened:
        raise SubjectError(
            f"{found.unopened} recordings cannot be looked into with these keys.",
            hint="Use a quality key, or the index keys.",
        )
    if strange := asked.masks.keys() - {hit.id for hit in found.hits}:
        raise SubjectError(f"{min(strange)} is to be masked, and was not found.")


async def _hold(
    desk: Desk, found: FoundRecordings, asked: SubjectRequest, maker: Maker
) -> dict[str, str]:
    """Hold everything that was found before any of it is given; holds by id."""
    if asked.hold_until is None:
        return {}
    kind, reference = HoldKind.ACCESS_REQUEST, maker.reason.reference
    return {
        hit.id: await hold(desk, hit.id, kind, asked.hold_until, reference)
        for hit in found.hits
    }


async def _uses(
    desk: Desk, recording_ids: list[str]
) -> dict[str, list[Consultation]] | None:
    """When and why they were used; None if that is not this person's to read."""
    if desk.gate is None and desk.roster is None:
        return None
    try:
        return await uses(desk, recording_ids)
    except GateDeniedError:
        return None


async def _give(
    desk: Desk,
    hit: Hit,
    asked: SubjectRequest,
    maker: Maker,
    place: Place,
) -> Given:
    spans = asked.masks.get(hit.id, ())
    try:
        found = await desk.collect(hit.id, maker.reason, day=hit.day)
        opened = desk.verified(found, Expected(asked.domain, asked.number))
        copy = copy_recording(opened.manifest, opened.audio, maker, spans)
        key = open_envelope(found.envelope, desk.identities)
        notes = await annotations(desk, hit.id, key)
    except AgentError as error:
        # It is named in the answer and on the terminal; what else there is, is given.
        return Given(id=hit.id, day=hit.day.isoformat(), why_not=_why_not(error))
    for name, data in copy.files.items():
        place.add(f"{FOLDER}/{name}", data)
    if notes:
        place.add(f"{FOLDER}/{hit.id}.annotations.json", _indented(notes))
    return Given(
        id=hit.id,
        day=hit.day.isoformat(),
        masked=tuple(str(span) for span in spans),
    )


def _why_not(error: AgentError) -> str:
    """In words for the person: what is wrong inside is not theirs to read."""
    if isinstance(error, RestrictedError):
        return "restricted"
    return "refused" if isinstance(error, GateError) else "cannot be opened"


def _indented(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
