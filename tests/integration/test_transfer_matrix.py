"""The transfer matrix through the daemon: tags, segments, group, stop time, audio."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from agent.cli.phone import Phone
from agent.common.clock import monotonic_ns, utc_ns
from agent.formats.age.errors import NoMatchError
from agent.formats.envelope import open_envelope
from tests.lab.calls import CUSTOMER, phone
from tests.lab.daemon import SERVICE, Daemon, Recording
from tests.lab.parties import channels, goertzel_db
from tests.lab.transfers import DeskPhone
from tests.patience import PATIENCE
from tests.ports import free_ports

pytestmark = pytest.mark.integration

OUTSIDE = "0409876543"
TONES = {"customer": 500.0, "201": 900.0, "202": 1300.0, "outside": 1700.0}
STOPS_WITHIN = 0.2
"Seconds of grace for a recording whose last officer has left."


@dataclass
class Desk:
    """The daemon, the phones around it, and what they have been through."""

    daemon: Daemon
    customer: Phone
    one: DeskPhone
    "Officer 201's first line."
    other_line: DeskPhone
    "Its second."
    two: DeskPhone
    "Officer 202."
    outside: Phone
    left_ns: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.daemon.sip}"

    def segments(self, group_of: str | None = None) -> list[Recording]:
        """The recordings of the customer's call, in their order."""
        found = [
            one
            for one in self.daemon.recordings()
            if one.manifest.caller == (group_of or CUSTOMER)
        ]
        return sorted(found, key=lambda one: one.manifest.segment)


@asynccontextmanager
async def desk(daemon_at: Callable[..., Daemon]) -> AsyncIterator[Desk]:
    ports = free_ports(5)
    caller, one, two, line, outside = ports
    routes = f"""
[[routes]]
name = "internal"
from = "officers"
number = "202"
direction = "outbound"
to = ["sip:202@127.0.0.1:{two}"]
notice = ["fi.wav"]
[[routes]]
name = "outside"
from = "officers"
number = "{OUTSIDE}"
direction = "outbound"
to = ["sip:{OUTSIDE}@127.0.0.1:{outside}"]
notice = ["fi.wav"]
"""
    daemon = daemon_at(
        caller=caller, officers=(one, two, line), outbound=routes, workers=2
    ).start()
    site = Desk(
        daemon,
        phone(caller, "0401234567", TONES["customer"]),
        phone(one, "201", TONES["201"], DeskPhone),
        phone(line, "201", TONES["201"], DeskPhone),
        phone(two, "202", TONES["202"], DeskPhone),
        phone(outside, OUTSIDE, TONES["outside"]),
    )
    everyone = (site.customer, site.one, site.other_line, site.two, site.outside)
    for each in everyone:
        await each.start()
    try:
        async with asyncio.timeout(50):
            await site.customer.call(f"sip:{SERVICE}@{site.address}")
            await daemon.logged("recording_begun")
            for each in everyone:
                each.speak()
            await asyncio.sleep(0.6)
            yield site
    finally:
        for each in everyone:
            await each.close()


def seconds_after(recording: Recording, event_ns: int) -> float:
    """How long after a moment of CLOCK_MONOTONIC a recording ended."""
    ended = datetime.fromisoformat(recording.manifest.ended["utc"])
    return ended.timestamp() - (event_ns + utc_ns() - monotonic_ns()) / 1e9


def heard(recording: Recording) -> tuple[set[str], set[str]]:
    """Whose tones are in the left channel, and whose in the right."""
    left, right = (
        {who for who, f in TONES.items() if goertzel_db(samples, f) > -30}
        for samples in channels(recording.wav)
    )
    return left, right


def opens(daemon: Daemon, who: str, recording: Recording) -> bool:
    envelope = daemon.stored(".key.age")[recording.id].read_bytes()
    try:
        open_envelope(envelope, [daemon.identities[who]])
    except NoMatchError:
        return False
    return True


def check(segments: list[Recording], officers: list[str], causes: list[str]) -> None:
    """Tags, order, group, ends; and each hears the customer and its own officer."""
    manifests = [one.manifest for one in segments]
    assert [m.segment for m in manifests] == list(range(1, len(officers) + 1))
    assert [[o.number for o in m.officers] for m in manifests] == [
        [number] for number in officers
    ]
    assert [m.end_cause for m in manifests] == causes
    assert {m.outcome for m in manifests} == {"recorded"}
    assert {m.service for m in manifests} == {SERVICE}
    assert len({m.group for m in manifests}) == 1
    for recording, officer in zip(segments, officers, strict=True):
        assert heard(recording) == ({"customer"}, {officer})


