import msgspec
import pytest

from agent.identity.config import DirectoryConfig, RosterConfig
from tests.formats.rosters import ROOT


def test_without_a_section_there_is_no_directory() -> None:
    assert DirectoryConfig().directory == ""


def test_unknown_keys_are_mistakes() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"directroy": "officers.csv"}, DirectoryConfig)


def test_a_roster_comes_with_the_key_that_must_have_signed_it() -> None:
    RosterConfig()
    RosterConfig(path="roster.signed", root=str(ROOT.public))
    with pytest.raises(ValueError, match="needed together"):
        RosterConfig(path="roster.signed")
    with pytest.raises(ValueError, match="needed together"):
        RosterConfig(root=str(ROOT.public))
    with pytest.raises(ValueError, match="root: ssh-rsa is not a kind"):
        RosterConfig(path="roster.signed", root="ssh-rsa AAAA")
