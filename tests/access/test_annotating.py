import os
from pathlib import Path

import pytest

from agent.access.annotating import (
    MAX_TEXT,
    AnnotationError,
    Statement,
    annotate,
    annotations,
    open_annotation,
)
from agent.formats.age import NoMatchError, encrypt
from agent.formats.envelope import SegmentKey
from tests.access.site import ASKED, NOW, Site, with_two_targets
from tests.recording.segments import quality

TEXT = "Minä en sanonut niin.\nPuhuin laskusta 17."


async def test_a_statement_stays_with_the_recording_and_alters_nothing(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    segment = site.record()
    desk = site.desk()
    before = (await desk.open(segment.id, ASKED)).audio
    assert (
        await annotate(desk, segment.id, Statement("statement", TEXT), ASKED, NOW) == 1
    )
    second = Statement("correction", "The number is not mine.")
    assert await annotate(desk, segment.id, second, ASKED, NOW) == 2
    found = await annotations(desk, segment.id, segment.key)
    assert [(one.kind, one.text) for one in found] == [
        ("statement", TEXT),
        ("correction", second.text),
    ]
    assert (found[0].by, found[0].reference) == ("p-quinn", "A/1")
    assert (await desk.open(segment.id, ASKED)).audio == before


async def test_storage_cannot_read_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    await annotate(site.desk(), segment.id, Statement("statement", TEXT), ASKED, NOW)
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"laskusta" not in path.read_bytes()
    [sealed] = (tmp_path / "state" / "annotations" / segment.id).iterdir()
    with pytest.raises(NoMatchError):
        open_annotation(sealed.read_bytes(), quality(), segment.id)


async def test_every_target_gets_it(tmp_path: Path) -> None:
    site, other = Site(tmp_path / "one"), Site(tmp_path / "other")
    segment = site.record()
    site.copy_to(other)
    desk = with_two_targets(site.desk(), other)
    await annotate(desk, segment.id, Statement("statement", TEXT), ASKED, NOW)
    for one in (site, other):
        [found] = await annotations(one.desk(), segment.id, segment.key)
        assert found.text == TEXT


async def test_an_annotation_moved_to_another_recording_is_found_out(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    segment, other = site.record(), site.record()
    await annotate(site.desk(), segment.id, Statement("statement", TEXT), ASKED, NOW)
    [sealed] = (tmp_path / "state" / "annotations" / segment.id).iterdir()
    with pytest.raises(AnnotationError, match="another recording"):
        open_annotation(sealed.read_bytes(), segment.key, other.id)
    garbage = encrypt(b"{}\n", [segment.key.identity.recipient()], os.urandom)
    with pytest.raises(AnnotationError, match="malformed"):
        open_annotation(garbage, segment.key, segment.id)


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_TEXT + 1)])
async def test_what_is_no_statement(tmp_path: Path, text: str) -> None:
    site = Site(tmp_path)
    segment = site.record()
    with pytest.raises(AnnotationError, match="empty or too long"):
        await annotate(
            site.desk(), segment.id, Statement("statement", text), ASKED, NOW
        )
    assert not (tmp_path / "state" / "annotations").exists()


async def test_nothing_prints_the_text(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    statement = Statement("statement", TEXT)
    await annotate(site.desk(), segment.id, statement, ASKED, NOW)
    [found] = await annotations(site.desk(), segment.id, segment.key)
    assert "laskusta" not in repr(statement) + repr(found) + repr(SegmentKey)
