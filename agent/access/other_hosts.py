"""Recordings of one call by several hosts: a recording client may send to two of them.

Each is a recording of its own, with its own key; what they have in common is the group
and the client's names for the sessions, which only their manifests say.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from agent.access.desk import Desk, RestrictedError
from agent.access.finding import Window, find_number
from agent.access.gate_client import GateDeniedError
from agent.access.reason import Reason
from agent.access.tags import read_manifest
from agent.archive.index import Hit
from agent.archive.store import NotFoundError
from agent.formats.age import NoMatchError
from agent.formats.layout import Domain
from agent.formats.manifest import Manifest


@dataclass(frozen=True, slots=True, order=True)
class OtherRecording:
    """Another host's recording of the same call."""

    host: str
    id: str


def is_same_call(one: Manifest, other: Manifest) -> bool:
    """Whether two hosts were sent the same call, by what its client named it."""
    return (
        bool(one.session and other.session)
        and one.host != other.host
        and one.group == other.group
        and not set(_sessions(one)).isdisjoint(_sessions(other))
    )


async def other_hosts(
    desk: Desk, manifest: Manifest, reason: Reason
) -> list[OtherRecording]:
    """Who else has recorded the call: every recording that may be of it is opened.

    Those that this person may not open are not among them. Raises what `find_number`
    raises, TagsError, AgeError, ManifestError.
    """
    if not manifest.session or not (numbers := _numbers(manifest)):
        return []
    domain, number = numbers[0]
    ended = date.fromisoformat(manifest.ended["helsinki"][:10])
    window = Window(ended - timedelta(1), ended + timedelta(1))
    found = await find_number(desk, number, domain, window, reason)
    others = []
    for hit in found.hits:
        if hit.id == manifest.id:
            continue
        other = await _manifest(desk, hit, reason)
        if other is not None and is_same_call(manifest, other):
            others.append(OtherRecording(other.host, other.id))
    return sorted(others)


async def _manifest(desk: Desk, hit: Hit, reason: Reason) -> Manifest | None:
    try:
        key = await desk.key(hit.id, reason, day=hit.day)
    except (GateDeniedError, RestrictedError, NotFoundError, NoMatchError):
        return None
    for archive in desk.archives:
        manifest = await read_manifest(archive, hit.id, hit.day, key)
        if manifest is not None:
            return manifest
    return None


def _numbers(manifest: Manifest) -> list[tuple[Domain, str]]:
    """Under what it is found."""
    callers: list[tuple[Domain, str]] = [("caller", one) for one in manifest.callers]
    return callers + [("officer", one.number) for one in manifest.officers]


def _sessions(manifest: Manifest) -> tuple[str, ...]:
    return manifest.session.session_ids if manifest.session else ()
