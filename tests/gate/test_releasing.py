from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.common.ids import new_id
from agent.formats.age import NoMatchError
from agent.formats.envelope import open_envelope
from agent.formats.layout import envelope_key
from agent.gate.limits import Counted, Limit
from agent.upload.backend import StorageError
from agent.upload.backends.memory import MemoryBackend
from tests.gate.rig import DAY, WIDE, Rig, envelope_of, opened, opener, rewrapped


async def test_a_release_opens_with_the_askers_key_and_is_in_the_log(rig: Rig) -> None:
    held = await rig.store()
    answer = await rig.release("quinn", held, reference="HEL-1/2")
    assert answer.status_code == 200
    assert answer.json()["day"] == DAY.isoformat()
    assert open_envelope(envelope_of(answer), [opener("quinn")])
    with pytest.raises(NoMatchError):
        open_envelope(envelope_of(answer), [opener("meri")])
    [row] = await rig.rows()
    assert (row.who, row.act, row.purpose) == ("p-quinn", "release", "quality")
    assert (row.id, row.result, row.reference) == (held, "ok", "HEL-1/2")


async def test_what_storage_holds_opens_with_nobodys_key(rig: Rig) -> None:
    held = await rig.store()
    outer = await rig.parts.archive.envelope(held, DAY)
    for name in ("quinn", "otso", "recovery"):
        with pytest.raises(NoMatchError):
            open_envelope(outer, [opener(name)])


async def test_an_officer_gets_their_own_with_or_without_its_day(rig: Rig) -> None:
    held = await rig.store()
    for more in ({}, {"day": DAY.isoformat()}):
        answer = await rig.release("otso", held, **more)
        assert open_envelope(envelope_of(answer), [opener("otso")])


