"""What is asked when somebody scrapes: each of these answers at once, from memory."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from agent.call.joint import CallStats
from agent.common.histogram import Histogram
from agent.events.publisher import PublisherStats
from agent.media.figures import Figures
from agent.recording.ledger import LedgerStats
from agent.recording.tally import Tally
from agent.service.host_status import HostStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The parts of a running agent, as metrics see them."""

    host: str
    version: str
    status: Callable[[], HostStatus]
    "Raises OSError if the spool cannot be read."
    active_calls: Callable[[], int]
    strangers: Callable[[], int]
    "Requests from addresses that are no configured peer, since the start."
    sessions_active: Callable[[], int]
    "Those of the active calls beside which we record."
    metadata_unread: Callable[[], Mapping[str, int]]
    "By peer, documents that were kept unread since the start."
    ledger: LedgerStats
    today: Callable[[], Tally | None]
    "Of the calls that began today; None while the ledger cannot be read."
    calls: CallStats
    figures: Figures
    journal_lag: Callable[[], float]
    "Seconds: how old the oldest block is that is written and not durable."
    key_problems: Callable[[], int]
    "Since the start."
    loop_lag: Histogram
    "Seconds by which the event loop was late."
    events: PublisherStats | None = None
    "Of what was told to the broker; None without one."
    raising: tuple[str, ...] = ()
    "Events that raise an alarm: the catalogue's."
    alarms: Callable[[], Iterable[str]] = tuple
    "Those of them that are on, as often as they are."
    dropped: Callable[[], int] = int
    "Log lines held back since the start."
    expiries: Callable[[], Mapping[str, float]] = field(default=dict)
    "By what a certificate is for: when it expires, in Unix seconds; 0: unreadable."
