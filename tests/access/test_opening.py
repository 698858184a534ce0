import os
from pathlib import Path

import pytest

from agent.access import opening
from agent.access.opening import Expected, OpenError, collect, open_found
from agent.common.ids import new_id
from agent.formats.age import (
    AgeError,
    KeyKind,
    NoMatchError,
    encrypt,
    generate_identity,
)
from agent.formats.container import read_wav
from agent.upload.backend import ObjectTooLargeError
from tests.access.site import DAY, OFFICER_NUMBER, Site
from tests.recording.segments import CALLER, entropy, quality, stereo

MINE = [quality().identity]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize("known", [False, True])
async def test_a_recording_is_opened(site: Site, *, journal: bool, known: bool) -> None:
    segment = site.record(journal=journal)
    day = DAY if known else None
    found = await collect(segment.id, [site.target], day=day)
    opened = open_found(found, MINE, None)
    assert (opened.id, opened.suffix) == (segment.id, "wav")
    assert read_wav(opened.audio).samples == stereo(range(50), 50)
    assert opened.facts == opened.manifest.to_bytes()
    assert CALLER not in repr(found) + repr(opened)


async def test_with_an_envelope_that_was_released_no_key_is_asked_for(
    site: Site,
) -> None:
    segment = site.record()
    [path] = (site.root / "state" / "keys").rglob("*.age")
    envelope = path.read_bytes()
    path.unlink()
    found = await collect(segment.id, [site.target], envelope=envelope)
    assert open_found(found, MINE, None).manifest.id == segment.id
    with pytest.raises(OpenError, match="not found"):
        await collect(segment.id, [site.target], day=DAY)


async def test_the_storage_that_has_it_is_asked(site: Site, tmp_path: Path) -> None:
    empty = Site(tmp_path / "empty")
    segment = site.record()
    found = await collect(segment.id, [empty.target, site.target])
    assert open_found(found, MINE, None).manifest.id == segment.id
    with pytest.raises(OpenError, match="not found"):
        await collect(new_id(), [empty.target, site.target])


async def test_an_envelope_without_a_recording(site: Site) -> None:
    segment = site.record()
    for path in (site.root / "locked" / "audio").rglob("*.age"):
        path.unlink()
    with pytest.raises(OpenError, match="not found"):
        await collect(segment.id, [site.target])


async def test_a_stranger_opens_nothing(site: Site) -> None:
    found = await collect(site.record().id, [site.target])
    with pytest.raises(NoMatchError):
        open_found(found, [generate_identity(KeyKind.CLASSIC, entropy)], None)


@pytest.mark.parametrize("name", ["audio", "manifest", "envelope"])
async def test_what_was_altered_is_not_opened(site: Site, name: str) -> None:
    found = await collect(site.record().id, [site.target])
    data = getattr(found, name)
    for at in (0, len(data) // 2, len(data) - 1):
        setattr(found, name, data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
        with pytest.raises(AgeError):
            open_found(found, MINE, None)


async def test_parts_of_two_recordings_are_none(site: Site) -> None:
    one, two = site.record(), site.record()
    found, other = [await collect(s.id, [site.target]) for s in (one, two)]
    key = one.key.identity
    manifest = open_found(other, MINE, None).facts
    found.manifest = encrypt(manifest, [key.recipient()], os.urandom)
    with pytest.raises(OpenError, match="another recording"):
        open_found(found, MINE, None)
    found = await collect(one.id, [site.target])
    found.audio = encrypt(b"RIFF", [key.recipient()], os.urandom)
    with pytest.raises(OpenError, match="not what its manifest says"):
        open_found(found, MINE, None)


async def test_an_index_entry_that_leads_elsewhere(site: Site) -> None:
    found = await collect(site.record().id, [site.target])
    for good in (Expected("caller", CALLER), Expected("officer", OFFICER_NUMBER)):
        assert open_found(found, MINE, None, expected=good)
    for bad in (Expected("caller", OFFICER_NUMBER), Expected("officer", CALLER)):
        with pytest.raises(OpenError, match="index") as caught:
            open_found(found, MINE, None, expected=bad)
        assert bad.number not in str(caught.value) + repr(bad)


async def test_an_object_larger_than_any_recording(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = site.record()
    monkeypatch.setattr(opening, "MAX_OBJECT", 10)
    with pytest.raises(ObjectTooLargeError):
        await collect(segment.id, [site.target])
