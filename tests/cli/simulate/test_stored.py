from datetime import date

from agent.cli.simulate.stored import fetch
from agent.formats.layout import (
    Folder,
    dated,
    envelope_key,
    manifest_key,
    seal_key,
)
from agent.upload.backends.memory import MemoryBackend
from agent.upload.targets import Target

ID = "0b6f6a0e-6f0e-4c55-9a3c-1d2f3a4b5c6d"
DAY, BEFORE = date(2026, 11, 24), date(2026, 11, 23)


async def test_objects_are_asked_for_by_name() -> None:
    target = Target(MemoryBackend(), MemoryBackend())
    found = await fetch(ID, [DAY, BEFORE], target)
    assert found.objects == {}
    assert not found.envelope
    await target.locked.put(dated(Folder.AUDIO, BEFORE, f"{ID}.flac.age"), b"audio")
    await target.locked.put(manifest_key(BEFORE, ID), b"manifest")
    await target.locked.put(seal_key(BEFORE, ID), b"seal")
    await target.state.put(envelope_key(BEFORE, ID), b"envelope")
    found = await fetch(ID, [DAY, BEFORE], target)
    assert (found.audio, found.suffix) == (b"audio", "flac")
    assert found.manifest == b"manifest"
    assert found.envelope == b"envelope"
    assert found.seal == b"seal"
