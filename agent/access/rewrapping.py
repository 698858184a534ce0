"""Envelopes for other keys: a new member, a leaver, a lost key, a rotation.

Whoever holds a key that opens the recordings makes the envelopes anew, for those whom
the roster names today: quality staff, recovery, and the officers who took part. The
audio is not touched. Two persons have signed a request for it. It may be broken off
and begun again: what is done stands in a file, by ids.
"""

import asyncio
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from agent.access.desk import Desk
from agent.access.finding import Window, find_days
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.access.requests import Approved, Request, RequestedAct
from agent.access.tags import read_manifest
from agent.common.errors import AgentError
from agent.common.files import sync_directory, write_all
from agent.formats.age import Recipient, parse_recipient
from agent.formats.envelope import SegmentKey, open_envelope
from agent.formats.layout import envelope_key, valid_id

AT_ONCE: Final = 8
"Recordings under way at once: each waits for the gate and storage in turn."


class RewrapError(AgentError):
    """Envelopes cannot be made anew."""

    hint = "Have a request of the kind rewrap signed by two approvers."


@dataclass(slots=True)
class Rewrapped:
    """What came of a run."""

    done: int = 0
    "Envelopes that were made anew, in this run."
    before: int = 0
    "Those that an earlier run had done."
    other: int = 0
    "Recordings that turned out to be none of the request's."
    failed: dict[str, str] = field(default_factory=dict)
    "By id: why not. The next run tries them again."

    @property
    def seen(self) -> int:
        """How many were looked at."""
        return self.done + self.before + self.other + len(self.failed)


class Progress:
    """The ids that are done, in a file that survives being killed."""

    def __init__(self, path: Path, request: str) -> None:
        """Open or make it. Raises RewrapError: it is of another request, or broken."""
        self._path = path
        first = f"# request {request}\n"
        try:
            if not path.exists():
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                try:
                    write_all(fd, first.encode())
                    os.fsync(fd)
                finally:
                    os.close(fd)
                sync_directory(path.resolve().parent)
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise RewrapError(f"{path} cannot be used.", hint="") from error
        if not text.startswith(first):
            raise RewrapError(
                f"{path} is about another request.", hint="Name another file."
            )
        # The last line may be torn: then that recording is done once more.
        self.done = {line for line in text.split("\n")[1:-1] if valid_id(line)}
        self._torn = not text.endswith("\n")

    def add(self, recording_id: str) -> None:
        """Note durably that a recording is done. Raises OSError."""
        line = f"{recording_id}\n"
        if self._torn:
            line, self._torn = f"\n{line}", False
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            write_all(fd, line.encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        self.done.add(recording_id)


async def rewrap(
    desk: Desk,
    approved: Approved,
    progress: Progress,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Rewrapped:
    """Make the envelopes of a request's recordings anew.

    A recording that cannot be done is named in the report and stops no other.
    `on_progress` is told how many of how many have been looked at. Raises RewrapError
    if the request or the roster does not carry it, GateError or StorageError if
    nothing can be found.
    """
    request = approved.request
    if request.act is not RequestedAct.REWRAP:
        raise RewrapError("the request is not one to make envelopes anew.")
    if desk.roster is None:
        raise RewrapError(
            "without a roster nobody says who may open the recordings.",
            hint="Give [roster] in the configuration.",
        )
    reason = Reason(purpose=Purpose.REWRAP, reference=request.id)
    recordings = await _recordings(desk, request, reason)
    report = Rewrapped()
    waiting = iter(recordings.items())

    async def work() -> None:
        for recording_id, day in waiting:
            if recording_id in progress.done:
                report.before += 1
            else:
                try:
                    made = await _rewrap_one(desk, request, reason, recording_id, day)
                except AgentError as error:
                    report.failed[recording_id] = str(error)
                else:
                    report.done += made
                    report.other += not made
                    progress.add(recording_id)
            on_progress(report.seen, len(recordings))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return report


async def _recordings(
    desk: Desk, request: Request, reason: Reason
) -> dict[str, date | None]:
    """Ids of what the request may be about, with their days where they are known."""
    if request.rule is None:
        return dict.fromkeys(request.recordings)
    rule = request.rule
    window = Window(date.fromisoformat(rule.first), date.fromisoformat(rule.last))
    found = await find_days(desk, window, reason)
    if found.truncated:
        raise RewrapError(
            "there are more recordings than one search tells.",
            hint="Have requests signed for fewer days each.",
        )
    return {hit.id: hit.day for hit in found.hits}


async def _rewrap_one(
    desk: Desk, request: Request, reason: Reason, recording_id: str, day: date | None
) -> bool:
    """Make one envelope anew; False if the request is not about that recording."""
    day, envelope = await desk.envelope(recording_id, reason, day=day)
    key = open_envelope(envelope, desk.identities)
    numbers = await _officers(desk, recording_id, day, key)
    if not request.covers(recording_id, day, _persons(desk, numbers, day)):
        return False
    made = key.seal(_recipients(desk, numbers, day), os.urandom)
    if desk.gate is not None:
        await desk.gate.rewrap(recording_id, made, request.id, day)
        return True
    for archive in desk.archives:
        await archive.state.replace(envelope_key(day, recording_id), made)
    return True


async def _officers(
    desk: Desk, recording_id: str, day: date, key: SegmentKey
) -> tuple[str, ...]:
    """Numbers of the officers who took part. Raises RewrapError if nobody tells.

    Only a manifest that a rostered host sealed is believed: a forged one would give
    somebody a key.
    """
    hosts = {} if desk.roster is None else desk.roster.host_keys(day)
    for archive in desk.archives:
        manifest = await read_manifest(archive, recording_id, day, key, hosts=hosts)
        if manifest is not None:
            return tuple(officer.number for officer in manifest.officers)
    raise RewrapError(
        "it has no manifest, which would tell whose call it was.",
        hint="Its host died over it; it stays as it is.",
    )


def _persons(desk: Desk, numbers: Collection[str], day: date) -> set[str]:
    """Ids of those who had one of these numbers on the day of the call."""
    people = desk.roster.people if desk.roster is not None else ()
    return {
        person.id
        for person in people
        if set(person.numbers) & set(numbers) and person.is_active(day)
    }


def _recipients(desk: Desk, numbers: Collection[str], day: date) -> list[Recipient]:
    """Who may open it by today's roster, each key once.

    Of officers, those whose number it was on the day of the call: who has it today
    may be somebody else. One who has left, or whose key is missing or of another kind
    than quality's, gets none, as when a recording is made.
    """
    roster, today = desk.roster, desk.today
    if roster is None:
        return []
    keys = [*roster.quality_recipients(today), *roster.recovery]
    everyone = [parse_recipient(text) for text in dict.fromkeys(keys)]
    for number in numbers:
        officer = roster.officer_by_number(number, day)
        if officer is None or not officer.is_active(today):
            continue
        if officer.recipient:
            one = parse_recipient(officer.recipient)
            if one.kind is everyone[0].kind and officer.recipient not in keys:
                everyone.append(one)
                keys.append(officer.recipient)
    return everyone
