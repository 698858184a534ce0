"""FORMAT.md's worked example, run as it stands there: stock tools alone."""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agent.formats.age import KeyKind, generate_identity, identity_file
from agent.formats.blind_index import blind, month_key
from agent.formats.envelope import wrap
from agent.formats.manifest import parse_manifest
from agent.formats.seal import parse_seal
from tests.archive.sealed_world import HOST, World
from tests.formats.rosters import signing_key
from tests.recording.segments import CALLER, entropy, quality, stereo

FORMAT = Path(__file__).resolve().parents[2] / "agent" / "formats" / "FORMAT.md"
pytestmark = pytest.mark.integration


def example() -> list[str]:
    """The commands of the worked example, a script for each block."""
    text = FORMAT.read_text(encoding="utf-8")
    section = text.partition(". Worked example\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    return [
        "".join(line[4:] for line in block.splitlines(keepends=True))
        for block in blocks
        if not block.lstrip()[0].isdigit()  # bytes, no commands
    ]


class Day(msgspec.Struct):
    recipient: str


@pytest.mark.parametrize("kind", list(KeyKind))
def test_the_stock_tools_do_all_that_it_says(kind: KeyKind, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    missing = [
        name
        for name in ("age", "ssh-keygen", "openssl")
        if not shutil.which(name, path=path)
    ]
    assert not missing, "scripts/setup --test fetches them"
    world = World(tmp_path / "spool")
    segment = world.record(kind=kind)
    asyncio.run(world.store())
    place = tmp_path / "reader"
    place.mkdir()
    for suffix in ("wav.age", "json.age", "seal", "key.age"):
        key = world.key_of(segment, suffix)
        (place / f"{segment.id}.{suffix}").write_bytes(world.place(key)[key])
    gate = generate_identity(kind, entropy)
    envelope = place / f"{segment.id}.key.age"
    outer = wrap(envelope.read_bytes(), segment.id, Day(str(gate.recipient())), entropy)
    (place / "stored.key.age").write_bytes(outer)
    envelope.unlink()
    (place / "day.txt").write_text(identity_file(gate))
    (place / "officer.txt").write_text(identity_file(quality(kind).identity))
    (place / "hosts").write_text(f"{HOST} {signing_key(HOST).public}\n")
    month = month_key(bytes(32), "2026-11")
    (place / "month").write_text(month.hex())
    shown = []
    for script in example():
        done = subprocess.run(
            ["/bin/sh", "-euc", script.replace("ID", segment.id)],
            cwd=place,
            env={"PATH": path, "HOME": str(place)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
    released, sealed, opened, index, journal = shown
    assert released == f"recording-agent envelope v1 {segment.id}\n"
    statement = parse_seal((place / f"{segment.id}.seal").read_bytes())
    assert 'Good "recording-agent-seal" signature for host-a' in sealed
    for one in statement.objects:
        assert f"{one.sha256}  {one.key.rpartition('/')[2]}" in sealed
    assert f"sha256:{sealed.splitlines()[-1].split()[0]}" == statement.segment_key
    call = (place / "call.wav").read_bytes()
    assert call.endswith(stereo(range(10), 10)) or stereo(range(10), 10) in call
    manifest = parse_manifest((place / "call.json").read_bytes())
    assert manifest.audio.sha256 == hashlib.sha256(call).hexdigest()
    assert opened.split()[0] == manifest.audio.sha256
    assert index.split()[-1] == blind(month, "caller", CALLER)
    assert journal == segment.key.journal_key(segment.id).hex()
