from agent.common.repeats import MAX_KEYS, MOST, WINDOW_NS, Repeated, Repeats

IDS = frozenset({"peer", "storage"})


def passed(repeats: Repeats, count: int, now: int = 0, **fields: object) -> int:
    return sum(repeats.passes("peer_down", "error", fields, now) for _ in range(count))


def test_what_is_normal_passes() -> None:
    repeats = Repeats(IDS)
    assert passed(repeats, MOST, peer="a") == MOST
    assert repeats.told(10 * WINDOW_NS) == []
    assert repeats.held_back == 0


def test_what_is_too_often_is_counted_and_told_once() -> None:
    repeats = Repeats(IDS)
    assert passed(repeats, MOST + 30, peer="a", reason="x") == MOST
    assert repeats.told(WINDOW_NS - 1) == []
    assert repeats.told(WINDOW_NS) == [
        Repeated("peer_down", "error", {"peer": "a"}, 30)
    ]
    assert repeats.told(2 * WINDOW_NS) == []
    assert repeats.held_back == 30


def test_the_next_window_begins_with_the_next_line() -> None:
    repeats = Repeats(IDS)
    passed(repeats, MOST + 1, peer="a")
    assert passed(repeats, MOST + 1, WINDOW_NS, peer="a") == MOST
    # The window before is told though nobody asked in between.
    assert [one.count for one in repeats.told(WINDOW_NS)] == [1]
    assert [one.count for one in repeats.told(2 * WINDOW_NS)] == [1]


def test_other_things_have_windows_of_their_own() -> None:
    repeats = Repeats(IDS)
    passed(repeats, MOST + 1, peer="a")
    assert passed(repeats, 1, peer="b") == 1
    assert passed(repeats, 1, storage="a") == 1
    assert repeats.passes("peer_up", "info", {"peer": "a"}, 0)
    # What is no id, or is not there, does not make it another.
    assert passed(repeats, 1, peer="a", reason="other") == 0


def test_one_address_is_one_thing_whatever_its_port() -> None:
    repeats = Repeats(IDS)
    for port in range(MOST):
        assert passed(repeats, 1, remote=f"[::1]:{port}") == 1
    assert passed(repeats, 1, remote="[::1]:9") == 0
    # Somebody else's refusals are not hidden behind those.
    assert passed(repeats, 1, remote="127.0.0.1:9") == 1


def test_a_window_that_was_crowded_is_not_told_of_when_it_begins_anew() -> None:
    repeats = Repeats(IDS)
    passed(repeats, MOST + 1, peer="a")
    repeats.told(WINDOW_NS)
    assert passed(repeats, 1, 2 * WINDOW_NS, peer="a") == 1
    assert repeats.told(9 * WINDOW_NS) == []


def test_the_table_is_bounded_and_forgets_no_count() -> None:
    repeats = Repeats(IDS)
    passed(repeats, MOST + 7, peer="first")
    for number in range(MAX_KEYS):
        assert passed(repeats, 1, peer=number) == 1
    assert len(repeats._windows) == MAX_KEYS
    assert repeats.told(0) == [Repeated("peer_down", "error", {"peer": "first"}, 7)]


def test_values_of_any_kind_tell_things_apart() -> None:
    repeats = Repeats(IDS)
    assert passed(repeats, MOST, peer=["a"]) == MOST
    assert passed(repeats, 1, peer=["a"]) == 0
    assert passed(repeats, 1, peer=["b"]) == 1
