"""Calls with sipp as the trunk and as officers, on a real daemon."""

import asyncio
import re
import socket
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from agent.formats.codecs.g711 import (
    decode_alaw,
)
from tests.lab.calls import (
    CUSTOMER,
    ended,
    frames,
    heard,
    phone,
    recorded,
)
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.sipp import Sipp, call_in, call_out
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.integration

# -- who hangs up ---------------------------------------------------------------


@pytest.mark.interop("sipp", "as the customer: notice, talk, hang up")
async def test_the_caller_hangs_up(daemon: Daemon, tmp_path: Path) -> None:
    await call_in(daemon, tmp_path)
    recording = await recorded(daemon, "caller-hangup")
    assert recording.manifest.caller == CUSTOMER
    assert recording.manifest.direction == "inbound"


@pytest.mark.interop("sipp", "as an officer: hangs up")
async def test_the_officer_hangs_up(daemon: Daemon, tmp_path: Path) -> None:
    caller, _ = await call_in(daemon, tmp_path, "caller-waits", "officer-hangs-up")
    assert re.search(r"(?m)^Reason: Q\.850;cause=16", caller)
    await recorded(daemon, "officer-hangup")


# -- hunting --------------------------------------------------------------------


@pytest.mark.interop("sipp", "as an officer: busy, the next one rings")
async def test_a_busy_officer_is_passed_over(daemon: Daemon, tmp_path: Path) -> None:
    with (
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[0]) as busy,
        Sipp(tmp_path, "officer-answers", port=daemon.officers[1]) as second,
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            pause=1.5,
        ) as caller,
    ):
        await caller.succeeds()
        await busy.succeeds()
        await second.succeeds()
    await recorded(daemon, "caller-hangup", officer="202")


@pytest.mark.interop("sipp", "as an officer: does not answer, is cancelled")
async def test_nobody_answers_not_even_the_overflow(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    [overflow] = free_ports(1)
    daemon = daemon_at(
        route="ring_timeout = 0.6\nbusy_tone = 1.0\n"
        f'overflow = "sip:300@127.0.0.1:{overflow}"'
    ).start()
    ports = (*daemon.officers, overflow)
    caller = phone(daemon.caller, CALLER, 1000)
    await caller.start()
    targets = [Sipp(tmp_path, "officer-does-not-answer", port=p) for p in ports]
    try:
        with targets[0], targets[1], targets[2]:
            await caller.call(daemon.number())
            async with asyncio.timeout(PATIENCE):
                await caller.ended.wait()
            for target in targets:
                await target.succeeds()
                assert re.search(
                    r"(?m)^CANCEL sip:.*\n(?s:.*?)^Reason: Q\.850;cause=19",
                    target.messages,
                )
    finally:
        await caller.close()
    row = await ended(daemon, "unanswered")
    assert row.sip_status == 480
    assert row.recordings == []
    assert daemon.stored(".wav.age") == {}
    # The last second was the busy tone, 0.3 s on and 0.3 s off, after the ringback.
    audio = decode_alaw(heard(caller))
    loud = [max(abs(v) for v in f) > 500 for f in frames(audio)]
    assert loud[-45:].count(True) in range(18, 32)
    runs = [len(list(run)) for on, run in groupby(loud[-45:]) if not on]
    assert 15 in runs


async def test_a_caller_nobody_answers_is_told_why(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at(route="busy_tone = 0.3").start()
    with (
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[0]) as first,
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[1]) as second,
        Sipp(tmp_path, "caller-waits", port=daemon.caller, remote=daemon.sip) as caller,
    ):
        await caller.succeeds()
        await first.succeeds()
        await second.succeeds()
        assert re.search(r"(?m)^Reason: Q\.850;cause=17", caller.messages)
    row = await ended(daemon, "unanswered")
    assert row.sip_status == 486


async def test_the_overflow_answers(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    [overflow] = free_ports(1)
    daemon = daemon_at(
        route=f'ring_timeout = 0.5\noverflow = "sip:300@127.0.0.1:{overflow}"'
    ).start()
    with (
        Sipp(tmp_path, "officer-does-not-answer", port=daemon.officers[0]) as first,
        Sipp(tmp_path, "officer-is-busy", port=daemon.officers[1]) as second,
        Sipp(tmp_path, "officer-answers", port=overflow) as third,
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            pause=2.5,
        ) as caller,
    ):
        await caller.succeeds()
        for officer in (first, second, third):
            await officer.succeeds()
    recording = await recorded(daemon, "caller-hangup", officer="300")
    assert recording.manifest.officers[0].name == ""


# -- calls that do not come about -------------------------------------------------


@pytest.mark.interop("sipp", "as an officer: calls out and cancels")
async def test_an_officer_cancels_an_outgoing_call(
    daemon: Daemon, tmp_path: Path
) -> None:
    await call_out(daemon, tmp_path, "caller-cancels", "officer-does-not-answer")
    row = await ended(daemon, "abandoned", "caller-hangup")
    assert (row.route, row.direction) == ("out", "outbound")


@pytest.mark.interop("sipp", "as the customer: called, is busy")
async def test_an_outgoing_call_to_a_busy_customer(
    daemon: Daemon, tmp_path: Path
) -> None:
    await call_out(daemon, tmp_path, "caller-gets-486", "officer-is-busy")
    assert (await ended(daemon, "unanswered")).sip_status == 486


