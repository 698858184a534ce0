"""Which INVITEs begin a recording session, and which do not."""

import pytest

from agent.call.siprec.recording_session import PATIENCE
from agent.recording.database import LedgerError
from tests.call.siprec.client import (
    BOTH,
    STRICT,
    sdp,
)
from tests.call.siprec.sites import (
    TALK,
    Recorder,
    rules,
)


async def test_without_an_entry_it_is_told_that_we_do_not_record(
    site: Recorder,
) -> None:
    await site.record(rules(from_="trunk"))
    site.client.record(sdp(*BOTH), TALK.xml)
    refused = await site.client.answered()
    assert refused.status == 420
    assert refused.headers.get("Unsupported") == "siprec"
    assert await site.rows() == []


@pytest.mark.parametrize(
    ("headers", "features"), [((), ";+sip.src"), (STRICT, ""), ((), ";src")]
)
async def test_what_says_it_otherwise_is_recorded_where_that_is_configured(
    site: Recorder, headers: tuple[str, ...], features: str
) -> None:
    await site.record(rules(recognise="legacy"))
    site.client.record(sdp(*BOTH), TALK.xml, headers=headers, features=features)
    answer = await site.client.answered()
    assert answer.status == 200
    [begin] = site.media.begins
    assert begin.session is not None
    assert begin.session.tolerated == ("recognised-legacy",)


async def test_what_says_nothing_is_a_call_if_there_is_a_route(site: Recorder) -> None:
    await site.record(rules(recognise="legacy"))
    site.client.record(sdp("sendonly"), headers=(), features="")
    assert (await site.client.answered()).status == 200
    await site.advance(PATIENCE)
    [begin] = site.media.begins
    assert begin.session is not None
    assert begin.session.tolerated == ("recognised-none",)


async def test_a_strict_entry_takes_nothing_else_for_a_recording(
    site: Recorder,
) -> None:
    await site.record()
    site.client.record(sdp(*BOTH), headers=(), features="")
    assert (await site.client.answered()).status == 404
    site.client.record(sdp(*BOTH), features="")
    assert (await site.client.answered(2)).status == 420
    site.client.record(sdp(*BOTH), headers=())
    assert (await site.client.answered(3)).status == 404
    refused = site.logged("recording_session_refused")
    assert len(refused) == 2
    assert all("recognise is" in line["reason"] for line in refused)


@pytest.mark.parametrize("redirect", ["", "sip:192.0.2.99"])
async def test_who_drains_hands_clients_on(site: Recorder, redirect: str) -> None:
    await site.record(rules(redirect=redirect))
    site.control.take_calls(on=False)
    site.client.record(sdp(*BOTH), TALK.xml)
    refused = await site.client.answered()
    assert refused.status == (302 if redirect else 503)
    wanted = ("Contact", f"<{redirect}>") if redirect else ("Retry-After", "10")
    assert refused.headers.get(wanted[0]) == wanted[1]


async def test_without_a_ledger_it_is_refused(site: Recorder) -> None:
    await site.record()
    site.ledger.broken = LedgerError("full")
    site.client.record(sdp(*BOTH), TALK.xml)
    assert (await site.client.answered()).status == 503


async def test_one_limit_holds_for_calls_and_recordings(site: Recorder) -> None:
    await site.record(max_calls=1)
    await site.talk_beside()
    site.client.record(sdp(*BOTH), TALK.xml)
    refused = await site.client.answered(2)
    assert refused.status == 503
