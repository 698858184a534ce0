from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from agent.access.desk import Desk, DeskError
from agent.access.gate_client import GateClient
from agent.access.verifying import (
    DayVerified,
    IndexVerified,
    verify_day,
    verify_month,
)
from agent.archive.documents import SignedDocuments
from agent.archive.index_verification import IndexFault
from agent.archive.seal_chains import FindingKind
from agent.archive.tombstones import Tombstone, write
from agent.formats.blind_index import IndexKeys, blind, month_key
from agent.formats.layout import index_key
from agent.formats.roster import Host
from agent.formats.seal import parse_seal, seal_place
from tests.access.site import DAY, ROOT_KEY, Site, with_two_targets
from tests.formats.rosters import roster, signing_key

MONTH = "2026-11"
ROSTER = roster(hosts=(Host(name="host-a", key=str(signing_key("host-a").public)),))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def desk_of(site: Site, **options: Any) -> Desk:
    return replace(site.desk(**options), roster=ROSTER)


async def day_of(desk: Desk) -> list[DayVerified]:
    return [one async for one in verify_day(desk, DAY)]


async def month_of(desk: Desk) -> list[IndexVerified]:
    return [one async for one in verify_month(desk, MONTH)]


async def test_a_day_that_is_whole_in_each_storage(site: Site, tmp_path: Path) -> None:
    site.record()
    other = Site(tmp_path / "other")
    site.copy_to(other)
    one, two = await day_of(with_two_targets(desk_of(site), other))
    assert (one.storage, one.recordings, one.findings) == (0, 1, ())
    assert (two.storage, two.recordings, two.findings) == (1, 1, ())


async def test_what_was_altered_is_named(site: Site) -> None:
    segment = site.record()
    [path] = (site.root / "locked").rglob(f"{segment.id}.wav.age")
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    [verified] = await day_of(desk_of(site))
    [finding] = verified.findings
    assert finding.kind is FindingKind.OBJECT_ALTERED
    assert finding.id == segment.id


async def test_without_a_roster_nothing_is_verified(site: Site) -> None:
    with pytest.raises(DeskError, match="whose seals"):
        await day_of(site.desk())


async def test_an_index_that_is_whole(site: Site) -> None:
    site.record()
    site.record(indexed=False)
    [verified] = await month_of(desk_of(site))
    assert verified.findings == ()
    assert (verified.recordings, verified.compared) == (2, 2)
    keys = IndexKeys({MONTH: month_key(ROOT_KEY, MONTH)})
    [verified] = await month_of(replace(desk_of(site), index=keys))
    assert verified.compared == 2
    other = IndexKeys({"2026-12": month_key(ROOT_KEY, "2026-12")})
    for index in (None, other):
        [verified] = await month_of(replace(desk_of(site), index=index))
        assert (verified.compared, verified.findings) == (0, ())


async def test_an_entry_that_was_moved_is_named(site: Site) -> None:
    segment = site.record()
    folder = site.root / "state" / "index" / MONTH / "caller"
    [blinded] = folder.iterdir()
    key = month_key(ROOT_KEY, MONTH)
    stranger = index_key(
        MONTH, "caller", blind(key, "caller", "+358500000000"), segment.id
    )
    (site.root / "state" / stranger).parent.mkdir()
    (blinded / segment.id).rename(site.root / "state" / stranger)
    [verified] = await month_of(desk_of(site))
    assert [one.fault for one in verified.findings] == [
        IndexFault.ABSENT,
        IndexFault.FALSE,
    ]
    assert {one.id for one in verified.findings} == {segment.id}


async def test_what_is_not_for_these_keys_is_not_compared(site: Site) -> None:
    site.record()
    [verified] = await month_of(desk_of(site, identities=[]))
    assert (verified.recordings, verified.compared) == (1, 0)


async def test_recordings_that_no_entry_names(site: Site) -> None:
    segment = site.record(journal=True)
    [verified] = await month_of(desk_of(site))
    [finding] = verified.findings
    assert (finding.fault, finding.id) == (IndexFault.ABSENT, segment.id)


async def test_with_a_gate_the_index_is_the_gates(site: Site) -> None:
    gate: Any = object()
    with pytest.raises(DeskError, match="closed to everybody"):
        await month_of(replace(desk_of(site), gate=gate))


async def test_with_a_gate_a_day_is_verified_without_envelopes(site: Site) -> None:
    segment = site.record()
    [envelope] = (site.root / "state").rglob(f"{segment.id}.key.age")
    envelope.unlink()
    gate: Any = object()
    [verified] = await day_of(replace(desk_of(site), gate=gate))
    assert (verified.recordings, verified.findings) == (1, ())
    [verified] = await day_of(desk_of(site))
    [finding] = verified.findings
    assert finding.kind is FindingKind.ENVELOPE_MISSING


async def test_days_before_are_not_that_days(site: Site) -> None:
    site.record()
    earlier = [one async for one in verify_day(desk_of(site), DAY - timedelta(1))]
    assert [one.recordings for one in earlier] == [0]


@pytest.mark.parametrize("signed", [True, False])
async def test_a_tombstone_that_the_gate_has_not_signed_explains_nothing(
    site: Site, *, signed: bool
) -> None:
    gone, there = site.record(), site.record()
    desk = replace(desk_of(site), gate=cast("GateClient", object()))
    [archive] = desk.archives
    [seal] = (site.root / "locked").rglob(f"{gone.id}.seal")
    statement = parse_seal(seal.read_bytes())
    stone = Tombstone(
        id=gone.id, created=DAY, erased_at="2026-11-28T00:00:00.000Z",
        method="key-destroyed", policy="early",
        seal=seal_place(seal.read_bytes(), statement),
    )  # fmt: skip
    key = signing_key("gate" if signed else "whoever runs the storage")
    await write(archive.state, stone, SignedDocuments(key, list))
    for path in (site.root / "locked").rglob(f"{gone.id}*"):
        path.unlink()
    [verified] = await day_of(desk)
    kinds = {(one.kind, one.id) for one in verified.findings}
    assert (kinds == set()) is signed
    assert there.id not in {recording_id for _, recording_id in kinds}
    if not signed:
        assert (FindingKind.TOMBSTONE_REFUSED, gone.id) in kinds
