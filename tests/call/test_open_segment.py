from agent.call.open_segment import OpenSegment
from tests.call.test_sealing import segment


async def test_its_key_is_in_no_state_and_no_text() -> None:
    one: OpenSegment = segment(7)
    one.journal_key = b"secret" * 5
    assert "secret" not in repr(one)
    assert "secret" not in repr(one.state)
    assert one.state.end is one.end
    assert one.state.closed is True