@pytest.mark.interop("sipp", "no common codec: 488")
async def test_no_common_codec(daemon: Daemon, tmp_path: Path) -> None:
    with Sipp(
        tmp_path,
        "caller-gets-488",
        port=daemon.caller,
        remote=daemon.sip,
        payloads="18 101",
    ) as caller:
        await caller.succeeds()
    assert (await ended(daemon, "rejected", "error")).sip_status == 488


@pytest.mark.interop("sipp", "unknown number: 404")
async def test_no_route(daemon: Daemon, tmp_path: Path) -> None:
    with Sipp(
        tmp_path,
        "caller-gets-404",
        port=daemon.caller,
        remote=daemon.sip,
        service="0295999999",
    ) as caller:
        await caller.succeeds()
    assert daemon.log("no_route")[0]["peer"] == "trunk"
    assert daemon.rows() == []


@pytest.mark.interop("sipp", "no configured peer: 403, then silence")
async def test_strangers_are_refused_and_soon_ignored(
    daemon: Daemon, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    with Sipp(tmp_path, "caller-gets-403", port=port, remote=daemon.sip) as stranger:
        await stranger.succeeds()
    assert len(daemon.log("stranger_refused")) == 1

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.bind(("127.0.0.1", 0))
        flood.settimeout(0.5)
        source = flood.getsockname()[1]
        sent = 0
        for index in range(1000):
            request = _stranger_invite(index, source)
            sent += len(request)
            flood.sendto(request, ("127.0.0.1", daemon.sip))
        answers: list[bytes] = []
        while True:
            try:
                answers.append(flood.recv(65536))
            except TimeoutError:
                break
    assert 0 < len(answers) < 50
    assert all(answer.startswith(b"SIP/2.0 403 ") for answer in answers)
    assert sum(map(len, answers)) < sent / 10
    assert daemon.rows() == []

    # The peers never notice.
    await call_in(daemon, tmp_path)
    await recorded(daemon, "caller-hangup")


def _stranger_invite(index: int, port: int) -> bytes:
    lines = (
        f"INVITE sip:{SERVICE}@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{index}",
        f"From: <sip:1@127.0.0.1>;tag={index}",
        f"To: <sip:{SERVICE}@127.0.0.1>",
        f"Call-ID: {index}@127.0.0.1",
        "CSeq: 1 INVITE",
        f"Contact: <sip:1@127.0.0.1:{port}>",
        "Max-Forwards: 70",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


# -- what is offered and who is shown -----------------------------------------------


@pytest.mark.interop("sipp", "OPTIONS answered")
async def test_options_are_answered(daemon: Daemon, tmp_path: Path) -> None:
    with Sipp(tmp_path, "caller-asks", port=daemon.caller, remote=daemon.sip) as caller:
        await caller.succeeds()
    assert daemon.rows() == []


@pytest.mark.interop("sipp", "video and fax streams declined")
async def test_video_and_fax_are_turned_down(daemon: Daemon, tmp_path: Path) -> None:
    _, officer = await call_in(daemon, tmp_path, "caller-with-video")
    assert "m=video" not in officer
    assert "m=image" not in officer
    await recorded(daemon, "caller-hangup")


@pytest.mark.interop("sipp", "P-Asserted-Identity and Privacy")
@pytest.mark.parametrize(
    ("asserted", "privacy", "tag"),
    [("0509876543", "none", "+358509876543"), ("0509876543", "id", "withheld")],
)
async def test_the_caller_is_who_the_trunk_asserts(
    daemon: Daemon,
    tmp_path: Path,
    asserted: str,
    privacy: str,
    tag: str,
) -> None:
    await call_in(daemon, tmp_path, asserted=asserted, privacy=privacy)
    assert (await recorded(daemon, "caller-hangup")).manifest.caller == tag
    daemon.stop()
    assert "509876543" not in daemon.log_path.read_text()


# -- loss ---------------------------------------------------------------------------


@pytest.mark.interop("sipp", "ten calls, a tenth of the messages lost each way")
async def test_ten_calls_over_a_lossy_network(daemon: Daemon, tmp_path: Path) -> None:
    with (
        Sipp(
            tmp_path,
            "officer-answers",
            port=daemon.officers[0],
            calls=10,
            lost=10,
            timeout=60,
        ),
        Sipp(
            tmp_path,
            "caller-hangs-up",
            port=daemon.caller,
            remote=daemon.sip,
            calls=10,
            rate=5,
            pause=5,
            lost=10,
        ) as caller,
    ):
        await caller.succeeds()
        await daemon.logged("ended", count=10)
    # The answer may be lost so often that the caller hangs up before it arrives.
    outcomes = sorted(line["outcome"] for line in daemon.log("ended"))
    answered = outcomes.count("recorded")
    assert outcomes == ["abandoned"] * (10 - answered) + ["recorded"] * answered
    assert answered >= 8
    await daemon.logged("stored", count=answered)
    async with asyncio.timeout(PATIENCE):
        while any(row.outcome is None for row in daemon.rows()):
            await asyncio.sleep(0.02)
    rows = daemon.rows()
    assert sorted(str(row.outcome) for row in rows) == outcomes
    made = [r.recording_id for row in rows for r in row.recordings]
    stored = [recording.id for recording in daemon.recordings()]
    assert len(made) == answered
    assert sorted(made) == sorted(stored)
    assert not daemon.log("call_failed") + daemon.log("task_failed")
