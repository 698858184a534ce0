import os
from pathlib import Path

import pytest

from agent.access.tags import TagsError, read_manifest
from agent.archive.store import Archive
from agent.formats.age import NoMatchError, encrypt
from agent.formats.layout import manifest_key, seal_key
from agent.formats.seal import SealError
from tests.access.site import DAY, Site
from tests.formats.rosters import roster
from tests.recording.segments import CALLER


async def test_tags_without_the_audio(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment, journal = site.record(), site.record(journal=True)
    archive = Archive.of(site.target)
    for audio in (tmp_path / "locked" / "audio").rglob("*.wav.age"):
        audio.unlink()
    manifest = await read_manifest(archive, segment.id, DAY, segment.key)
    assert manifest is not None
    assert manifest.caller == CALLER
    assert await read_manifest(archive, journal.id, DAY, journal.key) is None


HOSTS = roster().host_keys()


async def test_a_manifest_that_a_rostered_host_sealed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    archive = Archive.of(site.target)
    found = await read_manifest(archive, segment.id, DAY, segment.key, hosts=HOSTS)
    assert found is not None
    with pytest.raises(SealError, match="host-a"):
        await read_manifest(archive, segment.id, DAY, segment.key, hosts={})


async def test_a_forged_manifest_names_no_officer(tmp_path: Path) -> None:
    site = Site(tmp_path)
    one, two = site.record(), site.record()
    archive = Archive.of(site.target)
    manifest = await read_manifest(archive, one.id, DAY, one.key)
    assert manifest is not None
    forged = encrypt(manifest.to_bytes(), [one.key.identity.recipient()], os.urandom)
    path = tmp_path / "locked" / manifest_key(DAY, one.id)
    original = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(forged)
    with pytest.raises(TagsError, match="not what its host has sealed"):
        await read_manifest(archive, one.id, DAY, one.key, hosts=HOSTS)
    path.write_bytes(original)
    with pytest.raises(NoMatchError):
        await read_manifest(archive, one.id, DAY, two.key, hosts=HOSTS)
    seals = [tmp_path / "locked" / seal_key(DAY, segment.id) for segment in (one, two)]
    seals[0].chmod(0o600)
    seals[0].write_bytes(seals[1].read_bytes())
    with pytest.raises(TagsError, match="another recording"):
        await read_manifest(archive, one.id, DAY, one.key, hosts=HOSTS)
    seals[0].unlink()
    with pytest.raises(TagsError, match="no host has sealed"):
        await read_manifest(archive, one.id, DAY, one.key, hosts=HOSTS)


async def test_another_recordings_manifest_is_not_taken(tmp_path: Path) -> None:
    site = Site(tmp_path)
    one, two = site.record(), site.record()
    archive = Archive.of(site.target)
    manifest = await read_manifest(archive, one.id, DAY, one.key)
    assert manifest is not None
    sealed = encrypt(manifest.to_bytes(), [two.key.identity.recipient()], os.urandom)
    path = tmp_path / "locked" / manifest_key(DAY, two.id)
    path.chmod(0o600)
    path.write_bytes(sealed)
    with pytest.raises(TagsError, match="another recording"):
        await read_manifest(archive, two.id, DAY, two.key)
