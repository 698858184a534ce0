"""The commands on directories, and what needs no server; Ceph judges the rest."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.storage.options import HostUserError
from agent.cli.storage.targets import lock_days_of, read_site
from agent.common.outgoing import OutsideRegionError
from agent.common.strict_toml import ConfigError
from agent.formats.layout import LayoutError
from agent.retention.policy import Period
from agent.upload.policies import Role
from tests.cli.conftest import DiskSite

S3 = """\
[[storage]]
locked_url = "s3://rec-locked/site"
url = "s3://rec-state"
endpoint = "https://{host}"
region = "{region}"
credentials = "keys"
lock = "governance"
"""


def config(path: Path, *, host: str = "s3.test", region: str = "FI") -> Path:
    path.write_text(S3.format(host=host, region=region))
    return path


def test_directories_are_made_once_and_judged(
    disk_site: DiskSite, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = disk_site.write()
    (disk_site.root / "locked").chmod(0o750)
    (disk_site.root / "state").rmdir()
    assert run("storage", "check", "-c", file) == 1
    assert "No such file" in capsys.readouterr().out
    assert run("storage", "init", "-c", file) == 0
    assert run("storage", "init", "-c", file) == 0
    capsys.readouterr()
    assert run("storage", "check", "-c", file) == 0
    shown = capsys.readouterr().out
    assert shown.count("right") == 4
    assert f"{disk_site.root}/locked  directory: it is there" in shown


def test_buckets_are_not_made_with_a_hosts_credentials(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match="administrator"):
        run("storage", "init", "-c", config(tmp_path / "agent.toml"))


def test_policies_of_roles_and_of_buckets(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = config(tmp_path / "agent.toml")
    assert run("storage", "policies", "-c", file, "--host", "a", "--host", "b") == 0
    roles = json.loads(capsys.readouterr().out)["storage[0]"]
    assert set(roles) == {"host a", "host b", "gate", "reader"}
    assert "Principal" not in json.dumps(roles)
    assert "s3:if-none-match" not in json.dumps(roles)
    assert "arn:aws:s3:::rec-locked/site/audio/*" in json.dumps(roles["host a"])

    named = "a=arn:aws:iam:::user/h"
    assert run("storage", "policies", "-c", file, "--host", named) == 0
    buckets = json.loads(capsys.readouterr().out)["storage[0]"]
    assert set(buckets) == {"rec-locked", "rec-state"}
    who = {tuple(s["Principal"]["AWS"]) for s in buckets["rec-state"]["Statement"]}
    assert who == {("arn:aws:iam:::user/h",)}


def test_each_host_is_named_beside_its_user(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = config(tmp_path / "agent.toml")
    with pytest.raises(HostUserError, match="No host is named"):
        run("storage", "policies", "-c", file)
    for verb in ("init", "check"):
        with pytest.raises(HostUserError, match="arn:aws:iam:::user/h"):
            run("storage", verb, "-c", file, "--host", "arn:aws:iam:::user/h")
    with pytest.raises(LayoutError):
        run("storage", "policies", "-c", file, "--host", "a/b")
    file.write_text('[agent]\nname = "host-7"\n' + file.read_text())
    assert run("storage", "policies", "-c", file) == 0
    assert "audit/host-7.????????/*" in capsys.readouterr().out


def test_of_directories_it_is_said_that_nobody_enforces_anything(
    disk_site: DiskSite, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("storage", "policies", "-c", disk_site.write()) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "storage[0]: a directory, where no server enforces a policy." in said.err


def test_amazon_is_asked_for_what_it_can(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = config(tmp_path / "agent.toml", host="s3.eu-north-1.amazonaws.com")
    assert run("storage", "policies", "-c", file, "--host", "a") == 0
    assert "s3:if-none-match" in capsys.readouterr().out
    more = ("--host", "a", "--dialect", "ceph")
    assert run("storage", "policies", "-c", file, *more) == 0
    assert "s3:if-none-match" not in capsys.readouterr().out


def test_a_target_outside_is_refused_before_it_is_connected_to(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"storage\[0\]\.region: 'us-west-2' is in US"
    ):
        read_site(config(tmp_path / "agent.toml", region="us-west-2"))
    assert issubclass(OutsideRegionError, Exception)


def test_other_sections_are_others_business(tmp_path: Path) -> None:
    file = config(tmp_path / "gate.toml")
    file.write_text('[gate]\nlisten = "x"\n' + file.read_text())
    assert len(read_site(file).storages) == 1
    assert read_site(file).role is Role.GATE
    file.write_text("[agent]\n" + file.read_text())
    assert read_site(file).role is Role.HOST
    file.write_text("[retention]\nperiod = 'P9X'\n")
    with pytest.raises(ConfigError, match="period"):
        read_site(file)


@pytest.mark.parametrize(
    ("period", "days"),
    [("P1Y", 351), ("P6M", 167), ("P1M", 14), ("P30D", 16), ("P7D", 1)],
)
def test_a_lock_ends_two_weeks_before_the_shortest_time(period: str, days: int) -> None:
    assert lock_days_of(Period.parse(period)) == days
