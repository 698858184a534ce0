import base64
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import msgspec
import pytest
import trustme

from agent.access import gate_client
from agent.access.config import GateClientConfig
from agent.access.gate_client import (
    GateBusyError,
    GateClient,
    GateConflictError,
    GateDeniedError,
    GateErasedError,
    GateError,
    GateRestrictedError,
    GateUnreachableError,
)
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.common.outgoing import Outgoing, OutsideRegionError
from agent.common.regions import RegionConfig
from tests.access.recordings import ID
from tests.recording.segments import CALLER

DAY = date(2026, 11, 23)
REASON = Reason(purpose=Purpose.QUALITY, reference="A/1")
Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> GateClient:
    """A client whose gate is a function in this process."""
    transport = httpx.MockTransport(answer)
    return GateClient(httpx.AsyncClient(base_url="https://gate", transport=transport))


def recorder(seen: list[httpx.Request], body: object) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=msgspec.json.encode(body))

    return answer


async def test_a_release_says_why() -> None:
    seen: list[httpx.Request] = []
    envelope = base64.b64encode(b"sealed").decode()
    gate = client(recorder(seen, {"id": ID, "day": "2026-11-23", "envelope": envelope}))
    released = await gate.release(ID, REASON, DAY)
    assert (released.envelope, released.day) == (b"sealed", DAY)
    assert "sealed" not in repr(released)
    [request] = seen
    assert (request.method, request.url.path) == ("POST", "/releases")
    assert msgspec.json.decode(request.content) == {
        "id": ID,
        "day": "2026-11-23",
        "purpose": "quality",
        "reference": "A/1",
    }


async def test_a_number_is_in_the_body_and_never_in_the_address() -> None:
    seen: list[httpx.Request] = []
    hits = {"hits": [{"id": ID, "day": "2026-11-23"}], "truncated": True}
    gate = client(recorder(seen, hits))
    found = await gate.find(REASON, (DAY, DAY), number=CALLER)
    assert found.truncated
    assert [(hit.id, hit.day) for hit in found.hits] == [(ID, DAY)]
    await gate.find(REASON, (DAY, DAY), number="201", domain="officer")
    bodies = [msgspec.json.decode(request.content) for request in seen]
    assert bodies[0]["number"] == CALLER
    assert bodies[1]["officer"] == "201"
    for request in seen:
        assert str(request.url) == "https://gate/find"


@pytest.mark.parametrize(
    ("status", "kind", "permanent"),
    [
        (403, GateDeniedError, True),
        (409, GateConflictError, True),
        (410, GateErasedError, True),
        (423, GateRestrictedError, True),
        (429, GateBusyError, False),
        (404, GateError, True),
        (302, GateError, True),
        (500, GateUnreachableError, False),
    ],
)
async def test_every_refusal_is_named(
    status: int, kind: type[GateError], *, permanent: bool
) -> None:
    gate = client(lambda _: httpx.Response(status, text="Maija +358401234567"))
    with pytest.raises(kind) as caught:
        await gate.release(ID, REASON)
    assert type(caught.value) is kind
    assert caught.value.permanent is permanent
    assert "Maija" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[" * 5000, b'{"id":"x","day":"2026-11-23","envelope":""}', b"\xff"],
)
async def test_an_answer_that_is_none(body: bytes) -> None:
    gate = client(lambda _: httpx.Response(200, content=body))
    with pytest.raises(GateError, match="something else"):
        await gate.release(ID, REASON)


async def test_another_recordings_envelope_is_not_taken() -> None:
    other = ID.replace("0b4a", "0b4b")
    body = {"id": other, "day": "2026-11-23", "envelope": ""}
    gate = client(recorder([], body))
    with pytest.raises(GateError, match="something else"):
        await gate.release(ID, REASON)


async def test_an_endless_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_client, "MAX_ANSWER", 1000)
    gate = client(lambda _: httpx.Response(200, content=bytes(2000)))
    with pytest.raises(GateError, match="too long"):
        await gate.state(ID)


