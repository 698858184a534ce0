import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import msgspec
import numpy as np
import pytest
import soundfile

from agent.access.copying import Copy, Maker, Sheet, copy_recording
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.formats.audio_format import AudioFormat
from agent.formats.canonical import parse_canonical
from agent.formats.masking import Span
from agent.formats.signed import verify_document
from agent.formats.sshsig import Namespace, SignatureError, SigningKey
from tests.access.recordings import ID, recording
from tests.recording.segments import CALLER, OFFICER

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DISCLOSED = Reason(
    purpose=Purpose.DISCLOSURE, reference="A/1", recipient="police", basis="621/1999:29"
)
MAKER = Maker(person="p-handler", now=NOW, reason=DISCLOSED)


def sheet_of(copy: Copy) -> Sheet:
    return parse_canonical(copy.files[f"{ID}.sheet.json"], Sheet)


@pytest.mark.parametrize("format_", AudioFormat)
def test_a_copy_is_standard_audio_that_says_whose_copy_it_is(
    format_: AudioFormat,
) -> None:
    manifest, audio = recording(format_)
    copy = copy_recording(manifest, audio, MAKER)
    assert [*copy.files] == [f"{ID}.{format_.suffix}", f"{ID}.json", f"{ID}.sheet.json"]
    data = copy.files[f"{ID}.{format_.suffix}"]
    with soundfile.SoundFile(BytesIO(data)) as file:
        line = file.comment
        heard = file.read(dtype="int16")
    assert line == (
        f"Copy of recording {ID}, made 2026-11-29T12:00:00Z, by p-handler,"
        " for disclosure, reference A/1, to police"
    )
    assert np.array_equal(heard, soundfile.read(BytesIO(audio), dtype="int16")[0])


def test_the_sheet_names_the_original_the_reason_and_every_file() -> None:
    manifest, audio = recording()
    copy = copy_recording(manifest, audio, MAKER)
    sheet = sheet_of(copy)
    assert sheet.original_sha256 == hashlib.sha256(audio).hexdigest()
    assert (sheet.purpose, sheet.recipient) == ("disclosure", "police")
    assert (sheet.basis, sheet.reference) == ("621/1999:29", "A/1")
    assert (sheet.by, sheet.masked) == ("p-handler", ())
    for file in sheet.files:
        data = copy.files[file.name]
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert file.size == len(data)


@pytest.mark.parametrize("format_", AudioFormat)
def test_what_is_masked_is_silent_and_said_so(format_: AudioFormat) -> None:
    manifest, audio = recording(format_)
    spans = [Span(500, 1500)]
    reason = Reason(purpose=Purpose.SUBJECT_REQUEST, reference="A/2")
    copy = copy_recording(manifest, audio, replace(MAKER, reason=reason), spans)
    with soundfile.SoundFile(BytesIO(copy.files[f"{ID}.{format_.suffix}"])) as file:
        heard = file.read(dtype="int16")
        assert "masked 0:00:00.500-0:00:01.500" in file.comment
        assert np.abs(heard[file.samplerate * 6 // 10 : file.samplerate]).max() < 40
        assert np.abs(heard[: file.samplerate // 4]).max() > 200
    tags = msgspec.json.decode(copy.files[f"{ID}.json"])
    assert tags["masked"] == [{"start_ms": 500, "end_ms": 1500}]
    assert tags["manifest"]["caller"] == CALLER
    assert tags["manifest"]["officers"][0]["name"] == OFFICER
    assert sheet_of(copy).masked[0].end_ms == 1500


def test_many_spans_fit_the_line() -> None:
    manifest, audio = recording()
    spans = [Span(at, at + 1) for at in range(0, 1000, 2)]
    reason = Reason(purpose=Purpose.QUALITY, reference="r" * 64)
    copy = copy_recording(manifest, audio, replace(MAKER, reason=reason), spans)
    with soundfile.SoundFile(BytesIO(copy.files[f"{ID}.wav"])) as file:
        assert file.comment.endswith("and more")
    assert len(sheet_of(copy).masked) == 500


def test_a_signed_sheet_tells_who_made_the_copy() -> None:
    key, other = (SigningKey.from_seed(bytes([one]) * 32) for one in (1, 2))
    manifest, audio = recording()
    maker = replace(MAKER, signing_key=key)
    document = copy_recording(manifest, audio, maker).files[f"{ID}.sheet.json"]
    verified = verify_document(document, Namespace.EXPORT, [key.public])
    assert parse_canonical(verified.payload, Sheet).id == ID
    with pytest.raises(SignatureError):
        verify_document(document, Namespace.EXPORT, [other.public])
    with pytest.raises(SignatureError):
        verify_document(document, Namespace.REQUEST, [key.public])


def test_names_and_what_is_printed_tell_nobody() -> None:
    manifest, audio = recording()
    copy = copy_recording(manifest, audio, MAKER)
    shown = repr(copy) + repr(MAKER) + "".join(copy.files)
    for word in (CALLER, OFFICER, OFFICER.split()[1]):
        assert word not in shown
