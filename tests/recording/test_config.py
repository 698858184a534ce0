import msgspec
import pytest

from agent.recording.config import RecordingConfig


def convert(**values: object) -> RecordingConfig:
    return msgspec.convert({"recipients": ["age1x"], **values}, RecordingConfig)


def test_defaults() -> None:
    config = convert()
    assert config.recipients == ("age1x",)
    assert config.emergency == ("112",)
    assert (config.format, config.exempt, config.max_segment) == ("wire", (), 7200.0)
    assert (config.finishers, config.min_free_mb) == (0, 64)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_segment": 0.5}, "max_segment must be"),
        ({"emergency": []}, "emergency must name"),
        ({"format": "mp3"}, "format"),
        ({"recipient": "age1x"}, "unknown field `recipient`"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        convert(**values)