async def test_not_yours_and_not_there_are_one_answer(rig: Rig) -> None:
    theirs, unknown = await rig.store(officer="202"), new_id()
    answers = [
        await rig.release("otso", id_, **more)
        for id_ in (theirs, unknown)
        for more in ({}, {"day": DAY.isoformat()}, {"day": "2026-10-01"})
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert {answer.content for answer in answers} == {b'{"error":"denied","fields":[]}'}
    rows = await rig.rows()
    assert [row.result for row in rows] == ["not-own"] * 6
    assert {row.act for row in rows} == {"denied"}


async def test_a_number_that_was_somebody_elses_gives_none_of_their_calls(
    rig: Rig,
) -> None:
    lumis = await rig.store(officer="202", day=DAY - timedelta(2))
    meris = await rig.store(officer="202", day=DAY)
    assert (await rig.release("meri", lumis)).status_code == 403
    assert (await rig.release("meri", meris)).status_code == 200
    assert (await rig.release("lumi", lumis)).status_code == 403  # who has left


async def test_an_unknown_certificate_is_nobodys(rig: Rig) -> None:
    held = await rig.store()
    assert (await rig.release("eve", held)).status_code == 403
    [row] = await rig.rows()
    assert (row.who, row.act, row.result) == ("gate", "denied", "stranger")
    assert row.detail["certificate"].startswith("sha256:")


@pytest.mark.parametrize(
    ("name", "more", "status", "word"),
    [
        ("otso", {"purpose": "disclosure", "reference": "1"}, 403, "role"),
        ("dan", {"purpose": "quality"}, 403, "role"),
        ("cara", {"purpose": "legal-claim"}, 403, "reference"),
        (
            "cara",
            {"purpose": "disclosure", "reference": "1"},
            403,
            "reference",
        ),
        ("quinn", {"purpose": "curiosity"}, 422, "malformed"),
        ("quinn", {"reference": "Matti Meikäläinen"}, 422, "malformed"),
        ("quinn", {"id": "../x"}, 422, "malformed"),
        ("quinn", {"extra": "x"}, 422, "malformed"),
    ],
)  # fmt: skip
async def test_what_the_asker_alone_decides_is_told(
    rig: Rig, name: str, more: dict[str, str], status: int, word: str
) -> None:
    held = await rig.store()
    answer = await rig.release(name, more.pop("id", held), **more)
    assert answer.status_code == status
    assert answer.json()["error"] == word
    assert "Meikäläinen" not in answer.text


async def test_a_disclosure_says_to_whom_and_by_what_right(rig: Rig) -> None:
    held = await rig.store()
    answer = await rig.release(
        "cara", held, purpose="disclosure", reference="HEL-7",
        recipient="police/4711", basis="621-1999-s28",
    )  # fmt: skip
    assert answer.status_code == 200
    [row] = await rig.rows()
    assert row.detail == {"recipient": "police/4711", "basis": "621-1999-s28"}


async def test_without_its_row_nothing_is_given(tmp_path: Path) -> None:
    away = False

    def before(operation: str, key: str) -> None:
        if away and operation == "put" and key.startswith("audit/"):
            raise StorageError("away.")

    async with opened(tmp_path, locked=MemoryBackend(before)) as rig:
        held = await rig.store()
        away = True
        answer = await rig.release("quinn", held)
        assert answer.status_code == 503
        assert answer.json()["error"] == "unavailable"
        away = False
        assert (await rig.release("quinn", held)).status_code == 200


async def test_mass_access_raises_an_alarm_and_more_is_refused(tmp_path: Path) -> None:
    limits = {**WIDE, Counted.RELEASES: Limit(refuse=4, alarm=3)}
    async with opened(tmp_path, limits=limits) as rig:
        held = await rig.store()
        answers = [await rig.release("quinn", held) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429]
        alarms = [row for row in await rig.rows() if row.act == "alarm"]
        assert [row.detail["who"] for row in alarms] == ["p-quinn"]
        assert (await rig.release("otso", held)).status_code == 200
        rig.clock.ahead(timedelta(hours=1))
        assert (await rig.release("quinn", held)).status_code == 200


async def test_whoever_guesses_ids_is_stopped_and_fills_no_log(tmp_path: Path) -> None:
    limits = {**WIDE, Counted.DENIALS: Limit(refuse=5, alarm=3)}
    async with opened(tmp_path, limits=limits) as rig:
        for name in ("otso", "eve"):
            answers = [await rig.release(name, new_id()) for _ in range(8)]
            assert [a.status_code for a in answers] == [403] * 5 + [429] * 3
        rows = await rig.rows()
        assert [row.act for row in rows].count("denied") == 10
        assert [row.act for row in rows].count("alarm") == 2


async def test_an_envelope_that_was_altered_is_named_not_given(rig: Rig) -> None:
    held = await rig.store()
    state = rig.parts.archive.state
    outer = bytearray(await rig.parts.archive.envelope(held, DAY))
    outer[-1] ^= 1
    await state.replace(envelope_key(DAY, held), bytes(outer))
    answer = await rig.release("quinn", held)
    assert (answer.status_code, answer.json()["error"]) == (409, "damaged")


async def test_a_copy_under_another_records_id_is_named_not_given(rig: Rig) -> None:
    kept, other, unknown = await rig.store(), await rig.store(), new_id()
    path = f"/recordings/{kept}/restriction"
    assert (await rig.as_("cara").put(path, json={})).status_code == 204
    state = rig.parts.archive.state
    copy = await rig.parts.archive.envelope(kept, DAY)
    await state.replace(envelope_key(DAY, other), copy)
    await state.put(envelope_key(DAY, unknown), copy)
    for stray in (other, unknown):
        with capture_logs() as lines:
            answer = await rig.release("quinn", stray, day=DAY.isoformat())
        assert (answer.status_code, answer.json()["error"]) == (409, "damaged")
        [line] = [one for one in lines if one["event"] == "envelope_does_not_open"]
        assert line["recording_id"] == stray
        assert "another recording's" in line["reason"]
    assert not [row for row in await rig.rows() if row.act == "release"]
    assert (await rig.release("quinn", kept)).status_code == 423


async def test_a_held_records_envelope_opens_by_its_hold_key(rig: Rig) -> None:
    held = await rig.store()
    inner = envelope_of(await rig.release("quinn", held))
    key = await rig.parts.keyring.hold_key(held)
    await rewrapped(rig, held, inner, key)
    await rig.parts.keyring.destroy_day(DAY, 1, at="2026-11-29T10:00:00Z")
    assert envelope_of(await rig.release("quinn", held)) == inner
