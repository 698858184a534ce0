import msgspec
import pytest

from agent.media.config import MediaConfig


def test_the_defaults_are_those_of_the_example() -> None:
    config = msgspec.convert({}, MediaConfig)
    assert config == MediaConfig()
    assert config.ports == (20000, 29999)
    assert config.workers == 0


def test_unknown_keys_are_mistakes() -> None:
    with pytest.raises(msgspec.ValidationError, match="worker"):
        msgspec.convert({"worker": 2}, MediaConfig)


@pytest.mark.parametrize("key", ["one_way_after", "silent_after"])
def test_an_alarm_is_after_some_seconds_or_never(key: str) -> None:
    assert msgspec.convert({key: 0.0}, MediaConfig)
    with pytest.raises(msgspec.ValidationError, match="never"):
        msgspec.convert({key: -1.0}, MediaConfig)
