from agent.media.life import MISSED, Life


def test_a_worker_is_hung_after_turns_without_a_sign() -> None:
    life = Life(1)
    assert life.seen_ns == 1
    assert not any(life.turn() for _ in range(MISSED))
    life.sign(0.5, 7)
    assert (life.seen_ns, life.journal_lag) == (7, 0.5)
    # However late it came: our own turns count, and they begin anew.
    assert not any(life.turn() for _ in range(MISSED))
    assert life.turn()
