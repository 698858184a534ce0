from pathlib import Path

import pytest

from agent.formats.age import KeyKind, generate_identity
from agent.formats.envelope import open_envelope, unwrap
from agent.formats.layout import envelope_key
from agent.retention.rewrapping import EnvelopeLostError, rewrap
from agent.upload.backends.memory import MemoryBackend
from tests.retention.sites import DAY, MEMBER, Built, built

NEW = generate_identity(KeyKind.CLASSIC, bytes)


async def moved(site: Built, recording_id: str) -> int:
    assert site.keyring is not None
    return await rewrap(
        site.site.places, DAY, recording_id, to=NEW,
        under=site.keyring.day_identities(DAY),
    )  # fmt: skip


async def test_the_outer_layer_is_anothers_and_the_inner_as_it_was(
    tmp_path: Path,
) -> None:
    async with built(tmp_path, places=2) as site:
        one = await site.record()
        assert await moved(site, one) == 2
        for _, state in site.backends:
            inner = unwrap(state.objects[envelope_key(DAY, one)], [NEW], one)
            open_envelope(inner, [MEMBER])
        assert not site.opens(one)
        assert await moved(site, one) == 0, "it was done before"


@pytest.mark.parametrize("what", ["damaged", "another's"])
async def test_a_damaged_envelope_is_mended_from_the_other_place(
    tmp_path: Path, what: str
) -> None:
    async with built(tmp_path, places=2) as site:
        one, other = await site.record(), await site.record()
        key = envelope_key(DAY, one)
        objects = site.backends[0][1].objects
        copy = objects[envelope_key(DAY, other)]
        objects[key] = copy if what == "another's" else b"damaged"
        assert await moved(site, one) == 2
        unwrap(site.backends[0][1].objects[key], [NEW], one)


async def test_one_that_does_not_open_is_an_error_and_none_at_all_is_nothing(
    tmp_path: Path,
) -> None:
    async with built(tmp_path) as site:
        one, other = await site.record(), await site.record()
        key = envelope_key(DAY, one)
        objects = site.backends[0][1].objects
        for stray in (b"damaged", objects[envelope_key(DAY, other)]):
            objects[key] = stray
            with pytest.raises(EnvelopeLostError, match=r"does not open\. Its day's"):
                await moved(site, one)
            assert objects[key] == stray
        del site.backends[0][1].objects[key]
        assert await moved(site, one) == 0


class Forgetful(MemoryBackend):
    """Says yes, and stores nothing."""

    async def replace(self, key: str, data: bytes) -> None:
        self._before("replace", key)


async def test_what_storage_did_not_replace_does_not_count(tmp_path: Path) -> None:
    async with built(tmp_path, kind=Forgetful) as site:
        one = await site.record()
        with pytest.raises(EnvelopeLostError, match="was not replaced"):
            await moved(site, one)
        assert site.opens(one)
