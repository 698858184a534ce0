import math
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from agent.access.requests import Rule
from agent.archive.documents import PLAIN, Documents, SignedDocuments
from agent.common.ids import new_id
from agent.formats.age import NoMatchError
from agent.formats.envelope import unwrap
from agent.formats.layout import envelope_key
from agent.gate.admission import Admission
from agent.gate.approvals import Approvals
from agent.gate.erasing import Erasing
from agent.gate.publishing import latest_serial
from agent.retention.erasure import Erasure, Outcome
from agent.retention.mark_store import MarkStore
from agent.retention.marks import Mark
from agent.retention.policy import Period, Policy
from agent.retention.site import Place, Site
from agent.retention.sweep import Sweep
from agent.upload.backends.memory import MemoryBackend
from tests.formats.rosters import signing_key
from tests.gate.requests import OCTETS, request, signed_request
from tests.gate.rig import DAY, TODAY, Rig, opened

LATE = 7
POLICY = Policy(Period.parse("P1Y"))


def real(parts: Any, admission: Any, approvals: Any) -> Erasing:
    places = tuple(Place.of([parts.archive]))
    documents = SignedDocuments(parts.keyring.signing_key, parts.roster().gate_keys)
    site = Site(places, parts.states, parts.log, parts.keyring, "gate", documents)
    return Erasing(
        parts,
        admission,
        approvals,
        sweep=Sweep(site, POLICY, wait=0.0, skew=math.inf),
        erasure=Erasure(
            site, late_uploads=LATE, skew=math.inf, approved=approvals.approved
        ),
        policy=POLICY,
    )


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with opened(tmp_path, erasing=real) as rig:
        yield rig


async def approved(rig: Rig, **more: Any) -> str:
    asked = request(rig, **more)
    answer = await rig.as_("quinn").post(
        "/requests", content=signed_request(asked), headers=OCTETS
    )
    assert answer.status_code == 201
    return asked.id


async def execute(rig: Rig, id_: str, name: str = "cara") -> httpx.Response:
    return await rig.as_(name).post(f"/requests/{id_}/execute")


async def test_two_persons_erase_one_record_and_nothing_else(rig: Rig) -> None:
    wrong, right = await rig.store(), await rig.store()
    copy = await rig.parts.archive.envelope(wrong, DAY)
    asked = await approved(rig, recordings=(wrong,))
    answer = (await execute(rig, asked)).json()
    assert answer["result"] == "pending"
    assert answer["pending_until"] == (TODAY + timedelta(3)).isoformat()
    assert await latest_serial(rig.parts.archive.state) == 1  # the new key is known
    assert (await rig.release("quinn", wrong)).status_code == 410
    assert (await rig.release("quinn", right)).status_code == 200
    rig.clock.ahead(timedelta(days=5))
    answer = (await execute(rig, asked)).json()
    assert answer == {
        "id": asked, "result": "done", "pending_until": None, "records": 1,
    }  # fmt: skip
    assert (await execute(rig, asked)).json()["error"] == "spent"
    keys = rig.parts.keyring.day_identities(DAY)
    with pytest.raises(NoMatchError):
        unwrap(copy, keys, wrong)
    assert (await rig.release("quinn", right)).status_code == 200
    assert (await rig.release("quinn", wrong)).status_code == 410
    acts = {row.act for row in await rig.rows() if row.id == wrong}
    assert {"erase", "erased"} <= acts
    told = [row for row in await rig.rows() if row.result == "execute"]
    assert {(row.who, row.act, row.detail["request"]) for row in told} == {
        ("p-cara", "erase", asked)
    }
    assert len(told) == 2


