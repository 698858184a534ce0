import pytest

from agent.archive.record_state import RecordErasedError, hold
from agent.archive.states import States
from agent.retention.claims import HeldError, claim, claim_all
from agent.upload.backends.memory import MemoryBackend
from tests.retention.sites import DUE_NS, HELD

ONE = "00000000-0000-4000-8000-000000000001"
TWO = "00000000-0000-4000-8000-000000000002"


async def test_who_is_first_has_it() -> None:
    states = States(MemoryBackend())
    await states.change(ONE, lambda state: hold(state, "h", HELD))
    with pytest.raises(HeldError, match=r"may not be erased: hold\. Lift that"):
        await claim(states, ONE, DUE_NS)
    await claim(states, TWO, DUE_NS)
    with pytest.raises(RecordErasedError):
        await states.change(TWO, lambda state: hold(state, "h", HELD))


async def test_a_claim_is_there_for_good() -> None:
    states = States(MemoryBackend())
    await claim(states, ONE, DUE_NS)
    await claim(states, ONE, DUE_NS + 10**9)
    assert (await states.read(ONE)).erasing == "2027-11-23T22:00:00.000Z"


async def test_many_are_claimed_together() -> None:
    states = States(MemoryBackend())
    ids = [f"00000000-0000-4000-8000-{number:012x}" for number in range(50)]
    await states.change(ids[7], lambda state: hold(state, "h", HELD))
    claims = await claim_all(states, ids, DUE_NS)
    assert claims.kept == {ids[7]: ("hold",)}
    assert claims.taken == {*ids} - {ids[7]}