async def over(site: Desk, calls: int = 1, recordings: int = 2) -> None:
    await site.daemon.logged("ended", count=calls)
    await site.daemon.logged("stored", count=recordings)
    async with asyncio.timeout(PATIENCE):
        # A row is closed after the log has told so.
        while any(row.outcome is None for row in site.daemon.rows()):
            await asyncio.sleep(0.02)
    rows = site.daemon.rows()
    assert {row.outcome for row in rows} == {"recorded"}
    assert len(rows) == calls
    assert not site.daemon.log("call_failed") + site.daemon.log("task_failed")


async def told(line: DeskPhone, status: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while status not in line.told:
            await asyncio.sleep(0.02)


async def test_blind(daemon_at: Callable[..., Daemon]) -> None:
    async with desk(daemon_at) as site:
        site.one.refer(f"sip:202@{site.address}")
        await site.one.ended.wait()
        await site.two.connected.wait()
        assert site.one.told[0] == "100"
        assert site.one.told[-1] == "200"
        await asyncio.sleep(0.6)
        site.customer.hang_up()
        await site.two.ended.wait()
        await over(site)
        segments = site.segments()
        check(segments, ["201", "202"], ["transferred", "caller-hangup"])
        assert abs(seconds_after(segments[0], site.one.ended_ns)) < STOPS_WITHIN
        # Each officer's key opens that officer's segment, and no other.
        for who, opened in (
            ("officer-201", [True, False]),
            ("officer-202", [False, True]),
        ):
            assert [opens(site.daemon, who, one) for one in segments] == opened


async def test_attended(daemon_at: Callable[..., Daemon]) -> None:
    async with desk(daemon_at) as site:
        await site.other_line.call(f"sip:202@{site.address}")
        await site.daemon.logged("recording_begun", count=2)
        await asyncio.sleep(0.6)
        site.one.refer(f"sip:202@{site.address}?Replaces={site.other_line.replaces()}")
        await site.one.ended.wait()
        await site.other_line.ended.wait()
        await site.daemon.logged("recording_begun", count=3)
        await told(site.one, "200")
        await asyncio.sleep(0.8)
        site.two.hang_up()
        await site.customer.ended.wait()
        await over(site, calls=2, recordings=3)
        check(site.segments(), ["201", "202"], ["transferred", "officer-hangup"])
        [consultation] = site.segments("202")
        assert consultation.manifest.group != site.segments()[0].manifest.group
        assert heard(consultation) == ({"202"}, {"201"})


async def test_to_a_busy_officer(daemon_at: Callable[..., Daemon]) -> None:
    async with desk(daemon_at) as site:
        core, agent = site.two._user_agent.core, site.two._user_agent
        site.two.answer_after = None
        site.one.refer(f"sip:202@{site.address}")
        await told(site.one, "180")
        core.refuse(site.two._session, agent.now, status=486)
        agent.flush()
        await told(site.one, "486")
        await asyncio.sleep(0.4)
        site.one.hang_up()
        await site.customer.ended.wait()
        await over(site, recordings=1)
        check(site.segments(), ["201"], ["officer-hangup"])


async def test_to_an_outside_number(daemon_at: Callable[..., Daemon]) -> None:
    async with desk(daemon_at) as site:
        site.one.refer(f"sip:{OUTSIDE}@{site.address}")
        await site.one.ended.wait()
        await site.outside.connected.wait()
        await asyncio.sleep(0.8)
        assert not site.daemon.log("ended")  # the two outsiders talk on
        site.outside.hang_up()
        await site.customer.ended.wait()
        await over(site, recordings=1)
        [segment] = segments = site.segments()
        check(segments, ["201"], ["transferred"])
        assert abs(seconds_after(segment, site.one.ended_ns)) < STOPS_WITHIN


async def test_cancelled(daemon_at: Callable[..., Daemon]) -> None:
    async with desk(daemon_at) as site:
        site.two.answer_after = None
        site.one.refer(f"sip:202@{site.address}")
        await told(site.one, "180")
        site.customer.hang_up()
        await site.one.ended.wait()
        await site.two.ended.wait()
        await over(site, recordings=1)
        check(site.segments(), ["201"], ["caller-hangup"])
        await told(site.one, "487")


@pytest.mark.parametrize("first", ["transferor", "agent"])
async def test_crossing_byes(daemon_at: Callable[..., Daemon], first: str) -> None:
    async with desk(daemon_at) as site:
        site.two.answer_after = 0.0 if first == "agent" else 0.5
        site.one.refer(f"sip:202@{site.address}")
        if first == "agent":
            await told(site.one, "200")  # and with it comes the agent's BYE
        else:
            await told(site.one, "180")
        site.one.hang_up()
        await site.daemon.logged("recording_begun", count=2)
        await asyncio.sleep(0.8)
        site.two.hang_up()
        site.customer.hang_up()
        await over(site)
        segments = site.segments()
        cause = segments[1].manifest.end_cause
        assert cause in {"officer-hangup", "caller-hangup"}
        check(segments, ["201", "202"], ["transferred", cause])
        assert seconds_after(segments[0], site.one.ended_ns) < STOPS_WITHIN
