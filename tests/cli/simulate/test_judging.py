import io
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
import soundfile

from agent.access.opening import Found, Opened
from agent.cli.doctor.finding import Finding, Findings, Verdict
from agent.cli.simulate import beeps
from agent.cli.simulate.call import Placed
from agent.cli.simulate.judging import (
    judge_audio,
    judge_call,
    judge_objects,
    judge_row,
)
from agent.model.call import Outcome
from agent.recording.ledger import LedgerRow, RecordingRow
from tests.formats.test_manifest import manifest

BEGUN = 1_795_437_296
LEAD = 0.5
"Seconds from the officer's answer to the pattern."
PLACED = Placed(
    call_id="call",
    notice_seconds=4.0,
    notice_heard=True,
    said_utc_ns=tuple(
        tuple(round((BEGUN + LEAD + at) * 1e9) for at in beeps.places(rising=rising))
        for rising in (True, False)
    ),
    delays=((0.003,) * beeps.COUNT, (0.004,) * beeps.COUNT),
)
ROW = LedgerRow(
    call_id="call",
    route="simulate",
    direction="inbound",
    begun_utc_ns=BEGUN * 10**9,
    answered_utc_ns=(BEGUN + 4) * 10**9,
    ended_utc_ns=(BEGUN + 9) * 10**9,
    outcome="recorded",
    cause="caller-hangup",
    sip_status=None,
    missing_ms=0,
    recordings=[
        RecordingRow(
            recording_id="0123456789",
            group="g",
            state="stored",
            started_utc_ns=BEGUN * 10**9,
            changed_utc_ns=BEGUN * 10**9,
            verdict="good",
        )
    ],
)
FOUND = Findings("x")


def worst(found: list[Finding]) -> Verdict:
    order = [Verdict.RIGHT, Verdict.WARNING, Verdict.WRONG]
    return max((one.verdict for one in found), key=order.index)


def test_a_sound_call() -> None:
    found = list(judge_call(PLACED, FOUND))
    assert worst(found) is Verdict.RIGHT
    assert "3.0 ms" in found[1].text


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({"notice_heard": False}, Verdict.WRONG, "did not hear all"),
        ({"delays": ((0.003,) * 3, (0.004,) * 4)}, Verdict.WRONG, "heard 3 of the"),
        ({"delays": ((0.003,) * 4, (0.2,) * 4)}, Verdict.WARNING, "200.0 ms at most"),
    ],
)
def test_what_was_not_heard(
    changes: dict[str, object], verdict: Verdict, said: str
) -> None:
    found = list(judge_call(replace(PLACED, **changes), FOUND))
    assert worst(found) is verdict
    assert any(said in one.text and one.remedy for one in found)


def test_a_row_as_it_must_be() -> None:
    assert worst(list(judge_row(ROW, FOUND))) is Verdict.RIGHT


@pytest.mark.parametrize(
    ("changes", "recording", "verdict", "said"),
    [
        ({"outcome": Outcome.PARTIAL, "missing_ms": 80}, {}, Verdict.WRONG, "80 ms"),
        ({"outcome": None}, {}, Verdict.WRONG, "open"),
        ({"recordings": []}, {}, Verdict.WRONG, "no recording"),
        ({}, {"state": "sealed"}, Verdict.WRONG, "not stored yet"),
        ({}, {"verdict": "one-way"}, Verdict.WARNING, "sounds one-way"),
    ],
)
def test_a_row_that_is_not(
    changes: dict[str, object],
    recording: dict[str, object],
    verdict: Verdict,
    said: str,
) -> None:
    row = msgspec.structs.replace(ROW, **changes)
    if recording:
        one = msgspec.structs.replace(ROW.recordings[0], **recording)
        row = msgspec.structs.replace(row, recordings=[one])
    found = list(judge_row(row, FOUND))
    assert worst(found) is verdict
    assert any(said in one.text and one.remedy for one in found)


def test_what_a_storage_has() -> None:
    whole = Found("id", envelope=b"e", audio=b"a" * 2048, suffix="wav", manifest=b"m")
    [found] = judge_objects("hall-a", whole, FOUND)
    assert found.verdict is Verdict.RIGHT
    assert found.text == "hall-a has audio (wav, 2 KiB), manifest, envelope"
    [found] = judge_objects("hall-a", Found("id", audio=b"a"), FOUND)
    assert "no manifest, no envelope" in found.text


def opened(*channels: np.ndarray, rate: int = 8000) -> Opened:
    buffer = io.BytesIO()
    columns = np.stack(channels, axis=1)
    soundfile.write(buffer, columns, rate, format="WAV", subtype="ALAW")
    moment = datetime.fromtimestamp(BEGUN, tz=UTC).isoformat()
    facts = msgspec.structs.replace(manifest(), started={"utc": moment})
    return Opened("id", "wav", buffer.getvalue(), facts, b"")


def channel(*, rising: bool, shift: float = 0.0) -> np.ndarray:
    samples = np.frombuffer(beeps.pattern(rising=rising), "<i2") / 32768
    lead = np.zeros(round((LEAD + shift) * 8000))
    return np.concatenate([lead, samples, np.zeros(12_000 - len(lead))])


def test_each_party_is_in_its_channel_and_in_time() -> None:
    both = channel(rising=True), channel(rising=False)
    found = list(judge_audio(opened(*both), PLACED, FOUND))
    assert [one.verdict for one in found] == [Verdict.RIGHT] * 2
    assert "left channel has all 4 of the caller's beeps" in found[0].text
    assert "right channel has all 4 of the officer's beeps" in found[1].text


def test_what_is_wrong_with_a_recording() -> None:
    caller, officer = channel(rising=True), channel(rising=False)

    def judged(*channels: np.ndarray) -> list[Verdict]:
        found = judge_audio(opened(*channels), PLACED, FOUND)
        return [one.verdict for one in found]

    wrong, right = Verdict.WRONG, Verdict.RIGHT
    assert judged(officer, caller) == [wrong, wrong]
    assert judged(caller, caller + officer) == [wrong, right]
    assert judged(caller, np.zeros_like(caller)) == [right, wrong]
    late = channel(rising=False, shift=0.3)
    assert judged(caller, late) == [right, wrong]
    assert judged(caller) == [wrong]
    cut = caller.copy()
    cut[: round((LEAD + beeps.FIRST + 0.3) * 8000)] = 0.0
    assert judged(cut, officer) == [wrong, right]
