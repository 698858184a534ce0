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


def test_a_secret_that_others_can_read_is_a_mistake(
    disk_site: DiskSite, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    password = disk_site.root / "trunk.password"
    password.write_text("s3cret\n")
    password.chmod(0o640)
    disk_site.peer = 'username = "agent"\npassword_file = "trunk.password"'
    assert run("check-config", "-c", disk_site.write()) == 1
    shown = capsys.readouterr().err
    assert "peers[0].password_file" in shown
    assert "0640" in shown
    assert "s3cret" not in shown
    password.chmod(0o600)
    assert run("check-config", "-c", disk_site.write()) == 0
