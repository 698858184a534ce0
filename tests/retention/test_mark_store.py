import pytest

from agent.archive.documents import PLAIN, SignedDocuments
from agent.retention.mark_store import MarkStore
from agent.retention.marks import Mark, MarkError
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import KEY, OTHER
from tests.retention.sites import DAY, DUE_NS
from tests.retention.test_marks import ONE, TWO

SIGNED = SignedDocuments(KEY, lambda: [KEY.public])
FORGED = SignedDocuments(OTHER, lambda: [OTHER.public])
EARLY = Mark.of(DAY, [ONE], DUE_NS, "early", reason="wrong", generation=1)
WHOLE = Mark.of(DAY, [ONE, TWO], DUE_NS, "P1Y")


async def test_what_the_gate_has_signed_counts() -> None:
    home = MemoryBackend()
    marks = MarkStore(home, SIGNED)
    assert await marks.add(EARLY) == EARLY
    assert await marks.add(WHOLE) == WHOLE
    assert await marks.read(EARLY.key) == EARLY
    assert await marks.names(early=True) == [EARLY.key]
    assert await marks.names(early=False) == [WHOLE.key]
    assert await marks.names_of(ONE) == [EARLY.key]
    assert await marks.names_of(TWO) == []
    later = Mark.of(DAY, [ONE], DUE_NS + 1, "early", reason="other", generation=2)
    assert await marks.add(later) == EARLY  # asked before
    done = EARLY.completed(DUE_NS)
    await marks.replace(done)
    assert await marks.read(EARLY.key) == done
    await marks.remove(done)
    assert await marks.names(early=True) == []


@pytest.mark.parametrize("documents", [PLAIN, FORGED])
async def test_what_another_has_put_there_counts_for_nothing(
    documents: SignedDocuments,
) -> None:
    home = MemoryBackend()
    await MarkStore(home, documents).add(EARLY)
    marks = MarkStore(home, SIGNED)
    with pytest.raises(MarkError, match="not signed by the gate"):
        await marks.read(EARLY.key)
    mine = Mark.of(DAY, [ONE], DUE_NS + 1_000_000, "early", generation=7)
    assert await marks.add(mine) == mine
    assert await marks.read(EARLY.key) == mine


async def test_one_in_anothers_place_is_none() -> None:
    home = MemoryBackend()
    marks = MarkStore(home, SIGNED)
    await marks.add(EARLY)
    other = Mark.of(DAY, [TWO], DUE_NS, "early")
    home.objects[other.key] = home.objects[EARLY.key]
    with pytest.raises(MarkError, match="another's place"):
        await marks.read(other.key)
