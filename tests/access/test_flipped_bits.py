"""One bit of anything that is stored or signed, flipped: found, and named."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from agent.access.opening import collect, open_found
from agent.access.requests import Request, RequestedAct, verify_request
from agent.archive.chain import Chain
from agent.archive.index_verification import MonthIndex
from agent.common.errors import AgentError
from agent.formats.age import KeyKind, generate_identity
from agent.formats.day_keys import DayKey, DayKeyList, verify_day_keys
from agent.formats.envelope import unwrap, wrap
from agent.formats.roster_reading import verify_roster
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import KEY, filled
from tests.archive.sealed_world import World, people
from tests.formats.flips import flips
from tests.formats.rosters import ROOT, recipient, roster, signed, signing_key
from tests.recording.segments import entropy, quality

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEYS = [quality().identity]
TRIED = 300
"Flips of each kind, or all where there are fewer; each kind's own tests try the rest."


@dataclass(frozen=True)
class Kind:
    """One kind of object."""

    whole: bytes
    judge: Callable[[bytes], object]
    "Raises an AgentError, or gives what it found; nothing is found in what is whole."
    named: str
    "What the error or the finding says it is; empty where its caller does."


async def recording(tmp_path: Path) -> dict[str, Kind]:
    """All that is stored of one recording, judged as who opens it does."""
    world = World(tmp_path / "spool")
    segment = world.record(frames=3)
    await world.store()
    found = await collect(segment.id, [world.target], day=DAY)
    members = people()

    def opening(part: str) -> Callable[[bytes], object]:
        def judge(data: bytes) -> object:
            whole = getattr(found, part)
            setattr(found, part, data)
            try:
                # What is opened would be played: it is no finding.
                open_found(found, KEYS, members)
            finally:
                setattr(found, part, whole)
            return None

        return judge

    names = {"audio": "wav.age", "manifest": "json.age", "seal": "seal"}
    kinds = {
        part: Kind(getattr(found, part), opening(part), named)
        for part, named in (names | {"envelope": "envelope"}).items()
    }
    gate = generate_identity(KeyKind.CLASSIC, entropy)
    day = DayKey(day=str(DAY), generation=1, recipient=str(gate.recipient()))
    kinds["gate's layer"] = Kind(
        wrap(found.envelope, segment.id, day, entropy),
        lambda data: unwrap(data, [gate], segment.id) and None,
        "",
    )
    entries = [key for key in world.state.objects if key.startswith("index/")]

    def look(data: bytes) -> object:
        altered = [data.decode("utf-8", "replace"), *entries[1:]]
        # Of another month's folder nothing is read here: the entry is not there.
        month = [name for name in altered if name.startswith("index/2026-11/")]
        index = MonthIndex("2026-11", month)
        return [*index.against([segment.id]), *index.compare(segment.id, entries)]

    kinds["index"] = Kind(entries[0].encode(), look, segment.id)
    return kinds


async def documents() -> dict[str, Kind]:
    """Everything else that somebody signs."""
    day = DayKey(day=str(DAY), generation=1, recipient=recipient("day"))
    listed = DayKeyList(serial=1, issued="2026-11-20T08:00:00Z", keys=(day,))
    request = Request(
        id="00000000-0000-4000-8000-000000000000",
        act=RequestedAct.ERASE,
        recordings=("00000000-0000-4000-8000-000000000001",),
        reason="complaint",
        issued="2026-11-23T08:00:00Z",
        expires="2026-11-30T08:00:00Z",
    )
    gate, members = signing_key("gate"), roster()
    approvers = [signing_key("quinn"), signing_key("dan")]
    log = MemoryBackend()
    await filled(log, days=1)
    key = sorted(log.objects)[1]

    def follow(data: bytes) -> object:
        chain = Chain("gate", [KEY.public])
        for name, page in sorted((log.objects | {key: data}).items()):
            chain.take(name, page)
        return [str(finding) for finding in chain.findings]

    return {
        "roster": Kind(
            signed(), lambda data: verify_roster(data, ROOT.public) and None, "roster"
        ),
        "day keys": Kind(
            sign_document(listed.to_bytes(), [gate], Namespace.DAY_KEYS),
            lambda data: verify_day_keys(data, [gate.public]) and None,
            "list of day keys",
        ),
        "request": Kind(
            sign_document(request.to_bytes(), approvers, Namespace.REQUEST),
            lambda data: verify_request(data, members, NOW) and None,
            "request",
        ),
        "audit log": Kind(log.objects[key], follow, key),
    }


def some(data: bytes, seed: str) -> Iterator[bytes]:
    """TRIED one-bit changes of it, spread over all; all of a small one."""
    step = max(1, 8 * len(data) // TRIED)
    first = random.Random(seed).randrange(step)
    if step == 1:
        yield from flips(data)
        return
    for at in range(first, 8 * len(data), step):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        yield bytes(changed)


KINDS = (
    *("audio", "manifest", "seal", "envelope", "gate's layer", "index"),
    *("roster", "day keys", "request", "audit log"),
)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    async def make() -> dict[str, Kind]:
        return await recording(tmp_path_factory.mktemp("host")) | await documents()

    return asyncio.run(make())


def test_every_kind_is_tried(kinds: dict[str, Kind]) -> None:
    assert kinds.keys() == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_found_and_named(kind: str, kinds: dict[str, Kind]) -> None:
    one = kinds[kind]
    assert not one.judge(one.whole)
    for data in some(one.whole, kind):
        try:
            said = str(one.judge(data) or "")
        except AgentError as error:
            said = str(error)
        assert said, "a flipped bit was believed"
        assert one.named.lower() in said.lower()
