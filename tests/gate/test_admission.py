"""An officer's every request about what is not theirs gives nothing: 0 leaks."""

import random
import sys
from base64 import b64encode
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx

from agent.common.ids import new_id
from agent.gate.admission import Admission
from agent.upload.backends.memory import MemoryBackend
from tests.formats.rosters import spki
from tests.gate.requests import OCTETS
from tests.gate.rig import CALLER, DAY, OTHER_CALLER, Rig, inner_envelope, opened

ROUNDS = 100


def one_request(rng: random.Random, id_: str) -> tuple[str, str, dict[str, Any]]:
    """Something an officer may think of that names one record."""
    hold = new_id()
    inner = b64encode(inner_envelope()).decode()
    reference = rng.choice(["", "HEL-1", hold])
    purpose = rng.choice(
        ["quality", "training", "complaint", "drill", "rewrap", "disclosure"]
    )
    days: list[dict[str, Any]] = [
        {},
        {"day": str(DAY)},
        {"day": str(DAY + timedelta(1))},
    ]
    release = {
        "id": id_, "purpose": purpose, "reference": reference,
        "recipient": "x", "basis": "y", **rng.choice(days),
    }  # fmt: skip
    hold_body = {"kind": "legal-claim", "review": "2027-01-01"}
    envelope = {"request": hold, "envelope": inner, **rng.choice(days)}
    record = f"/recordings/{id_}"
    requests: list[tuple[str, str, dict[str, Any]]]
    requests = [
        ("POST", "/releases", {"json": release}),
        ("GET", f"{record}/state", {}),
        ("PUT", f"{record}/restriction", {"json": {}}),
        ("DELETE", f"{record}/restriction", {}),
        ("POST", f"{record}/holds", {"json": hold_body}),
        ("DELETE", f"{record}/holds/{hold}", {}),
        ("GET", f"{record}/annotations", {}),
        ("POST", f"{record}/annotations", {
            "content": b"age-encryption.org/v1\n", "headers": OCTETS,
        }),
        ("PUT", f"{record}/envelope", {"json": envelope}),
        ("GET", f"/audit?id={id_}", {}),
    ]  # fmt: skip
    return rng.choice(requests)


def told(answer: httpx.Response) -> tuple[int, bytes, list[str]]:
    """All of an answer that could tell something."""
    return answer.status_code, answer.content, sorted(answer.headers.keys())


async def test_fuzzed_requests_of_an_officer_leak_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    leaks: list[str] = []
    async with opened(tmp_path) as rig:
        theirs = [
            await rig.store(officer="202", caller=CALLER, day=DAY - timedelta(n))
            for n in range(4)
        ]
        mine = await rig.store(officer="201", caller=OTHER_CALLER)
        officer, handler = rig.as_("otso"), rig.as_("cara")
        await handler.put(f"/recordings/{theirs[0]}/restriction", json={})
        await handler.post(
            f"/recordings/{theirs[1]}/holds",
            json={"kind": "legal-claim", "review": "2027-01-01"},
        )
        for _ in range(ROUNDS):
            target, unknown = rng.choice(theirs), new_id()
            before = rng.getstate()
            method, path, more = one_request(rng, target)
            rng.setstate(before)
            _, other, others = one_request(rng, unknown)
            answer = await officer.request(method, path, **more)
            same = await officer.request(method, other, **others)
            if answer.status_code < 400 or told(answer) != told(same):
                leaks.append(f"{method} {path} {answer.status_code}")
        for body in (
            {"number": CALLER}, {"officer": "202"}, {"officer": "p-meri"}, {},
            {"number": CALLER, "officer": "202"},
        ):  # fmt: skip
            answer = await officer.post(
                "/find",
                json={"from": "2026-11-01", "to": "2026-11-29", "purpose": "quality"}
                | body,
            )
            found = {hit["id"] for hit in answer.json()["hits"]}
            leaks += [f"find {body}" for id_ in found - {mine}]
        assert not [row for row in await rig.rows() if row.id in theirs and (
            row.who == "p-otso" and row.act != "denied"
        )]  # fmt: skip
    sys.stdout.write(f"{2 * ROUNDS} fuzzed requests, {len(leaks)} leaks\n")
    assert leaks == []


async def test_not_yours_and_not_there_cost_storage_the_same(tmp_path: Path) -> None:
    asked: list[str] = []

    def before(operation: str, key: str) -> None:
        asked.append(f"{operation} {key.split('/', maxsplit=1)[0]}")

    async with opened(tmp_path, state=MemoryBackend(before)) as rig:
        theirs = await rig.store(officer="202")
        work = []
        for id_ in (theirs, new_id()):
            asked.clear()
            await rig.release("otso", id_)
            work.append(list(asked))
        assert work[0] == work[1]


async def test_somebody_who_left_and_a_host_are_told_apart(rig: Rig) -> None:

    admission = Admission(rig.parts)
    assert admission.is_known(spki("quinn"))
    assert not admission.is_known(spki("lumi"))
    assert admission.is_known(spki("host-b"))
    assert not admission.is_known("")


async def test_a_call_of_two_years_ago_is_still_ones_own(rig: Rig) -> None:
    held = await rig.store(day=date(2025, 1, 31))
    assert (await rig.release("otso", held)).status_code == 200
