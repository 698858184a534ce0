import shutil
import socket
from pathlib import Path

import pytest

from agent.cli import demo_site
from agent.cli.demo_site import DemoError, build
from agent.formats.age import KeyKind, open_identity_file
from agent.service.config import load
from agent.service.material import read_material

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)


@needs_espeak
@pytest.mark.parametrize("classic", [True, False])
def test_a_site_the_daemon_takes(tmp_path: Path, *, classic: bool) -> None:
    site = build(tmp_path / "demo", classic=classic)
    config = load(site.config)
    material = read_material(config, site.root)
    kind = KeyKind.CLASSIC if classic else KeyKind.POST_QUANTUM
    assert {recipient.kind for recipient in material.people.quality()} == {kind}
    assert material.people.directory().lookup("201") is not None
    assert material.protection.signing is not None
    sections = ["gate.day_keys", "index.keys", "region.here"]
    assert [w.partition(" ")[0] for w in material.warnings] == sections
    for name in demo_site.KEYS:
        path = site.key(name)
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(open_identity_file(path.read_bytes())) == 1
    ports = {site.sip, site.caller, site.officer, site.sbc}
    assert len({*ports, site.caller_rtp, site.officer_rtp}) == 6


@needs_espeak
def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    first = build(tmp_path, classic=True)
    key = first.key("quality").read_bytes()
    (tmp_path / "agent.log").write_text("x")
    second = build(tmp_path, classic=True)
    assert second.key("quality").read_bytes() != key
    assert not (tmp_path / "agent.log").exists()


def test_what_is_not_the_demos_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    (tmp_path / "keys").mkdir()
    with pytest.raises(DemoError, match=r"thesis\.txt"):
        build(tmp_path, classic=True)
    assert (tmp_path / "keys").is_dir()


def test_no_free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken(socket.socket):
        def bind(self, _: object) -> None:  # type: ignore[override]
            raise OSError

    monkeypatch.setattr(socket, "socket", Taken)
    with pytest.raises(DemoError, match="no free UDP ports"):
        demo_site._free_ports(1)
