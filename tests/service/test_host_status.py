from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.call.config import PeerConfig
from agent.media.crew import WorkerPlace
from agent.recording.room import SpoolRoom
from agent.service.host_status import (
    PeerStatus,
    WorkerStatus,
    host_status,
    peer_statuses,
)
from agent.signalling.probing import PeerState

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
    places = WorkerPlace(up=True, lost=0), WorkerPlace(up=False, lost=2)
    media: Any = SimpleNamespace(workers=places)
    peers = (PeerStatus(name="trunk", up=True),)
    return host_status(
        room=room,
        sealing=sealing,
        uploader=uploader,
        dispatch=dispatch,
        media=media,
        peers=lambda: peers,
        broker_away=lambda: True,
        utc_ns=lambda: NOW,
    )


def test_how_long_the_first_has_waited(tmp_path: Path) -> None:
    told = status(tmp_path, finish=NOW - 7_500_000_000, store=NOW + 1)
    assert (told.to_finish, told.to_finish_for) == (1, 7.5)
    # The clock was stepped back: no negative time.
    assert (told.to_store, told.to_store_for) == (1, 0.0)
    assert told.storage_away
    assert told.day_keys_for == 9
    assert [peer.name for peer in told.peers] == ["trunk"]
    assert told.workers == (
        WorkerStatus(number=0, alive=True, restarts=0),
        WorkerStatus(number=1, alive=False, restarts=2),
    )
    assert told.broker_away
    north, south = told.storages
    assert (north.name, north.to_store, north.away) == ("north", 0, False)
    assert (south.name, south.to_store, south.away) == ("south", 1, True)


def test_with_nothing_waiting(tmp_path: Path) -> None:
    told = status(tmp_path, finish=None, store=None)
    assert (told.to_finish_for, told.to_store_for) == (None, None)
    assert 0 < told.spool_used < 1
    assert told.spool_free_mb > 0
    assert not told.spool_alarm


def test_what_is_known_of_each_peer() -> None:
    uri = "sip:127.0.0.1:5080"
    peers = [
        PeerConfig(name="up", match=("127.0.0.1",), uri=uri, probe=5.0),
        PeerConfig(name="down", match=("127.0.0.2",), uri=uri, probe=5.0),
        PeerConfig(name="new", match=("127.0.0.3",), uri=uri, probe=5.0),
        PeerConfig(name="unasked", match=("127.0.0.4",), uri=uri),
    ]
    states = {"up": PeerState.UP, "down": PeerState.DOWN}
    prober: Any = SimpleNamespace(
        state_of=lambda name: states.get(name, PeerState.UNKNOWN)
    )
    registrar: Any = SimpleNamespace(peer="unasked", registered=False)
    told = peer_statuses(peers, prober, [registrar])
    assert [(one.name, one.up, one.registered) for one in told] == [
        ("up", True, None),
        ("down", False, None),
        ("new", None, None),
        ("unasked", None, False),
    ]
