from pathlib import Path

from agent.archive import tombstones
from agent.formats.layout import seal_key
from agent.retention.ending import Ending
from agent.upload.backend import StorageError
from tests.retention.sites import CHAIN, DAY, DUE_NS, Built, built


async def stones(site: Built, place: int) -> list[tombstones.Tombstone]:
    state = site.backends[place][1]
    keys = [key async for key, _ in tombstones.ids(state)]
    return [await tombstones.read(state, key, site.site.documents) for key in keys]


async def test_a_tombstone_is_in_every_place_and_knows_the_seals_place(
    tmp_path: Path,
) -> None:
    async with built(tmp_path, places=2) as site:
        one, unsealed = await site.record(), await site.record()
        for locked, _ in site.backends:
            del locked.objects[seal_key(DAY, unsealed)]
        ending = Ending(site.site)
        for _ in range(2):  # again, as after a kill
            await ending.tell(DAY, {one, unsealed}, DUE_NS, method="m", policy="P1Y")
        first, second = await stones(site, 0)
        assert await stones(site, 1) == [first, second]
        assert (first.id, first.created, first.policy) == (one, DAY, "P1Y")
        assert first.seal is not None
        assert (first.seal.host, first.seal.chain) == ("host-a", CHAIN)
        assert second.seal is None


async def test_a_seal_that_is_none_is_no_reason_to_keep_a_record(
    tmp_path: Path,
) -> None:
    async with built(tmp_path) as site:
        one = await site.record()
        site.backends[0][0].objects[seal_key(DAY, one)] = b"?"
        await Ending(site.site).tell(DAY, {one}, DUE_NS, method="m", policy="P1Y")
        assert (await stones(site, 0))[0].seal is None


async def test_where_storage_fails_is_told(tmp_path: Path) -> None:
    def before(operation: str, key: str) -> None:
        if operation == "delete":
            raise StorageError("It is away.", hint="")

    async with built(tmp_path, places=2) as site:
        one = await site.record()
        site.backends[1][1]._before = before
        ending = Ending(site.site)
        (left,) = await ending.envelopes(DAY, {one})
        assert (left.place, left.reason) == ("storage[1]", "It is away.")
        (left,) = await ending.content(DAY, {one})
        assert left.place == "storage[1]"
        assert await ending.content(DAY, set()) == []
