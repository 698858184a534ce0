import pytest

from agent.formats.audio_format import AudioFormat, choose
from agent.model.recording import RecordingFormat

WIRE, FLAC, OPUS = RecordingFormat

# What was heard; whether above 8 kHz; then the file of each kept format.
TABLE = [
    ((), False, "wav-alaw 8000", "flac 8000", "ogg-opus 8000"),
    (("PCMA",), False, "wav-alaw 8000", "flac 8000", "ogg-opus 8000"),
    (("PCMU",), False, "wav-ulaw 8000", "flac 8000", "ogg-opus 8000"),
    (("PCMA", "PCMU"), False, "flac 8000", "flac 8000", "ogg-opus 8000"),
    (("G722",), False, "flac 16000", "flac 16000", "ogg-opus 16000"),
    (("G722", "PCMA"), False, "flac 16000", "flac 16000", "ogg-opus 16000"),
    (("opus",), False, "flac 16000", "flac 16000", "ogg-opus 16000"),
    (("opus",), True, "flac 48000", "flac 48000", "ogg-opus 48000"),
    (("opus", "PCMA", "G722"), True, "flac 48000", "flac 48000", "ogg-opus 48000"),
]


@pytest.mark.parametrize(("codecs", "above", "wire", "flac", "opus"), TABLE)
def test_table(
    codecs: tuple[str, ...], *, above: bool, wire: str, flac: str, opus: str
) -> None:
    for kept, expected in zip(RecordingFormat, (wire, flac, opus), strict=True):
        format_, rate = choose(
            set(codecs), above_8_khz=above, empty=False, mixed=False, kept=kept
        )
        assert f"{format_} {rate}" == expected


@pytest.mark.parametrize("kept", RecordingFormat)
def test_what_lasts_no_time_is_wav(kept: RecordingFormat) -> None:
    found = choose({"opus"}, above_8_khz=True, empty=True, mixed=False, kept=kept)
    assert found == (AudioFormat.WAV_ALAW, 8000)


def test_what_is_added_up_is_of_no_law() -> None:
    for kept, expected in zip(
        RecordingFormat, ("flac", "flac", "ogg-opus"), strict=True
    ):
        found = choose({"PCMA"}, above_8_khz=False, empty=False, mixed=True, kept=kept)
        assert found == (expected, 8000)


def test_names_and_laws() -> None:
    assert [(f.suffix, f.law) for f in AudioFormat] == [
        ("wav", "alaw"), ("wav", "ulaw"), ("flac", None), ("opus", None),
    ]  # fmt: skip
