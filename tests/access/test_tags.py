import os
from pathlib import Path

import pytest

from agent.access.tags import TagsError, read_manifest
from agent.archive.store import Archive
from agent.formats.age import encrypt
from agent.formats.layout import manifest_key
from tests.access.site import DAY, Site
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
