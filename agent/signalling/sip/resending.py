"""Requests of ours that were challenged, sent again with credentials.

RFC 3261 section 22.2: the same request but for its CSeq. Whoever sent it first knows
it by the key of its first transaction and need not notice.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from agent.signalling.sip.authorization import CHALLENGING, Authorizer, Realm
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import CSeq
from agent.signalling.sip.message import Request
from agent.signalling.sip.transaction import layer as transaction

MAX_TRIES: Final = 5
"Of one request: two proxies and the peer, one of them with a stale nonce."


@dataclass(slots=True, eq=False)
class _Sent:
    request: Request
    flow: Flow
    name: str
    "The key of the first transaction."
    tries: int = 1
    answered: set[Realm] = field(default_factory=set)


class Resending:
    """The way between the sender of a request and its latest transaction.

    Without an authorizer it is in nobody's way.
    """

    def __init__(
        self, layer: transaction.TransactionLayer, authorizer: Authorizer | None
    ) -> None:
        self._layer = layer
        self._authorizer = authorizer
        self._sent: dict[str, _Sent] = {}
        "By the key of the transaction that has no final response yet."
        self._latest: dict[str, str] = {}
        "From a request's name to its latest transaction, where that is another one."

    def __len__(self) -> int:
        return len(self._sent)

    def send(self, request: Request, flow: Flow, now: float) -> str:
        """Send a request with the credentials it will need; returns its name.

        Raises LocalSipError, and sends nothing.
        """
        authorizer = self._authorizer
        if authorizer is None or not authorizer.knows(flow):
            return self._layer.send_request(request, flow, now)
        authorizer.apply(request, flow)
        key = self._layer.send_request(request, flow, now)
        self._sent[key] = _Sent(request, flow, key)
        return key

    def latest(self, name: str) -> str:
        """The transaction in which the request called `name` was sent last."""
        return self._latest.get(name, name)

    def name_of(self, key: str) -> str:
        """The name of the request that was sent in the transaction `key`."""
        sent = self._sent.get(key)
        return key if sent is None else sent.name

    def named(self, event: transaction.Event) -> transaction.Event:
        """The event as the sender of the request knows it.

        One that ends the transaction ends what is remembered here too.
        """
        match event:
            case transaction.ResponseReceived():
                final = event.response.status >= 200
            case transaction.TransactionFailed():
                final = True
            case _:
                return event
        sent = self._sent.get(event.key)
        if sent is None:
            return event
        if final:
            self._settle(event, sent)
        return event if sent.name == event.key else replace(event, key=sent.name)

    def to_send_again(self, event: transaction.Event) -> Request | None:
        """What to answer a challenge with, its CSeq one higher; None: nothing."""
        if not isinstance(event, transaction.ResponseReceived):
            return None
        response = event.response
        sent = self._sent.get(event.key)
        if response.status not in CHALLENGING or sent is None or not self._authorizer:
            return None
        answerable = self._authorizer.learn_challenges(
            response, sent.flow, sent.answered
        )
        if not answerable or sent.tries >= MAX_TRIES:
            return None
        request = sent.request.copy()
        cseq = CSeq(request.cseq.number + 1, request.method)
        request.headers.set("CSeq", str(cseq))
        self._authorizer.apply(request, sent.flow)
        return request

    def send_again(self, key: str, request: Request, now: float) -> None:
        """Send what `to_send_again` made of the request in the transaction `key`."""
        sent = self._sent.pop(key)
        latest = self._layer.send_request(request, sent.flow, now)
        sent.request = request
        sent.tries += 1
        self._sent[latest] = sent
        self._latest[sent.name] = latest

    def _settle(
        self,
        event: transaction.ResponseReceived | transaction.TransactionFailed,
        sent: _Sent,
    ) -> None:
        del self._sent[event.key]
        self._latest.pop(sent.name, None)
        if (
            isinstance(event, transaction.ResponseReceived)
            and event.response.status < 300
            and self._authorizer is not None
        ):
            self._authorizer.learn_next_nonce(event.response, sent.flow)