@pytest.mark.parametrize("more", [0, 5])
async def test_one_that_is_filed_under_several_days_goes_under_all(
    rig: Rig, more: int
) -> None:
    wrong = await rig.store()
    archive, keyring = rig.parts.archive, rig.parts.keyring
    copy = await archive.envelope(wrong, DAY)
    # Somebody has put another of its id under a later day, where it is found first.
    later = DAY + timedelta(2)
    await rig.store(day=later)
    await archive.state.put(envelope_key(later, wrong), copy)
    others = [new_id() for _ in range(more)]  # of which there are none
    asked = await approved(rig, recordings=tuple(sorted([wrong, *others])))
    answer = (await execute(rig, asked)).json()
    assert answer["pending_until"] == (later + timedelta(LATE + 1)).isoformat()
    assert await archive.locate_all(wrong) == []
    rig.clock.ahead(timedelta(days=3))
    answer = (await execute(rig, asked)).json()
    assert (answer["result"], answer["records"]) == ("pending", 0)
    with pytest.raises(NoMatchError):
        unwrap(copy, keyring.day_identities(DAY), wrong)
    rig.clock.ahead(timedelta(days=1))
    answer = (await execute(rig, asked)).json()
    assert (answer["result"], answer["records"]) == ("done", 1)
    assert [keyring.generations(day) for day in (DAY, later)] == [[2], [2]]


@pytest.mark.parametrize("what", ["removed", "one-signature", "another", "expired"])
async def test_before_a_key_goes_the_request_is_verified_again(
    rig: Rig, what: str
) -> None:
    wrong, other = await rig.store(), await rig.store()
    copy = await rig.parts.archive.envelope(wrong, DAY)
    made = request(rig, recordings=(wrong,))
    body = signed_request(made)
    await rig.as_("quinn").post("/requests", content=body, headers=OCTETS)
    assert (await execute(rig, made.id)).json()["result"] == "pending"
    objects = rig.parts.archive.state.objects  # type: ignore[attr-defined]
    key = f"gate/requests/{made.id}.signed"
    if what == "removed":
        del objects[key]
    elif what == "one-signature":
        objects[key] = signed_request(made, by=("quinn",))
    elif what == "another":
        objects[key] = signed_request(request(rig, id=made.id, recordings=(other,)))
    rig.clock.ahead(timedelta(days=8 if what == "expired" else 5))
    outcome = await erasure_of(rig).run(rig.clock())
    keys = rig.parts.keyring.day_identities(DAY)
    if what == "expired":  # it was in time when it was begun
        assert outcome.erased == [wrong]
        return
    assert outcome.erased == []
    assert outcome.left
    unwrap(copy, keys, wrong)
    # Two persons sign once more: that counts, for what has begun too.
    again = await approved(rig, recordings=(wrong,))
    assert (await execute(rig, again)).json()["result"] == "done"
    with pytest.raises(NoMatchError):
        unwrap(copy, rig.parts.keyring.day_identities(DAY), wrong)


@pytest.mark.parametrize("by", ["nobody", "another"])
async def test_who_may_write_to_storage_has_nothing_erased(rig: Rig, by: str) -> None:
    one = await rig.store()
    mark = Mark.of(DAY, [one], rig.clock(), "early", generation=1)
    documents: Documents = PLAIN
    if by == "another":
        key = signing_key("another")
        documents = SignedDocuments(key, lambda: [key.public])
    await MarkStore(rig.parts.archive.state, documents).add(mark)
    rig.clock.ahead(timedelta(days=40))
    with structlog.testing.capture_logs() as lines:
        outcome = await erasure_of(rig).run(rig.clock())
    assert outcome == Outcome()
    assert [line["event"] for line in lines] == ["mark_refused"]
    assert (await rig.release("quinn", one)).status_code == 200
    # Nor does the gate's own, which names no request of two persons.
    await MarkStore(rig.parts.archive.state, rig.documents).add(mark)
    await MarkStore(rig.parts.archive.state, rig.documents).replace(mark)
    outcome = await erasure_of(rig).run(rig.clock())
    assert outcome.erased == []
    assert "names no request" in outcome.left[0].reason
    unwrap(
        await rig.parts.archive.envelope(one, DAY),
        rig.parts.keyring.day_identities(DAY),
        one,
    )


def erasure_of(rig: Rig) -> Erasure:
    admission = Admission(rig.parts)
    erasing = real(rig.parts, admission, Approvals(rig.parts, admission))
    return erasing._erasure


