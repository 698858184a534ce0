from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.gate.rig import CALLER, DAY, OTHER_CALLER, Rig

WINDOW = {"from": "2026-11-01", "to": "2026-11-29"}


async def find(rig: Rig, name: str, **more: Any) -> httpx.Response:
    body = {**WINDOW, "purpose": "quality", **more}
    return await rig.as_(name).post("/find", json=body)


async def found(rig: Rig, name: str, **more: Any) -> set[str]:
    answer = await find(rig, name, **more)
    assert answer.status_code == 200, answer.text
    return {hit["id"] for hit in answer.json()["hits"]}


async def test_quality_staff_find_by_number_officer_and_days(rig: Rig) -> None:
    one = await rig.store(caller=CALLER, officer="201")
    two = await rig.store(caller=CALLER, officer="202")
    three = await rig.store(caller=OTHER_CALLER, officer="202")
    old = await rig.store(caller=CALLER, officer="201", day=DAY - timedelta(60))
    assert await found(rig, "quinn", number=CALLER) == {one, two}
    assert await found(rig, "quinn", officer="202") == {two, three}
    assert await found(rig, "quinn", officer="p-meri") == {two, three}
    assert await found(rig, "quinn", officer="p-nobody") == set()
    assert await found(rig, "quinn", number=CALLER, officer="p-otso") == {one}
    assert await found(rig, "quinn") == {one, two, three}
    everything = {"from": "2026-01-01", "to": "2026-12-01", "number": CALLER}
    assert await found(rig, "quinn", **everything) == {one, two, old}


async def test_officers_find_their_own_whatever_they_ask(rig: Rig) -> None:
    mine = await rig.store(caller=CALLER, officer="201")
    other = await rig.store(caller=OTHER_CALLER, officer="201")
    theirs = await rig.store(caller=CALLER, officer="202")
    assert await found(rig, "otso") == {mine, other}
    assert await found(rig, "otso", number=CALLER) == {mine}
    assert await found(rig, "otso", officer="202") == set()
    assert await found(rig, "otso", officer="p-meri") == set()
    assert await found(rig, "otso", officer="201") == {mine, other}
    assert await found(rig, "meri") == {theirs}


async def test_of_a_number_only_ones_own_days_count(rig: Rig) -> None:
    await rig.store(officer="202", day=date(2026, 11, 20))
    assert await found(rig, "meri") == set()


async def test_it_is_logged_what_for_never_for_whom(rig: Rig) -> None:
    await rig.store()
    await find(rig, "quinn", number=CALLER, reference="A/1")
    [row] = await rig.rows()
    assert (row.who, row.act, row.purpose, row.reference) == (
        "p-quinn", "find", "quality", "A/1",
    )  # fmt: skip
    assert row.detail["by"] == "number"
    assert row.detail["hits"] == "1"
    assert CALLER.removeprefix("+") not in str(row)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"number": "Matti"}, 422),
        ({"purpose": "drill"}, 200),
        ({"purpose": "legal-claim", "reference": "1"}, 403),
    ],
)
async def test_what_makes_no_sense_or_is_not_ones_task(
    rig: Rig, more: dict[str, str], status: int
) -> None:
    assert (await find(rig, "quinn", **more)).status_code == status


async def test_days_that_are_none_or_too_many(rig: Rig) -> None:
    held = await rig.store()
    backwards = {"from": "2026-11-29", "to": "2026-11-01"}
    assert await found(rig, "quinn", **backwards) == set()
    for more in ({"from": "2020-01-01", "number": CALLER}, {"from": "2026-10-01"}):
        answer = (await find(rig, "quinn", **more)).json()
        assert [hit["id"] for hit in answer["hits"]] == [held]
        assert answer["truncated"]


async def test_what_is_too_much_is_cut_off_and_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await rig.store()
    monkeypatch.setattr("agent.gate.finding.MAX_SHOWN", 2)
    answer = (await find(rig, "quinn", number=CALLER)).json()
    assert (len(answer["hits"]), answer["truncated"]) == (2, True)
    monkeypatch.setattr("agent.gate.finding.MAX_HITS", 1)
    assert (await find(rig, "quinn")).json()["truncated"]
