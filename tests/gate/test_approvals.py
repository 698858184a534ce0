from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from agent.access.requests import Rule
from agent.archive.record_state import RecordState
from agent.common.ids import new_id
from agent.gate.admission import Admission, Record
from agent.gate.approvals import Approvals
from agent.gate.refusals import DeniedError, ErasedError, MalformedError
from agent.upload.backend import StorageError
from agent.upload.backends.memory import MemoryBackend
from tests.gate.requests import OCTETS, request, signed_request
from tests.gate.rig import DAY, Rig, opened


async def hand_in(rig: Rig, document: bytes, name: str = "quinn") -> httpx.Response:
    return await rig.as_(name).post("/requests", content=document, headers=OCTETS)


def approvals(rig: Rig) -> Approvals:
    return Approvals(rig.parts, Admission(rig.parts))


async def test_a_request_is_kept_with_those_who_answer_for_it(rig: Rig) -> None:
    asked = request(rig, recordings=(new_id(),), reference="S/9")
    for _ in range(2):
        answer = await hand_in(rig, signed_request(asked))
        assert (answer.status_code, answer.json()) == (201, {"id": asked.id})
    assert await approvals(rig).open(asked.id) == asked
    rows = [(row.who, row.act, row.reference) for row in await rig.rows()]
    assert rows[:3] == [
        ("p-quinn", "approve", "S/9"),
        ("p-adam", "approve", "S/9"),
        ("p-quinn", "request", "S/9"),
    ]


async def test_what_no_row_tells_of_is_not_kept(tmp_path: Path) -> None:
    away = False

    def before(operation: str, key: str) -> None:
        if away and operation == "put" and key.startswith("audit/"):
            raise StorageError("away.")

    async with opened(tmp_path, locked=MemoryBackend(before)) as rig:
        asked = request(rig, recordings=(new_id(),))
        away = True
        assert (await hand_in(rig, signed_request(asked))).status_code == 503
        away = False
        with pytest.raises(DeniedError):
            await approvals(rig).open(asked.id)
        assert (await hand_in(rig, signed_request(asked))).status_code == 201
        assert await approvals(rig).open(asked.id) == asked


async def test_another_document_under_the_same_id_is_refused(rig: Rig) -> None:
    asked = request(rig, recordings=(new_id(),))
    await hand_in(rig, signed_request(asked))
    other = request(rig, id=asked.id, recordings=(new_id(),))
    assert (await hand_in(rig, signed_request(other))).status_code == 409


@pytest.mark.parametrize(
    "by", [("quinn",), ("quinn", "quinn"), ("quinn", "otso"), ("dan", "otso"), ()]
)
async def test_one_person_is_not_two(rig: Rig, by: tuple[str, ...]) -> None:
    asked = request(rig, recordings=(new_id(),))
    answer = await hand_in(rig, signed_request(asked, by))
    assert answer.status_code == 422
    assert answer.json()["error"] == ("not-approved" if by else "malformed")


async def test_what_is_no_request_is_malformed_and_who_may_not_is_denied(
    rig: Rig,
) -> None:
    assert (await hand_in(rig, b"{}\n")).json()["error"] == "malformed"
    asked = request(rig, recordings=(new_id(),))
    assert (await hand_in(rig, signed_request(asked), "otso")).status_code == 403


async def test_a_request_ends_when_it_expires_or_is_carried_out(rig: Rig) -> None:
    asked = request(rig, recordings=(new_id(),))
    await hand_in(rig, signed_request(asked))
    mine = approvals(rig)
    with pytest.raises(DeniedError):
        await mine.open(new_id())
    for _ in range(2):
        await mine.finish(asked)
    with pytest.raises(ErasedError, match="spent"):
        await mine.open(asked.id)
    other = request(rig, recordings=(new_id(),))
    await hand_in(rig, signed_request(other))
    rig.clock.ahead(timedelta(days=8))
    with pytest.raises(MalformedError, match="not-approved"):
        await mine.open(other.id)


async def test_what_was_verified_is_judged_anew_each_day(rig: Rig) -> None:
    asked = request(rig, recordings=(new_id(),))
    await hand_in(rig, signed_request(asked))
    mine = approvals(rig)
    reads: list[str] = []
    get = rig.parts.archive.state.get

    def counted(key: str) -> AsyncIterator[bytes]:
        reads.append(key)
        return get(key)

    rig.parts.archive.state.get = counted  # type: ignore[method-assign]
    for _ in range(3):
        await mine.open(asked.id)
    assert len(reads) == 1
    rig.clock.ahead(timedelta(days=1))
    await mine.open(asked.id)
    assert len(reads) == 2
    rig.clock.ahead(timedelta(days=6))
    with pytest.raises(MalformedError, match="not-approved"):
        await mine.open(asked.id)
    for name in ("", "..", "../day-keys/000000000001"):
        with pytest.raises(DeniedError):
            await mine.open(name)


async def test_no_more_requests_are_remembered_than_are_at_hand(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.gate.approvals.MAX_KNOWN", 2)
    mine = approvals(rig)
    for _ in range(5):
        asked = request(rig, recordings=(new_id(),))
        await hand_in(rig, signed_request(asked))
        await mine.open(asked.id)
    assert len(mine._known) <= 2


async def test_a_rule_says_whose_calls_of_which_days(rig: Rig) -> None:
    otsos = await rig.store(officer="201")
    meris = await rig.store(officer="202")
    mine = approvals(rig)
    rule = Rule(first="2026-11-23", last="2026-11-24", person="p-otso")
    asked = request(rig, "rewrap", rule=rule)
    for id_, day, expected in (
        (otsos, DAY, True),
        (meris, DAY, False),
        (otsos, DAY + timedelta(2), False),
    ):
        record = Record(id_, day, RecordState(id=id_))
        assert await mine.covers(asked, record) is expected
    nobodys = Rule(first="2026-11-23", last="2026-11-24", person="p-gone")
    record = Record(otsos, DAY, RecordState(id=otsos))
    assert not await mine.covers(request(rig, "rewrap", rule=nobodys), record)


async def test_a_rule_is_not_about_calls_of_who_had_the_number_before(
    rig: Rig,
) -> None:
    one = await rig.store(officer="202")
    rule = Rule(first="2026-11-01", last="2026-11-30", person="p-meri")
    asked = request(rig, "erase", rule=rule)
    # The index is the month's, and meri has come on the 23rd.
    for day, expected in ((DAY, True), (DAY - timedelta(1), False)):
        record = Record(one, day, RecordState(id=one))
        assert await approvals(rig).covers(asked, record) is expected