async def test_what_is_held_is_not_erased(rig: Rig) -> None:
    held = await rig.store()
    body = {"kind": "legal-claim", "review": "2027-01-15"}
    await rig.as_("cara").post(f"/recordings/{held}/holds", json=body)
    asked = await approved(rig, recordings=(held,))
    answer = await execute(rig, asked)
    assert (answer.status_code, answer.json()["error"]) == (409, "held")
    assert (await rig.release("quinn", held)).status_code == 200


async def test_a_rule_names_whose_recordings_go(rig: Rig) -> None:
    otsos, meris = await rig.store(officer="201"), await rig.store(officer="202")
    rule = Rule(first="2026-11-22", last=DAY.isoformat(), person="p-otso")
    asked = await approved(rig, rule=rule)
    assert (await execute(rig, asked)).json()["result"] == "pending"
    assert (await rig.release("quinn", otsos)).status_code == 410
    assert (await rig.release("quinn", meris)).status_code == 200


async def test_a_request_to_re_wrap_is_closed(rig: Rig) -> None:
    asked = await approved(rig, act="rewrap", recordings=(new_id(),))
    assert (await execute(rig, asked, "cara")).status_code == 403
    assert (await execute(rig, asked, "quinn")).json()["result"] == "done"
    assert (await execute(rig, asked, "quinn")).status_code == 410


@pytest.mark.parametrize("name", ["otso", "dan"])
async def test_whoever_may_erase_nothing_learns_of_no_request(
    rig: Rig, name: str
) -> None:
    asked = await approved(rig, recordings=(new_id(),))
    answers = [await execute(rig, id_, name) for id_ in (asked, new_id())]
    assert {(a.status_code, a.content) for a in answers} == {
        (403, b'{"error":"role","fields":[]}')
    }


async def test_what_takes_long_is_told_and_gone_on_with(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = [await rig.store() for _ in range(3)]
    asked = await approved(rig, recordings=tuple(sorted(stored)))
    monkeypatch.setattr("agent.gate.erasing.AT_ONCE", 1)
    monkeypatch.setattr("agent.gate.erasing.PATIENCE", -1.0)
    answer = (await execute(rig, asked)).json()
    assert (answer["result"], answer["records"]) == ("pending", 0)
    monkeypatch.setattr("agent.gate.erasing.PATIENCE", 60.0)
    await execute(rig, asked)
    for one in stored:
        assert (await rig.release("quinn", one)).status_code == 410


async def test_the_sweep_tells_and_erases_what_is_a_year_old(rig: Rig) -> None:
    old = await rig.store(day=date(2025, 11, 20))
    new = await rig.store()
    path, dry = "/sweep", {"dry_run": True}
    assert (await rig.as_("quinn").post(path, json=dry)).status_code == 403
    answer = (await rig.as_("adam").post(path, json=dry)).json()
    assert [day["erase"] for day in answer["report"]["days"]] == [[old]]
    assert (await rig.release("quinn", old)).status_code == 200
    answer = (await rig.as_("adam").post(path, json={"dry_run": False})).json()
    assert answer["report"]["erased"] == 1
    assert (await rig.release("quinn", old)).status_code == 410
    assert (await rig.release("quinn", new)).status_code == 200
    rows = [row.detail for row in await rig.rows() if row.act == "sweep"]
    assert {"dry-run": "yes"} in rows


async def test_what_is_gone_is_not_looked_for_on_every_day(tmp_path: Path) -> None:
    asked_for: list[str] = []

    def before(operation: str, key: str) -> None:
        asked_for.append(f"{operation} {key}")

    async with opened(tmp_path, erasing=real, state=MemoryBackend(before)) as rig:
        ids = [await rig.store() for _ in range(3)]
        asked = await approved(rig, recordings=tuple(sorted(ids)))
        assert (await execute(rig, asked)).json()["result"] == "pending"
        asked_for.clear()
        assert (await execute(rig, asked)).json()["result"] == "pending"
        looked = [one for one in asked_for if one.startswith("head keys/")]
        assert looked == []
