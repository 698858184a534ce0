import hashlib
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from agent.access.annotating import Statement, annotate
from agent.access.config import ControllerConfig
from agent.access.desk import Desk
from agent.access.exporting import parse_masks
from agent.access.facts import Sources, gather
from agent.access.files_out import CHECKSUMS, open_place
from agent.access.finding import Window
from agent.access.standing import restrict, standing
from agent.access.subject import Contents, SubjectError, SubjectRequest, answer
from agent.common.ids import new_id
from agent.formats.container import read_wav
from tests.access.site import ASKED, DAY, NOW, OFFICER_NUMBER, Site, maker
from tests.formats.rosters import roster
from tests.recording.segments import CALLER, OFFICER, SILENCE, stereo

FACTS = gather(
    Sources(today=NOW.date(), controller=ControllerConfig(name="The agency"))
)
WINDOW = Window(DAY - timedelta(30), DAY)


def asked(*masks: str, number: str = CALLER) -> SubjectRequest:
    return SubjectRequest(number=number, window=WINDOW, masks=parse_masks(masks))


async def answered(desk: Desk, request: SubjectRequest, out: Path) -> Contents:
    with open_place(out) as place:
        return await answer(desk, request, maker(), FACTS, place)


async def test_a_whole_request(tmp_path: Path) -> None:
    site = Site(tmp_path)
    one, two = site.record(), site.record(indexed=False)
    desk = replace(site.desk(), roster=roster())
    await annotate(desk, two.id, Statement("statement", "Not so."), ASKED, NOW)
    out = tmp_path / "answer"
    contents = await answered(desk, asked(f"{one.id}:0.5-0.6"), out)
    assert {given.id: given.masked for given in contents.recordings} == {
        one.id: ("0:00:00.500-0:00:00.600",),
        two.id: (),
    }
    assert not any(given.why_not for given in contents.recordings)
    track = stereo(range(50), 50)
    silent = bytearray(track)
    silent[8000:9600] = SILENCE * 1600
    wavs = {s.id: (out / "recordings" / f"{s.id}.wav").read_bytes() for s in (one, two)}
    assert read_wav(wavs[one.id]).samples == silent
    assert read_wav(wavs[two.id]).samples == track
    [note] = msgspec.json.decode(
        (out / "recordings" / f"{two.id}.annotations.json").read_bytes()
    )
    assert note["text"] == "Not so."
    assert "The agency" in (out / "facts.md").read_text()
    assert msgspec.json.decode((out / "uses.json").read_bytes()) == {
        one.id: [],
        two.id: [],
    }
    for line in (out / CHECKSUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    original = await desk.open(one.id, ASKED)
    assert read_wav(original.audio).samples == track


async def test_as_a_zip_whose_names_tell_nobody(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    await answered(site.desk(), asked(), tmp_path / "answer.zip")
    with zipfile.ZipFile(tmp_path / "answer.zip") as archive:
        names = " ".join(archive.namelist())
        contents = archive.read("contents.json").decode()
        told = msgspec.json.decode(contents)
    assert f"recordings/{segment.id}.wav" in names
    assert told["uses_told"] is False
    for text in (names, contents):
        assert CALLER[1:] not in text
        assert OFFICER.split()[0] not in text


async def test_what_cannot_be_given_is_named_and_the_rest_is_given(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    good, restricted, damaged = site.record(), site.record(), site.record()
    await restrict(site.desk(), restricted.id, "disputed", "")
    [audio] = (tmp_path / "locked").rglob(f"{damaged.id}.wav.age")
    audio.chmod(0o600)
    data = bytearray(audio.read_bytes())
    data[-1] ^= 1
    audio.write_bytes(data)
    out = tmp_path / "answer"
    contents = await answered(site.desk(), asked(), out)
    assert {given.id: given.why_not for given in contents.recordings} == {
        good.id: "",
        restricted.id: "restricted",
        damaged.id: "cannot be opened",
    }
    assert [path.name for path in (out / "recordings").glob("*.wav")] == [
        f"{good.id}.wav"
    ]


async def test_an_officers_own(tmp_path: Path) -> None:
    site = Site(tmp_path)
    segment = site.record()
    request = replace(asked(number=OFFICER_NUMBER), domain="officer")
    contents = await answered(site.desk(), request, tmp_path / "answer")
    assert [given.id for given in contents.recordings] == [segment.id]


@pytest.mark.parametrize("fault", ["mask", "keys"])
async def test_half_an_answer_is_none(tmp_path: Path, fault: str) -> None:
    site = Site(tmp_path)
    site.record(indexed=fault != "keys")
    desk = site.desk(identities=[] if fault == "keys" else None)
    request = asked(*([f"{new_id()}:0-1"] if fault == "mask" else []))
    match = "not found" if fault == "mask" else "cannot be looked into"
    with pytest.raises(SubjectError, match=match):
        await answered(desk, request, tmp_path / "answer")
    assert not any(path.is_file() for path in (tmp_path / "answer").rglob("*"))


async def test_nobody_is_found(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.record()
    contents = await answered(
        site.desk(), asked(number="+358501112223"), tmp_path / "answer"
    )
    assert contents.recordings == ()
    assert "+358501112223" not in repr(asked(number="+358501112223"))


async def test_nothing_is_erased_while_the_request_is_open(tmp_path: Path) -> None:
    site = Site(tmp_path)
    one, two = site.record(), site.record()
    desk = site.desk()
    request = replace(asked(), hold_until=NOW.date() + timedelta(30))
    contents = await answered(desk, request, tmp_path / "answer")
    for segment in (one, two):
        [held] = (await standing(desk, segment.id)).holds
        given = next(given for given in contents.recordings if given.id == segment.id)
        assert (held.id, held.kind) == (given.hold, "access-request")
        assert held.review == "2026-12-29"
