from pathlib import Path

import pytest

from agent.access.exporting import MAX_AT_ONCE, ExportError, export, parse_masks
from agent.access.files_out import open_place
from agent.common.ids import new_id
from agent.formats.container import read_wav
from agent.formats.masking import MaskingError, Span
from tests.access.site import Site, maker
from tests.recording.segments import CALLER, OFFICER, SILENCE, stereo


async def test_copies_with_their_sheets_and_a_masked_span(tmp_path: Path) -> None:
    site = Site(tmp_path)
    one, two = site.record(), site.record()
    out = tmp_path / "out"
    masks = parse_masks([f"{one.id}:0.2-0.4", f"{one.id}:0.9-1"])
    assert masks == {one.id: [Span(200, 400), Span(900, 1000)]}
    with open_place(out) as place:
        await export(site.desk(), [one.id, two.id], maker(), place, masks=masks)
    track = stereo(range(50), 50)
    assert read_wav((out / f"{two.id}.wav").read_bytes()).samples == track
    masked = bytearray(track)
    masked[3200:6400] = SILENCE * 3200
    masked[14_400:16_000] = SILENCE * 1600
    assert read_wav((out / f"{one.id}.wav").read_bytes()).samples == masked
    names = {path.name for path in out.iterdir()}
    assert names == {
        *(f"{s.id}.{end}" for s in (one, two) for end in ("wav", "json", "sheet.json")),
        "SHA256SUMS",
    }
    original = await site.desk().open(one.id, maker().reason)
    assert read_wav(original.audio).samples == track


async def test_names_of_files_tell_nobody(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    with open_place(tmp_path / "out") as place:
        await export(site.desk(), [segment.id], maker(), place, masks={})
    for path in (tmp_path / "out").rglob("*"):
        assert CALLER[1:] not in path.name
        assert OFFICER.split()[0] not in path.name


async def test_what_is_no_copy_for_a_case(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    for ids in ([], [segment.id] * (MAX_AT_ONCE + 1)):
        with (
            pytest.raises(ExportError, match="at once"),
            open_place(tmp_path / f"out{len(ids)}") as place,
        ):
            await export(site.desk(), ids, maker(), place, masks={})
    strange = {new_id(): [Span(0, 1)]}
    with (
        pytest.raises(ExportError, match="not copied"),
        open_place(tmp_path / "out") as place,
    ):
        await export(site.desk(), [segment.id], maker(), place, masks=strange)


def test_masks_that_are_none() -> None:
    with pytest.raises(ExportError, match="names no recording"):
        parse_masks(["1-2"])
    with pytest.raises(MaskingError):
        parse_masks([f"{new_id()}:2-1"])
