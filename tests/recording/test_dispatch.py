import os
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from agent.common.ids import new_id
from agent.formats.age import KeyKind, NoMatchError, generate_identity
from agent.formats.blind_index import IndexKeys, month_key
from agent.formats.day_keys import DayKey, DayKeyList
from agent.formats.envelope import open_envelope, unwrap
from agent.formats.seal import verify_seal
from agent.formats.sshsig import SigningKey
from agent.recording.dispatch import DayKeyMissingError, Dispatch
from agent.recording.finisher import finish, salvage
from agent.recording.seal_chain import SealChain
from agent.recording.spool import SealedError, Spool
from tests.recording.segments import (
    DAY,
    STARTED_AT,
    Segment,
    entropy,
    quality,
    write_segment,
)

KEY = SigningKey.from_seed(bytes(range(32)))
TODAY = date(2026, 11, 23)
GATE = [generate_identity(KeyKind.CLASSIC, entropy) for _ in range(12)]


def keys(days: int = 10, *, generation: int = 1, first: date = TODAY) -> DayKeyList:
    """A key for each of so many days."""
    return DayKeyList(
        serial=generation,
        issued="2026-11-23T00:00:00Z",
        keys=tuple(
            DayKey(
                day=(first + timedelta(days=number)).isoformat(),
                generation=generation,
                recipient=str(GATE[number + generation - 1].recipient()),
            )
            for number in range(days)
        ),
    )


def dispatch(
    spool: Spool, day_keys: DayKeyList | None = None, *, signs: bool = False
) -> Dispatch:
    chain = None
    if signs:
        chain = SealChain(
            spool, KEY, "host-a", new_id=new_id, utc_ns=lambda: STARTED_AT
        )
        chain.open()
    return Dispatch(spool, chain=chain, day_keys=day_keys, utc_ns=lambda: STARTED_AT)


def sealed(spool: Spool, index: IndexKeys | None = None) -> Segment:
    segment = write_segment(spool)
    finish(segment.job(spool), spool.root, index=index)
    return segment


async def test_without_anything_it_leaves_as_it_was_sealed(spool: Spool) -> None:
    segment = sealed(spool)
    found = await dispatch(spool).objects(segment.id)
    assert found == spool.sealed_objects(segment.id)


async def test_the_envelope_leaves_within_the_layer_of_its_day(spool: Spool) -> None:
    segment = sealed(spool)
    before = spool.sealed_objects(segment.id)
    envelope, *others = await dispatch(spool, keys()).objects(segment.id)
    assert others == before[1:]
    assert envelope.key == f"keys/{DAY}/{segment.id}.key.age"
    data = spool.sealed_path(segment.id, envelope.file).read_bytes()
    assert (envelope.sha256, envelope.size) == (sha256(data).hexdigest(), len(data))
    inner = unwrap(data, [GATE[0]], segment.id)
    assert inner == spool.sealed_path(segment.id, before[0].file).read_bytes()
    assert open_envelope(inner, [quality().identity]).recipient == segment.key.recipient
    for identity in (GATE[1], quality().identity):
        with pytest.raises(NoMatchError):
            unwrap(data, [identity], segment.id)


async def test_what_was_salvaged_leaves_sealed_and_within_the_layer(
    spool: Spool,
) -> None:
    segment = write_segment(spool, whole=False)
    for journal in spool.journals_of(segment.id):
        os.utime(journal, ns=(0, STARTED_AT))
    salvage(segment.id, spool, indexed=True)
    found = await dispatch(spool, keys(), signs=True).objects(segment.id)
    assert [one.key.rpartition(".")[2] for one in found[:3]] == [
        "age",
        "journal",
        "seal",
    ]
    assert found[3].key == f"index/2026-11/unindexed/{segment.id}"
    outer = spool.sealed_path(segment.id, found[0].file).read_bytes()
    key = open_envelope(unwrap(outer, [GATE[0]], segment.id), [quality().identity])
    assert key.recipient == segment.key.recipient


async def test_an_attempt_goes_on_with_what_an_earlier_one_made(spool: Spool) -> None:
    segment = sealed(spool)
    first = await dispatch(spool, keys(), signs=True).objects(segment.id)
    assert await dispatch(spool, keys(), signs=True).objects(segment.id) == first


async def test_a_newer_key_of_the_day_is_used_after_an_outage(spool: Spool) -> None:
    segment = sealed(spool)
    one = dispatch(spool, keys())
    old, *_ = await one.objects(segment.id)
    one.renew(keys(generation=2))
    new, *_ = await one.objects(segment.id)
    assert old.key == new.key
    data = spool.sealed_path(segment.id, new.file).read_bytes()
    assert unwrap(data, [GATE[1]], segment.id)


