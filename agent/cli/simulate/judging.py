"""What a test call and its recording must be like."""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from statistics import median
from typing import Final

import soundfile

from agent.access.opening import Found, Opened
from agent.cli.doctor.finding import Finding, Findings
from agent.cli.simulate import beeps
from agent.cli.simulate.call import Placed
from agent.model.call import Outcome
from agent.model.recording import RecordingState, Verdict
from agent.recording.ledger import LedgerRow

SLOW: Final = 0.05
"Seconds from mouth to ear that a relay may cost, at the worst beep."
TOLERANCE: Final = 0.1
"Seconds by which a beep may be away from its place: frames, and a host's pauses."
_CHANNELS: Final = (("left", "caller"), ("right", "officer"))
_JOURNAL: Final = "See the call's lines in the journal: journalctl CALL_ID={}."


def judge_call(placed: Placed, found: Findings) -> Iterator[Finding]:
    """What the two telephones heard."""
    journal = _JOURNAL.format(placed.call_id)
    if placed.notice_heard:
        yield found.right(
            f"the caller heard all of the notices, {placed.notice_seconds:.1f} s,"
            " before any officer"
        )
    else:
        yield found.wrong("the caller did not hear all of the notices", journal)
    for who, other, delays in zip(
        ("caller", "officer"), ("officer", "caller"), placed.delays, strict=True
    ):
        if len(delays) < beeps.COUNT:
            yield found.wrong(
                f"the {other} heard {len(delays)} of the {who}'s {beeps.COUNT} beeps",
                journal,
            )
            continue
        text = (
            f"the {other} hears the {who} after {median(delays) * 1000:.1f} ms,"
            f" {max(delays) * 1000:.1f} ms at most"
        )
        if max(delays) > SLOW:
            yield found.warning(
                text, "See what else keeps this host's processors busy."
            )
        else:
            yield found.right(text)


def judge_row(row: LedgerRow, found: Findings) -> Iterator[Finding]:
    """What the ledger says became of it."""
    journal = _JOURNAL.format(row.call_id)
    if row.outcome == Outcome.RECORDED:
        yield found.right(f"the ledger says recorded, {row.cause}")
    else:
        missing = f", {row.missing_ms} ms missing" if row.missing_ms else ""
        yield found.wrong(f"the ledger says {row.outcome or 'open'}{missing}", journal)
    if not row.recordings:
        yield found.wrong("there is no recording of it", journal)
    for recording in row.recordings:
        name = recording.recording_id[:8]
        if recording.state in {RecordingState.STORED, RecordingState.PURGED}:
            yield found.right(f"{name} is stored, read back and verified")
        else:
            yield found.wrong(
                f"{name} is {recording.state}, and not stored yet",
                "See `recording-agent doctor`: is storage away, or a day key missing?",
            )
        if recording.verdict and recording.verdict != Verdict.GOOD:
            yield found.warning(
                f"{name} sounds {recording.verdict}", "Open it: its manifest says why."
            )


def judge_objects(name: str, stored: Found, found: Findings) -> Iterator[Finding]:
    """What one storage has."""
    missing = [
        what
        for what, data in (
            ("audio", stored.audio),
            ("manifest", stored.manifest),
            ("envelope", stored.envelope),
        )
        if not data
    ]
    if missing:
        yield found.wrong(
            f"{name} has no {', no '.join(missing)}",
            "See `recording-agent storage check`, and `storing_failed` in the journal.",
        )
    else:
        size = len(stored.audio) / 1024
        yield found.right(
            f"{name} has audio ({stored.suffix}, {size:.0f} KiB), manifest, envelope"
            + (" and seal" if stored.seal else "")
        )


def judge_audio(opened: Opened, placed: Placed, found: Findings) -> Iterator[Finding]:
    """Whether each beep is in its channel, and in its place."""
    samples, rate = soundfile.read(io.BytesIO(opened.audio), always_2d=True)
    if samples.shape[1] != 2:
        yield found.wrong(
            f"the recording has {samples.shape[1]} channels, not two", "Report this."
        )
        return
    begun = datetime.fromisoformat(opened.manifest.started["utc"]).timestamp()
    for index in range(len(_CHANNELS)):
        wanted = [at / 1e9 - begun for at in placed.said_utc_ns[index]]
        rising = index == 0
        heard = beeps.find(samples[:, index], rate, rising=rising)
        strays = beeps.find(samples[:, 1 - index], rate, rising=rising)
        yield _judge_channel(heard, wanted, len(strays), index, found)


def _judge_channel(
    heard: Sequence[beeps.Sounded],
    wanted: Sequence[float],
    strays: int,
    index: int,
    found: Findings,
) -> Finding:
    """`strays` of its party's beeps are in the other channel."""
    side, who = _CHANNELS[index]
    if len(heard) != len(wanted) or strays:
        return found.wrong(
            f"the {side} channel has {len(heard)} of the {who}'s {len(wanted)} beeps,"
            f" the other channel {strays}",
            "Report this, with the recording: audio is lost, or in the wrong channel.",
        )
    away = max(
        (abs(one.at - at) for one, at in zip(heard, wanted, strict=True)), default=0.0
    )
    text = (
        f"the {side} channel has all {len(heard)} of the {who}'s beeps, and no other;"
        f" {away * 1000:.0f} ms from their place at most"
    )
    if away > TOLERANCE:
        return found.wrong(text, "Report this, with the recording: it is out of time.")
    return found.right(text)
