"""Which new requests get a transaction, of whoever sends them."""

from collections.abc import Callable
from typing import Final

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import LimitsOf, PeerLimits
from agent.signalling.sip.message import Request, Response, outweighs
from agent.signalling.sip.transaction.events import TransactionStats
from agent.signalling.sip.transaction.table import TransactionTable

DROP: Final = -1
"What an admission answers to have a request ignored."


class Admission:
    """Judges new requests before they cost anything.

    `admit` is asked first: None lets one in, a status refuses it without a
    transaction, DROP ignores it. `limits_of` says how many transactions whoever is at
    the other end of a flow may begin; calls to a user that `is_emergency`, and requests
    of a Call-ID that is `in_emergency`, are never too many.
    """

    def __init__(
        self,
        table: TransactionTable,
        stats: TransactionStats,
        *,
        max_transactions: int,
        admit: Callable[[Request, Flow, float], int | None] | None,
        limits_of: LimitsOf,
        is_emergency: Callable[[str], bool],
        in_emergency: Callable[[str], bool],
    ) -> None:
        self._table = table
        self._stats = stats
        self._max_transactions = max_transactions
        self._admit = admit
        self._limits_of = limits_of
        self._is_emergency = is_emergency
        self._in_emergency = in_emergency

    def judge(self, request: Request, flow: Flow, now: float) -> PeerLimits | int:
        """Whose limits a request counts against; or what to answer instead."""
        refusal = None if self._admit is None else self._admit(request, flow, now)
        if refusal is not None:
            self._stats.refused += 1
            return refusal
        limits = self._limits_of(flow)
        if self._is_full(request, limits):
            self._stats.overload += 1
            return 503
        return limits

    def may_hear(self, refusal: Response, request: Request, flow: Flow) -> bool:
        """Whether whoever sent `request` is told: a forged source must gain nothing."""
        unproved = not flow.reliable and self._limits_of(flow).stranger
        if unproved and outweighs(refusal, request):
            self._stats.larger_answers += 1
            return False
        return True

    def _is_full(self, request: Request, limits: PeerLimits) -> bool:
        """Whether there is no room for one more transaction of that peer's.

        What belongs to a dialog may use a quarter more: overload must not keep calls
        from ending.
        """
        quarters = 5 if request.to.tag is not None else 4
        share = limits.transactions
        full = len(self._table) >= self._max_transactions * quarters // 4 or (
            bool(share) and self._table.per_peer[limits.name] >= share * quarters // 4
        )
        return full and not self._is_urgent(request)

    def _is_urgent(self, request: Request) -> bool:
        """Whether it begins an emergency call, or belongs to one."""
        begins = request.method == "INVITE"
        return (begins and self._is_emergency(request.uri.user or "")) or (
            self._in_emergency(request.call_id)
        )
