"""Calls that are about to be transferred, and what became of them."""

from typing import Any

from agent.call.config import RouteConfig
from agent.identity.directory import OfficerEntry
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from tests.call.site import (
    AGENT,
    SECOND,
    Party,
    Site,
    key,
)

OFFICERS = [
    OfficerEntry("201", "One", str(key(seed=3))),
    OfficerEntry("202", "Two", str(key(seed=4))),
    OfficerEntry("203", "Three", str(key(seed=5))),
]
INTERNAL = RouteConfig(
    name="internal",
    from_="officers",
    number="202",
    direction="outbound",
    to=(f"sip:202@{SECOND}",),
    notice=("fi.wav",),
)
OUTSIDE = "0409876543"


async def talking(site: Site, **options: Any) -> None:
    """A customer talks with officer 201, being recorded."""
    await site.start(**({"officers": OFFICERS} | options))
    await site.talk()


async def hold(party: Party) -> None:
    count = len(party.of(sip.OfferAnswered))
    party.change(Direction.SENDONLY)
    await party.heard(sip.OfferAnswered, count + 1)


async def consult(site: Site, number: str, begun: int = 2) -> tuple[str, str]:
    """201 holds the customer and rings someone else; returns both its sessions."""
    customer = site.officer.session
    await hold(site.officer)
    site.officer.call(number)
    await site.until_logged("recording_begun", begun)
    return customer, site.officer.session


def attended(site: Site, number: str, session: str) -> str:
    named = site.officer.replaces(session)
    return (
        f"sip:{number}@{AGENT}?Replaces={named.replace(';', '%3B').replace('=', '%3D')}"
    )


def segments(site: Site) -> list[tuple[int, str, str]]:
    """(segment, caller, officer) of everything recorded, in the order of beginning."""
    return [(b.segment, b.caller, b.officers[0].number) for b in site.media.begins]


CUSTOMER = "+358401234567"
