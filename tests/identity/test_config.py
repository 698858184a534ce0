import msgspec
import pytest

from agent.identity.config import DirectoryConfig


def test_without_a_section_there_is_no_directory() -> None:
    assert DirectoryConfig().directory == ""


def test_unknown_keys_are_mistakes() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"directroy": "officers.csv"}, DirectoryConfig)
