import os
import uuid

from agent.common.ids import POOL, SecureRandom, id_of, new_id


def test_an_id_is_random_and_says_no_time() -> None:
    first, second = new_id(), new_id()
    assert first != second
    assert uuid.UUID(first).version == 4
    assert str(uuid.UUID(first)) == first


def test_numbers_have_the_bits_asked_for_and_never_come_twice() -> None:
    rng = SecureRandom()
    drawn = [rng.getrandbits(61) for _ in range(POOL)]
    assert len(set(drawn)) == POOL
    assert 2**60 <= max(drawn) < 2**61
    assert rng.getrandbits(0) == 0
    assert rng.getrandbits(8 * POOL + 8) > 2**POOL
    assert {rng.randrange(1, 4) for _ in range(200)} == {1, 2, 3}


def test_a_child_draws_numbers_of_its_own() -> None:
    rng = SecureRandom()
    rng.getrandbits(64)
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writing, rng.getrandbits(64).to_bytes(8, "big"))
        os._exit(0)
    os.waitpid(pid, 0)
    child = int.from_bytes(os.read(reading, 8), "big")
    os.close(reading)
    os.close(writing)
    assert child != rng.getrandbits(64)


def test_names_have_an_id() -> None:
    one = uuid.UUID(id_of("host-a", "day"))
    assert (one.version, one.variant) == (8, uuid.RFC_4122)
    assert str(one) == id_of("host-a", "day")
    assert id_of("host-b", "day") != id_of("host-a", "day")
    assert id_of("a", "bc") != id_of("ab", "c")
