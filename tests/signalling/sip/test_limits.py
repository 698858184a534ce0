from agent.signalling.sip.limits import STRANGER, UNLIMITED


def test_a_stranger_is_bounded_and_the_default_is_not() -> None:
    assert STRANGER.stranger
    assert STRANGER.messages > 0
    assert not UNLIMITED.stranger
    assert UNLIMITED.messages == UNLIMITED.transactions == UNLIMITED.connections == 0
