"""An agent in figures: one that has everything that metrics tell of."""

from collections import Counter

from agent.call.joint import CallStats
from agent.call.siprec.commands import Withheld
from agent.call.siprec.parties import Basis
from agent.call.siprec.stats import SessionStats
from agent.common.histogram import Histogram
from agent.events.publisher import PublisherStats
from agent.media.figures import Figures
from agent.model.call import Outcome
from agent.recording.ledger import LedgerStats
from agent.recording.tally import Tally
from agent.service.host_status import (
    HostStatus,
    PeerStatus,
    StorageStatus,
    WorkerStatus,
)
from agent.service.metrics.loop_lag import BOUNDS
from agent.service.metrics.sources import Sources

STATUS = HostStatus(
    spool_used=0.25,
    spool_high_water=0.9,
    spool_free_mb=3,
    spool_alarm=False,
    to_finish=1,
    to_finish_for=2.5,
    finishing_alarm=False,
    to_store=4,
    to_store_for=None,
    storage_away=True,
    storages=(
        StorageStatus(name="north", to_store=4, to_store_for=9.0, away=True),
        StorageStatus(name="south", to_store=0, to_store_for=None, away=False),
    ),
    day_keys_for=30,
    peers=(
        PeerStatus(name="trunk", up=False, registered=True),
        PeerStatus(name="officers"),
    ),
    workers=(
        WorkerStatus(number=0, alive=True, restarts=0),
        WorkerStatus(number=1, alive=False, restarts=2),
    ),
    broker_away=False,
)
SESSIONS = SessionStats(
    segments=Counter({Basis.DIRECTORY: 8, Basis.UNDECIDED: 1}),
    withheld=Counter({Withheld.NOTICE: 2}),
    notices_missing=3,
)
TALLY = Tally(
    outcomes={"recorded": 3, "partial": 1},
    running=2,
    answered=4,
    exempt=0,
    captured=3,
    missing_ms=700,
    stored=3,
    waiting=1,
)


def running(tally: Tally | None = TALLY) -> Sources:
    return Sources(
        host="host-a",
        version="1.2.3",
        status=lambda: STATUS,
        active_calls=lambda: 2,
        strangers=lambda: 5,
        sessions_active=lambda: 1,
        metadata_unread=lambda: {"sbc": 7},
        ledger=LedgerStats(closed=Counter({Outcome.RECORDED: 3}), degraded=1),
        today=lambda: tally,
        calls=CallStats(notices_played=4, notices_failed=1, sessions=SESSIONS),
        figures=Figures(0),
        journal_lag=lambda: 0.5,
        key_problems=lambda: 1,
        loop_lag=Histogram(BOUNDS),
        events=PublisherStats(sent=40, dropped=1, waiting=3),
        raising=("peer_down", "storage_failed"),
        alarms=lambda: ["peer_down", "peer_down"],
        dropped=lambda: 6,
        expiries=lambda: {"tls": 1_800_000_000.0},
    )
