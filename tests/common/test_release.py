"""A process knows what it was started from, whatever lies there later."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import __version__
from agent.common.release import MAX_RELEASE, release


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "share").mkdir()
    release.cache_clear()
    yield tmp_path / "share/release"
    release.cache_clear()


def test_it_is_the_package_that_was_there_at_the_start(installation: Path) -> None:
    installation.write_text("0.1.0-1+deb12\n")
    assert release() == "0.1.0-1+deb12"
    installation.write_text("0.1.0-2+deb12\n")
    assert release() == "0.1.0-1+deb12"


def test_without_an_installation_it_is_the_version(installation: Path) -> None:
    assert release() == __version__


@pytest.mark.parametrize(
    ("text", "found"), [("", __version__), ("1" * 100, "1" * MAX_RELEASE)]
)
def test_whatever_lies_there_is_bounded(
    installation: Path, text: str, found: str
) -> None:
    installation.write_text(text)
    assert release() == found
