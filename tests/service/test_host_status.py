from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.recording.room import SpoolRoom
from agent.service.host_status import host_status

NOW = 1_000_000_000_000


class Line:
    """What waits for one storage."""

    def __init__(self, name: str, waiting: int, *, away: bool) -> None:
        self.target = SimpleNamespace(name=name)
        self.away = away
        self._waiting = waiting

    def __len__(self) -> int:
        return self._waiting


def status(path: Path, *, finish: int | None, store: int | None) -> Any:
    sealing: Any = SimpleNamespace(
        waiting=int(finish is not None), full=False, waiting_since=lambda: finish
    )
    uploader: Any = SimpleNamespace(
        pending=int(store is not None),
        away=True,
        waiting_since=lambda _line=None: store,
        lines=(Line("north", 0, away=False), Line("south", 1, away=True)),
    )
    room = SpoolRoom(path, high_water=1.0, min_free=0)
    dispatch: Any = SimpleNamespace(coming_days=lambda: 9)
    return host_status(room, sealing, uploader, dispatch, lambda: NOW)


def test_how_long_the_first_has_waited(tmp_path: Path) -> None:
    told = status(tmp_path, finish=NOW - 7_500_000_000, store=NOW + 1)
    assert (told.to_finish, told.to_finish_for) == (1, 7.5)
    # The clock was stepped back: no negative time.
    assert (told.to_store, told.to_store_for) == (1, 0.0)
    assert told.storage_away
    assert told.day_keys_for == 9
    north, south = told.storages
    assert (north.name, north.to_store, north.away) == ("north", 0, False)
    assert (south.name, south.to_store, south.away) == ("south", 1, True)


def test_with_nothing_waiting(tmp_path: Path) -> None:
    told = status(tmp_path, finish=None, store=None)
    assert (told.to_finish_for, told.to_store_for) == (None, None)
    assert 0 < told.spool_used < 1
    assert told.spool_free_mb > 0
    assert not told.spool_alarm
