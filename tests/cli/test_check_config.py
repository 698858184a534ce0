from collections.abc import Callable

import pytest

from tests.cli.conftest import DiskSite


def test_no_mistakes(
    disk_site: DiskSite, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check-config", "-c", disk_site.write()) == 0
    shown = capsys.readouterr()
    assert "no mistakes" in shown.out
    assert "warning: 1 officers have no key" in shown.err


def test_every_mistake_and_their_number(
    disk_site: DiskSite, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    disk_site.notices = ("missing.wav",)
    disk_site.directory = "missing.csv"
    assert run("check-config", "-c", disk_site.write()) == 1
    shown = capsys.readouterr().err
    assert "routes[0].notice" in shown
    assert "officers.directory" in shown
    assert "2 mistakes" in shown


def test_a_file_that_is_not_there(
    disk_site: DiskSite, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check-config", "-c", disk_site.root / "none.toml") == 1
    assert "1 mistake" in capsys.readouterr().err
