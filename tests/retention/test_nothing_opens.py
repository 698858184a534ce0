"""After an erasure no key that anybody has opens anything, copies of before included.

Everything that is left is tried with every key there is, and with every key that comes
to light, until none is new. A copy of the keyring from before is the stated exception.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from agent.archive.keyring import Keyring
from agent.archive.states import States
from agent.archive.store import Archive
from agent.formats.age import (
    AgeError,
    Identity,
    KeyKind,
    decrypt,
    encrypt,
    generate_identity,
    parse_identities,
)
from agent.formats.envelope import SegmentKey, wrap
from agent.formats.layout import dated, envelope_key
from agent.retention.erasure import Erasure
from agent.retention.policy import DAY_NS, start_of_day
from agent.retention.site import Place, Site
from agent.retention.sweep import Sweep
from agent.upload.backends.directory import DirectoryBackend
from tests.retention.sites import DAY, DUE_NS, YEAR, Outer

GONE = "00000000-0000-4000-8000-00000000000a"
STAYS = "00000000-0000-4000-8000-00000000000b"
NEXT = DAY + timedelta(1)


class Everything:
    """Files and keys; what opens with what is found out by trying."""

    def __init__(self, *folders: Path) -> None:
        self.folders = folders

    def opened(self, identities: list[Identity]) -> set[bytes]:
        """Every plaintext that comes to light, however many keys it takes."""
        found: set[bytes] = set()
        known = {one.encode() for one in identities}
        while True:
            held = [key for text in sorted(known) for key in parse_identities(text)]
            fresh = {p for d in self._ciphertexts(found) for p in self._plain(d, held)}
            keys = {k for p in fresh for k in self._keys(p)}
            if fresh <= found and keys <= known:
                return found
            found |= fresh
            known |= keys

    def _ciphertexts(self, found: set[bytes]) -> Iterator[bytes]:
        for folder in self.folders:
            for path in folder.rglob("*"):
                if path.is_file():
                    yield path.read_bytes()
        for plain in found:
            yield plain.partition(b"\n")[2]  # an inner layer, behind what names it

    def _plain(self, data: bytes, identities: list[Identity]) -> Iterator[bytes]:
        for identity in identities:
            try:
                yield decrypt(data, [identity])
            except AgeError:
                continue

    def _keys(self, plain: bytes) -> Iterator[str]:
        try:
            yield from (key.encode() for key in parse_identities(plain.decode()))
        except (AgeError, UnicodeDecodeError):
            return


def store(
    root: Path, ring: Keyring, members: list[Identity], day: date, recording_id: str
) -> None:
    segment = SegmentKey.generate(KeyKind.CLASSIC, os.urandom)
    inner = segment.seal([one.recipient() for one in members], os.urandom)
    outer = ring.day_identity(day, ring.generations(day)[-1]).recipient()
    objects = {
        f"state/{envelope_key(day, recording_id)}": wrap(
            inner, recording_id, Outer(str(outer)), os.urandom
        ),
        f"locked/{dated('audio', day, f'{recording_id}.wav.age')}": encrypt(
            f"audio of {recording_id}".encode(),
            [segment.identity.recipient()],
            os.urandom,
        ),
    }
    for name, data in objects.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


@pytest.mark.parametrize("way", ["early", "sweep"])
async def test_nothing_opens_what_was_erased(tmp_path: Path, way: str) -> None:
    storage, folder = tmp_path / "storage", tmp_path / "ring"
    for name in ("locked", "state"):
        (storage / name).mkdir(parents=True)
    gate, *members = (generate_identity(KeyKind.CLASSIC, os.urandom) for _ in range(4))
    ring = await Keyring.create(folder, [gate], kind=KeyKind.CLASSIC)
    try:
        await ring.generate_until(NEXT, today=DAY)
        other = DAY if way == "early" else NEXT
        store(storage, ring, members, DAY, GONE)
        store(storage, ring, members, other, STAYS)
        shutil.copytree(storage, tmp_path / "storage before")
        shutil.copytree(folder, tmp_path / "ring before")
        home = DirectoryBackend(storage / "state")
        archive = Archive(DirectoryBackend(storage / "locked"), home)
        site = Site(tuple(Place.of([archive])), States(home), None, ring)
        if way == "early":
            now_ns = start_of_day(DAY + timedelta(8))
            erasure = Erasure(site, skew=float("inf"))
            await erasure.begin({GONE: [DAY]}, "wrong", now_ns)
            done = await erasure.run(now_ns + 3 * DAY_NS)
            assert done.erased == [GONE]
        else:
            sweep = Sweep(site, YEAR, wait=0, skew=float("inf"))
            assert (await sweep.run(DUE_NS)).complete == [DAY]
    finally:
        ring.close()
    shutil.copytree(storage, tmp_path / "storage after")
    shutil.copytree(folder, tmp_path / "ring after")
    keys = [gate, *members]
    said = {one: f"audio of {one}".encode() for one in (GONE, STAYS)}

    before = [tmp_path / "storage before", tmp_path / "ring before"]
    assert {*said.values()} <= Everything(*before).opened(keys)
    after = [tmp_path / name for name in ("storage after", "storage before")]
    opened = Everything(*after, tmp_path / "ring after").opened(keys)
    assert said[STAYS] in opened
    assert said[GONE] not in opened
    left = {
        path.relative_to(tmp_path / "storage after").parts[1]
        for path in (tmp_path / "storage after").rglob(f"*{GONE}*")
    }
    assert left == {"state", "tombstones"} | ({"erasures"} if way == "early" else set())
    exception = Everything(tmp_path / "storage before", tmp_path / "ring before")
    assert said[GONE] in exception.opened(keys)
