import uuid

from agent.common.ids import new_id


def test_an_id_is_random_and_says_no_time() -> None:
    first, second = new_id(), new_id()
    assert first != second
    assert uuid.UUID(first).version == 4
    assert str(uuid.UUID(first)) == first