async def test_a_gate_that_is_away() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(GateUnreachableError, match="does not answer") as caught:
        await client(away).state(ID)
    assert not caught.value.permanent


async def test_every_other_act() -> None:
    seen: list[httpx.Request] = []
    body = {
        "id": "h-1", "number": 3,
        "result": "pending", "pending_until": "2026-12-06",
        "day": "2026-11-23", "restricted": True,
        "annotations": [base64.b64encode(b"x").decode()],
        "rows": [{"time": "2026-11-23T10:00:00.000Z", "act": "release"}],
        "ok": True,
    }  # fmt: skip
    gate = client(recorder(seen, body))
    await gate.restrict(ID, "disputed", "A/1")
    await gate.unrestrict(ID)
    assert await gate.hold(ID, "legal-claim", DAY, "A/1") == "h-1"
    await gate.release_hold(ID, "h-1")
    assert await gate.annotate(ID, b"sealed") == 3
    assert await gate.annotations(ID) == [b"x"]
    await gate.rewrap(ID, b"envelope", "r-1", DAY)
    assert await gate.submit(b"document") == "h-1"
    executed = await gate.execute("r-1")
    assert (executed.result, executed.pending_until) == ("pending", date(2026, 12, 6))
    [row] = await gate.accesses(ID)
    assert row.act == "release"
    assert (await gate.verify_log()).ok
    assert [(one.method, one.url.path.replace(ID, "ID")) for one in seen] == [
        ("PUT", "/recordings/ID/restriction"),
        ("DELETE", "/recordings/ID/restriction"),
        ("POST", "/recordings/ID/holds"),
        ("DELETE", "/recordings/ID/holds/h-1"),
        ("POST", "/recordings/ID/annotations"),
        ("GET", "/recordings/ID/annotations"),
        ("PUT", "/recordings/ID/envelope"),
        ("POST", "/requests"),
        ("POST", "/requests/r-1/execute"),
        ("GET", "/audit"),
        ("GET", "/audit/verify"),
    ]
    with pytest.raises(GateError, match="something else"):
        await client(recorder([], {"annotations": ["%"]})).annotations(ID)


async def test_a_log_that_comes_in_pieces_is_asked_for_to_its_end() -> None:
    row = {"time": "2026-11-23T10:00:00.000Z", "act": "release"}
    left = [{"rows": [row], "next": "2026-11-24"}, {"rows": [row, row], "next": None}]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        return httpx.Response(200, content=msgspec.json.encode(left[len(asked) - 1]))

    assert len(await client(answer).accesses(ID)) == 3
    assert asked == [f"id={ID}", f"id={ID}&from=2026-11-24"]
    again = client(recorder([], left[0]))
    with pytest.raises(GateError, match="do not come to an end"):
        await again.accesses(ID, DAY)


async def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    config = GateClientConfig(url="https://gate:1", certificate="a", key="b", ca="c")
    with pytest.raises(GateError, match="cannot be used"):
        async with GateClient.opened(config, tmp_path, Outgoing(RegionConfig())):
            pytest.fail("it connected")


async def test_a_gate_outside_the_regions_is_never_asked(tmp_path: Path) -> None:
    authority = trustme.CA()
    mine = authority.issue_cert("person")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "me.pem")
    mine.private_key_pem.write_to_path(tmp_path / "me.key")
    config = GateClientConfig(
        url="https://gate:1", certificate="me.pem", key="me.key", ca="ca.pem",
        region="us-east-1",
    )  # fmt: skip
    with pytest.raises(OutsideRegionError, match=r"gate\.region"):
        async with GateClient.opened(config, tmp_path, Outgoing(RegionConfig())):
            pytest.fail("it was asked")


async def test_the_http_library_logs_no_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    gate = client(recorder([], {"hits": []}))
    await gate.find(REASON, (DAY, DAY), number=CALLER)
    assert CALLER not in caplog.text
    assert CALLER[1:] not in caplog.text