async def test_a_day_without_a_key_waits_for_a_list_that_has_it(
    spool: Spool, log: list[dict[str, Any]]
) -> None:
    segment, other = sealed(spool), sealed(spool)
    one = dispatch(spool, keys(first=TODAY + timedelta(days=1)))
    for waiting in (segment, other, segment):
        with pytest.raises(DayKeyMissingError, match="2026-11-23") as caught:
            await one.objects(waiting.id)
        assert not caught.value.permanent
        assert "SIGHUP" in caught.value.hint
    assert [(e["level"], e["day"]) for e in log if e["event"] == "day_key_missing"] == [
        ("critical", "2026-11-23")
    ]
    one.renew(keys())
    assert (await one.objects(segment.id))[0].file.endswith(".key.gate-1.age")


@pytest.mark.parametrize(
    ("days", "issued", "leaves"),
    [
        (6, "2026-11-23T00:00:00Z", True),
        (7, "2026-11-23T00:00:00Z", False),
        (7, "2026-11-29T00:00:00Z", True),
        (30, "2026-12-21T23:59:59Z", False),
        (30, "2026-12-22T00:00:00Z", True),
        (30, "2026-12-24T00:00:00Z", True),
        (30, "", False),
    ],
)
async def test_after_weeks_away_only_a_fresh_list_tells_which_key_is_held(
    spool: Spool, log: list[dict[str, Any]], days: int, issued: str, *, leaves: bool
) -> None:
    segment = sealed(spool)
    listed = msgspec.structs.replace(keys(), issued=issued)
    now_ns = STARTED_AT + days * 86_400 * 10**9
    one = Dispatch(spool, day_keys=listed, utc_ns=lambda: now_ns)
    if leaves:
        await one.objects(segment.id)
    else:
        with pytest.raises(DayKeyMissingError, match="still held"):
            await one.objects(segment.id)
        one.renew(msgspec.structs.replace(keys(generation=2), issued="2026-12-23"))
        if days == 30:
            envelope, *_ = await one.objects(segment.id)
            assert envelope.file.endswith(".key.gate-2.age")
    missing = [entry for entry in log if entry["event"] == "day_key_missing"]
    assert len(missing) == (not leaves)


async def test_few_coming_days_are_told_once_a_day(
    spool: Spool, log: list[dict[str, Any]]
) -> None:
    segment = sealed(spool)
    one = dispatch(spool, keys(6))
    for _ in range(3):
        await one.objects(segment.id)
    assert one.coming_days() == 6
    assert [e["days"] for e in log if e["event"] == "day_keys_running_out"] == [6]
    one.renew(keys(7))
    assert len(log) == 1
    assert dispatch(spool).coming_days() is None


async def test_the_seal_comes_after_what_it_is_about_and_before_the_index(
    spool: Spool,
) -> None:
    index = IndexKeys({"2026-11": month_key(entropy(32), "2026-11")})
    segment = sealed(spool, index)
    found = await dispatch(spool, keys(), signs=True).objects(segment.id)
    folders = [one.key.partition("/")[0] for one in found]
    assert folders == ["keys", "audio", "manifest", "manifest", "index", "index"]
    assert found[3].key.endswith(".seal")
    data = spool.sealed_path(segment.id, found[3].file).read_bytes()
    statement = verify_seal(data, {"host-a": [KEY.public]})
    # Not of the envelope, which is wrapped anew, nor of the index.
    assert [one.key for one in statement.objects] == [found[1].key, found[2].key]
    for one in found:
        assert spool.sealed_path(segment.id, one.file).stat().st_size == one.size


async def test_what_is_damaged_is_the_recordings_own_fault(spool: Spool) -> None:
    segment = sealed(spool)
    envelope = spool.sealed_path(segment.id, f"{segment.id}.key.age")
    whole = envelope.read_bytes()
    envelope.write_bytes(b"junk")
    with pytest.raises(SealedError, match="no envelope"):
        await dispatch(spool, keys()).objects(segment.id)
    envelope.write_bytes(whole)
    spool.sealed_path(segment.id, f"{segment.id}.seal").write_bytes(b"junk")
    with pytest.raises(SealedError, match="malformed"):
        await dispatch(spool, signs=True).objects(segment.id)


async def test_a_list_that_reaches_further_than_anybody_looks(spool: Spool) -> None:
    class Endless(DayKeyList):
        def current(self, day: date) -> DayKey | None:
            return DayKey(day=day.isoformat(), generation=1, recipient="age1")

    endless = Endless(serial=1, issued="", keys=())
    assert dispatch(spool, endless).coming_days() == 400
