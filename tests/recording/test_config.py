import msgspec
import pytest

from agent.model.recording import Kept, RecordingFormat
from agent.recording.config import RecordingConfig


def convert(**values: object) -> RecordingConfig:
    return msgspec.convert({"recipients": ["age1x"], **values}, RecordingConfig)


def test_defaults() -> None:
    config = convert()
    assert config.recipients == ("age1x",)
    assert config.emergency == ("112",)
    assert (config.format, config.exempt, config.max_segment) == ("wire", (), 7200.0)
    assert (config.finishers, config.min_free_mb) == (0, 64)
    assert config.kept == Kept(format=RecordingFormat.WIRE, opus_bitrate=24_000)


def test_how_recordings_are_kept() -> None:
    kept = convert(format="opus", opus_bitrate=256_000).kept
    assert kept == Kept(format=RecordingFormat.OPUS, opus_bitrate=256_000)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_segment": 0.5}, "max_segment must be"),
        ({"max_segment": 28_801.0}, "max_segment must be"),
        ({"emergency": []}, "emergency must name"),
        ({"format": "mp3"}, "format"),
        ({"opus_bitrate": 5999}, "opus_bitrate must be 6000 to 256000"),
        ({"opus_bitrate": 256_001}, "opus_bitrate must be"),
        ({"recipient": "age1x"}, "unknown field `recipient`"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        convert(**values)
