"""What an operator should know of a session: what is doubtful of it, or withheld."""

from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from agent.call.siprec.commands import Withheld
from agent.call.siprec.knowledge import UNREAD, UNREADABLE
from agent.call.siprec.parties import BY_ORDER, Basis, Parties
from agent.call.siprec.stats import SessionStats
from agent.model.recording import NoticeStatement


class Doubts:
    """Those of one recording session; each is told once, and counted every time."""

    def __init__(
        self, log: FilteringBoundLogger, stats: SessionStats, *, peer: str
    ) -> None:
        self._log = log
        self._stats = stats
        self._peer = peer
        self._told: set[str] = set()

    def recorded(self, parties: Parties, notice: NoticeStatement) -> None:
        """A segment begins, for these and upon this evidence."""
        basis = Basis(parties.basis.removesuffix(BY_ORDER))
        self._stats.segments[basis] += 1
        if basis is Basis.UNDECIDED and self._is_news("parties"):
            self._log.warning("parties_undecided", peer=self._peer)
        if not notice.given:
            self._stats.notices_missing += 1
            if self._is_news("notice"):
                self._log.error("notice_missing", peer=self._peer, recorded=True)

    def withheld(self, reason: Withheld) -> None:
        """From now on nothing is recorded; a session may carry many calls."""
        self._stats.withheld[reason] += 1
        if reason is Withheld.NOTICE:
            self._stats.notices_missing += 1
            self._log.error("notice_missing", peer=self._peer)
        else:
            self._log.info("not_recorded", reason=reason)

    def flawed(self, flaws: Iterable[str]) -> None:
        """A document has these; a client may send thousands that have the same."""
        news = [flaw for flaw in flaws if self._is_news(f"flaw {flaw}")]
        if UNREAD in news:
            self._log.error("metadata_unread", peer=self._peer)
        elif news:
            # Some clients are never without; what cannot be read at all is rare.
            grave = UNREADABLE in news
            level = self._log.warning if grave else self._log.info
            level("metadata_flawed", flaws=news)

    def waits(self) -> None:
        """So many segments have begun and ended that none begins for now."""
        if self._is_news("segments"):
            self._log.error(
                "going_on_unrecorded", reason="the client ends too many segments"
            )

    def _is_news(self, what: str) -> bool:
        news = what not in self._told
        self._told.add(what)
        return news
