"""`recording-agent storage` against Ceph: made, judged, spoiled, and judged again."""

from pathlib import Path

import pytest

from agent.cli.app import app
from agent.common.errors import AgentError
from tests.lab.ceph import Ceph, Keys
from tests.lab.s3 import s3_client

pytestmark = [pytest.mark.integration, pytest.mark.beside]

CONFIG = """\
[agent]
[[storage]]
locked_url = "s3://{name}-locked"
url = "s3://{name}-state/site"
endpoint = "{endpoint}"
ca = "{ca}"
region = "FI"
credentials = "host.keys"
lock = "compliance"
"""


class Commands:
    """Runs the commands on a storage of its own, over TLS."""

    def __init__(self, ceph: Ceph, name: str, folder: Path) -> None:
        self.owner, self.host = ceph.user(f"{name}-owner"), ceph.user(f"{name}-host")
        self.owner.write(folder / "owner.keys")
        self.host.write(folder / "host.keys")
        self.config = folder / "agent.toml"
        self.config.write_text(
            CONFIG.format(name=name, endpoint=ceph.tls_endpoint, ca=ceph.ca)
        )
        self.admin = s3_client(ceph.endpoint, self.owner)

    def run(self, verb: str) -> int:
        more = ["--admin-credentials", str(self.config.parent / "owner.keys")]
        more += ["--host", f"host-1={self.host.arn}"]
        try:
            app(["storage", verb, "-c", str(self.config), *more])
        except SystemExit as end:
            return int(end.code or 0)
        return 0


def test_what_init_makes_check_finds_right_until_it_is_spoiled(
    ceph: Ceph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = Commands(ceph, "commands", tmp_path)
    assert commands.run("check") == 1
    assert capsys.readouterr().out.count("there is no such bucket") == 2

    assert commands.run("init") == 0, capsys.readouterr().out
    made = capsys.readouterr().out
    assert "commands-locked  lock: compliance for 351 days" in made
    assert "commands-state  lock: no default" in made
    assert "a key that is taken is refused" in made
    assert "what is locked stays" in made
    assert commands.run("init") == 0
    assert capsys.readouterr().out == made
    # Nothing of the probes is left, in a bucket that would keep it for a year.
    for bucket in ("commands-locked", "commands-state"):
        assert "Versions" not in commands.admin.list_object_versions(Bucket=bucket)

    assert commands.run("check") == 0, capsys.readouterr().out
    judged = capsys.readouterr().out
    assert judged.count("a host is refused what it must not do") == 2

    commands.admin.put_bucket_versioning(
        Bucket="commands-state", VersioningConfiguration={"Status": "Suspended"}
    )
    commands.admin.delete_bucket_policy(Bucket="commands-locked")
    assert commands.run("check") == 1
    spoiled = capsys.readouterr().out
    assert (
        "commands-state  versions: what is overwritten is lost (suspended)" in spoiled
    )
    assert "commands-locked  policy: no policy" in spoiled
    assert spoiled.count("`recording-agent storage init` sets it.") == 2
    assert commands.run("init") == 0
    assert commands.run("check") == 0


def test_wrong_credentials_are_no_finding(ceph: Ceph, tmp_path: Path) -> None:
    commands = Commands(ceph, "commands", tmp_path)
    wrong = Keys("x", commands.owner.access, "0" * 40)
    wrong.write(tmp_path / "owner.keys")
    assert commands.run("check") == 1


def test_an_endpoint_whose_certificate_nobody_vouches_for_is_an_error(
    ceph: Ceph, tmp_path: Path
) -> None:
    commands = Commands(ceph, "commands", tmp_path)
    text = commands.config.read_text()
    commands.config.write_text(text.replace(f'ca = "{ceph.ca}"\n', ""))
    with pytest.raises(AgentError, match="SSLError"):
        commands.run("check")
