from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from agent.access.desk import NO_GATE, NO_ROSTER, DeskError, RestrictedError
from agent.access.opening import OpenError
from agent.access.standing import restrict
from agent.archive.store import NotFoundError
from agent.common.ids import new_id
from agent.formats.age import KeyKind, NoMatchError, generate_identity
from agent.formats.container import read_wav
from tests.access.site import DAY, NOW, QUALITY, Site, with_two_targets
from tests.formats.rosters import roster
from tests.recording.segments import entropy, stereo


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("journal", [False, True])
async def test_a_recording_is_opened_by_its_id(site: Site, *, journal: bool) -> None:
    segment = site.record(journal=journal)
    for day in (None, DAY):
        opened = await site.desk().open(segment.id, QUALITY, day=day)
        assert opened.manifest.id == segment.id
        assert read_wav(opened.audio).samples == stereo(range(50), 50)
    assert (await site.desk().key(segment.id, QUALITY)).recipient == (
        segment.key.recipient
    )


async def test_who_opens_nothing(site: Site) -> None:
    segment = site.record()
    stranger = site.desk(identities=[generate_identity(KeyKind.CLASSIC, entropy)])
    with pytest.raises(NoMatchError):
        await stranger.open(segment.id, QUALITY)
    with pytest.raises(NotFoundError):
        await site.desk().open(new_id(), QUALITY)
    with pytest.raises(DeskError, match="no recording's id"):
        await site.desk().open("../../keys", QUALITY)


async def test_a_restricted_recording_is_for_case_handlers(site: Site) -> None:
    segment = site.record()
    desk = site.desk()
    await restrict(desk, segment.id, "disputed", "A/1")
    with pytest.raises(RestrictedError):
        await desk.open(segment.id, QUALITY)
    known = replace(desk, roster=roster())
    with pytest.raises(RestrictedError):
        await known.envelope(segment.id, QUALITY)
    handler = replace(known, person="p-dan")
    _, envelope = await handler.envelope(segment.id, QUALITY)
    assert envelope.startswith(b"age-encryption.org")
    gone = msgspec.structs.replace(
        roster(),
        people=tuple(
            msgspec.structs.replace(one, until="2026-11-28") for one in roster().people
        ),
    )
    with pytest.raises(RestrictedError):
        await replace(handler, roster=gone, today=NOW.date()).envelope(
            segment.id, QUALITY
        )


def test_what_nobody_enforces_is_said(site: Site) -> None:
    desk = site.desk()
    assert desk.warnings == [NO_GATE, NO_ROSTER]
    assert replace(desk, roster=roster()).warnings == [NO_GATE]


def test_a_desk_prints_no_key(site: Site) -> None:
    shown = repr(site.desk())
    assert "AGE-SECRET-KEY" not in shown
    assert "rrrr" not in shown


async def test_what_one_storage_lacks_another_has(site: Site, tmp_path: Path) -> None:
    segment = site.record()
    other = Site(tmp_path / "other")
    site.copy_to(other)
    [audio] = (site.root / "locked").rglob("*.wav.age")
    audio.unlink()
    desk = with_two_targets(site.desk(), other)
    with capture_logs() as logs:
        assert (await desk.open(segment.id, QUALITY)).id == segment.id
    assert [one["event"] for one in logs] == ["not_read"]
    with capture_logs(), pytest.raises(OpenError):
        await site.desk().open(segment.id, QUALITY)


async def test_a_restriction_in_any_storage_counts(site: Site, tmp_path: Path) -> None:
    segment = site.record()
    other = Site(tmp_path / "other")
    site.copy_to(other)
    await restrict(other.desk(), segment.id, "disputed", "A/1")
    desk = with_two_targets(site.desk(), other)
    with pytest.raises(RestrictedError):
        await desk.open(segment.id, QUALITY)
