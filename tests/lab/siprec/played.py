"""Flows played at one daemon, and what became of each: recordings and ledger rows."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import soundfile

from agent.recording.ledger import LedgerRow
from tests.lab.daemon import Recording
from tests.lab.parties import RATE, channels
from tests.lab.siprec.flows import FLOWS, Flow, play
from tests.lab.siprec.hearing import Heard, heard
from tests.lab.siprec.scene import Take
from tests.lab.siprec.site import Site
from tests.lab.siprec.streams import Stream

_SETTLED = 40.0


@dataclass
class Channels:
    """One recording's two sides, in which streams are looked for."""

    recording: Recording
    sides: tuple[np.ndarray, np.ndarray]

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.sides = _telephone(recording)

    def left(self, stream: Stream) -> Heard | None:
        return heard(self.sides[0], stream)

    def right(self, stream: Stream) -> Heard | None:
        return heard(self.sides[1], stream)


@dataclass
class Played:
    """The takes by name, and every row of the ledger."""

    site: Site
    takes: dict[str, Take]
    rows: list[LedgerRow] = field(default_factory=list)
    unheard: list[Recording] = field(default_factory=list)
    "Recordings that name no caller and in which nobody is heard."

    def row(self, take: Take) -> LedgerRow:
        """The ledger's row of the call whose recordings are a take's."""
        ids = {recording.id for recording in take.recordings}
        [row] = [r for r in self.rows if ids & {x.recording_id for x in r.recordings}]
        return row

    def rows_of(self, source: str) -> list[LedgerRow]:
        """Those of the sessions of one source, oldest first."""
        return [r for r in reversed(self.rows) if r.route == f"beside-{source}"]


async def play_all(site: Site, flows: Mapping[str, Flow] = FLOWS) -> Played:
    """Play flows side by side, and wait until all that is recorded is stored."""
    before = site.daemon.stored(".json.age")
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(play(site, flow, number), name=name)
            for number, (name, flow) in enumerate(flows.items())
        }
    played = Played(site, {name: task.result() for name, task in tasks.items()})
    async with asyncio.timeout(_SETTLED):
        while not _is_settled(played):
            await asyncio.sleep(0.05)
    _share_out(played, list(site.daemon.recordings(but=before)))
    return played


def _is_settled(played: Played) -> bool:
    played.rows = played.site.daemon.rows()
    closed = all(row.outcome is not None for row in played.rows)
    made = sum(len(row.recordings) for row in played.rows)
    return closed and made == len(played.site.daemon.log("stored"))


def _share_out(played: Played, recordings: list[Recording]) -> None:
    """Give each take its recordings: by the caller, or else by who is heard."""
    by_tag = {take.tag: take for take in played.takes.values()}
    for recording in recordings:
        take = by_tag.get(recording.manifest.caller) or _who_is_heard(played, recording)
        (take.recordings if take else played.unheard).append(recording)
    for take in played.takes.values():
        take.recordings.sort(key=lambda one: one.manifest.started["utc"])


def _who_is_heard(played: Played, recording: Recording) -> Take | None:
    sides = _telephone(recording)
    for take in played.takes.values():
        if any(heard(side, stream) for stream in take.streams for side in sides):
            return take
    return None


def _telephone(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Left and right of a recording at 8 kHz, of which no stream says more."""
    audio = recording.wav
    step = soundfile.info(io.BytesIO(audio)).samplerate // RATE
    left, right = channels(audio)
    return left[::step], right[::step]
