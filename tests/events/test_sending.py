import random

import pytest

from agent.events import sending as module
from agent.events.sending import READ_AHEAD, WINDOW, Sending
from agent.model.events import OutboxRow


def rows(*lines: str, start: int = 1) -> list[OutboxRow]:
    return [OutboxRow(start + n, line, b"") for n, line in enumerate(lines)]


def under_way(sending: Sending) -> list[int]:
    found = []
    while (row := sending.next()) is not None:
        found.append(row.position)
    return found


def test_of_a_line_one_event_is_under_way() -> None:
    sending = Sending()
    sending.add(rows("a", "a", "b", "a"))
    assert sending.cursor == 4
    assert under_way(sending) == [1, 3]
    sending.accepted(3)
    assert under_way(sending) == []
    sending.accepted(1)
    assert under_way(sending) == [2]
    assert not sending.idle
    sending.accepted(2)
    assert under_way(sending) == [4]
    sending.accepted(4)
    assert sending.idle
    assert sending.to_forget == 4
    assert sending.take_accepted() == [3, 1, 2, 4]
    assert sending.take_accepted() == []


def test_a_line_that_was_finished_begins_again() -> None:
    sending = Sending()
    sending.add(rows("a"))
    [position] = under_way(sending)
    sending.accepted(position)
    sending.add(rows("a", start=2))
    assert under_way(sending) == [2]


def test_what_is_refused_holds_up_its_own_line_only() -> None:
    sending = Sending()
    sending.add(rows("a", "b", "a", "b"))
    assert under_way(sending) == [1, 2]
    sending.refuse(1)
    sending.accepted(2)
    sending.add(rows("a", "c", start=5))
    assert under_way(sending) == [4, 6]
    assert sending.refused == {"a"}
    sending.accepted(4)
    sending.accepted(6)
    assert sending.idle
    # The outbox still has 1, 3 and 5: another round begins with them.
    assert sorted(sending.take_accepted()) == [2, 4, 6]


def test_the_window_is_kept() -> None:
    sending = Sending()
    sending.add(rows(*(f"line-{n}" for n in range(WINDOW + 3))))
    assert len(under_way(sending)) == WINDOW
    sending.accepted(1)
    assert len(under_way(sending)) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REFUSED", 2)
    sending = Sending()
    assert sending.room == READ_AHEAD
    sending.add(rows("a", "b", "c"))
    assert sending.room == READ_AHEAD - 3
    under_way(sending)
    sending.refuse(1)
    assert sending.room == READ_AHEAD - 2
    sending.refuse(2)
    assert sending.room == 0


def test_what_could_not_be_forgotten_is_told_again() -> None:
    sending = Sending(accepted=[7])
    assert sending.take_accepted() == [7]
    sending.not_forgotten([7])
    assert sending.take_accepted() == [7]


@pytest.mark.parametrize("seed", range(20))
def test_order_holds_and_nothing_is_lost(seed: int) -> None:
    """Whatever is refused, and whenever the connection breaks."""
    rng = random.Random(seed)
    stored = rows(*(rng.choice("abcd") for _ in range(60)))
    delivered: list[OutboxRow] = []
    left = {row.position: row for row in stored}
    sending = Sending()
    flying: list[OutboxRow] = []
    for _ in range(5000):
        if not left and sending.idle:
            break
        for position in sending.take_accepted():
            left.pop(position, None)
        waiting = sorted(p for p in left if p > sending.cursor)
        sending.add(left[p] for p in waiting[: rng.randrange(4)])
        while (row := sending.next()) is not None:
            flying.append(row)
        if flying:
            row = flying.pop(rng.randrange(len(flying)))
            fate = rng.random()
            if fate < 0.1:
                sending.refuse(row.position)
            else:
                delivered.append(row)
                if fate < 0.2:  # the broker has it, and its word is lost
                    sending = Sending(sending.take_accepted())
                    flying.clear()
                else:
                    sending.accepted(row.position)
        elif sending.refused and sending.idle:
            sending = Sending(sending.take_accepted())
    assert not left
    firsts = list(dict.fromkeys(delivered))
    assert sorted(firsts) == stored
    for line in "abcd":
        positions = [row.position for row in firsts if row.line == line]
        assert positions == sorted(positions)
