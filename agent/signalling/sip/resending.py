"""Requests of ours sent again: with credentials, elsewhere, over UDP after all.

RFC 3261 section 22.2: a challenged request is the same but for its CSeq. RFC 3263
section 4.3: what the next server gets is the same but for its branch. Whoever sent it
first knows it by the key of its first transaction and need not notice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agent.signalling.sip.authorization import CHALLENGING, Authorizer, Realm
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.flow import Flow, Served
from agent.signalling.sip.headers import CSeq, parse_retry_after
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.outages import Outages
from agent.signalling.sip.transaction import layer as transaction

MAX_TRIES: Final = 5
"Of one request: two proxies and the peer, one of them with a stale nonce."
MAX_UDP: Final = 1300
"Octets of a request, RFC 3261 section 18.1.1; what the link takes is not known."
VIA_ROOM: Final = 120
"Octets of the Via that is still to be added, an IPv6 address in it."
PATIENCE: Final = 12
"""Times T1 until a request that has another server to go to is taken there.

Five sendings; one that nobody answers at all is not slow but lost.
"""


@dataclass(slots=True, eq=False)
class Sent:
    """A request of ours that may have to be sent again."""

    request: Request
    flow: Flow
    name: str
    "The key of the first transaction."
    owner: str
    "Whom it belongs to, if anybody."
    alternatives: list[Flow] = field(default_factory=list)
    "Where else it may go, the first to be tried first."
    tries: int = 1
    answered: set[Realm] = field(default_factory=set)


class Resending:
    """The way between the sender of a request and its latest transaction.

    Without an authorizer and alternatives it is in nobody's way.
    """

    def __init__(
        self, layer: transaction.TransactionLayer, authorizer: Authorizer | None
    ) -> None:
        self._layer = layer
        self._authorizer = authorizer
        self.outages = Outages()
        self.served = Served()
        "Large requests that would have gone by UDP leave by TCP, if it is among it."
        self._sent: dict[str, Sent] = {}
        "By the key of the transaction that has no final response yet."
        self._latest: dict[str, str] = {}
        "From a request's name to its latest transaction, where that is another one."

    def __len__(self) -> int:
        return len(self._sent)

    def send(
        self,
        request: Request,
        flow: Flow,
        now: float,
        alternatives: Sequence[Flow] = (),
        *,
        owner: str = "",
    ) -> str:
        """Send a request with the credentials it will need; returns its name.

        Raises LocalSipError, and sends nothing.
        """
        knows = self._authorizer is not None and self._authorizer.knows(flow)
        if self._authorizer is not None and knows:
            self._authorizer.apply(request, flow)
        flows = [*self._by_tcp(request, flow, now), flow, *alternatives]
        if len(flows) == 1 and not knows:
            return self._layer.send_request(request, flow, now, owner=owner)
        sent = Sent(request, flows[0], "", owner, flows[1:])
        sent.name = self._send(sent, now)
        return sent.name

    def _by_tcp(self, request: Request, flow: Flow, now: float) -> list[Flow]:
        """The way a request takes that is too large for UDP (section 18.1.1)."""
        if flow.reliable:
            return []
        local = self.served.towards("tcp", flow.remote)
        if local is None or request.size <= MAX_UDP - VIA_ROOM:
            return []
        found = Flow("tcp", local, flow.remote)
        return [] if self.outages.is_out(found, now) else [found]

    def save(self, keys: Iterable[str]) -> dict[str, Sent]:
        """What another process goes on with, of the transactions `keys`."""
        return {key: self._sent[key] for key in keys if key in self._sent}

    def restore(self, saved: Mapping[str, Sent]) -> None:
        """Go on with what `save` returned."""
        self._sent.update(saved)
        for key, sent in saved.items():
            if sent.name != key:
                self._latest[sent.name] = key

    def latest(self, name: str) -> str:
        """The transaction in which the request called `name` was sent last."""
        return self._latest.get(name, name)

    def name_of(self, key: str) -> str:
        """The name of the request that was sent in the transaction `key`."""
        sent = self._sent.get(key)
        return key if sent is None else sent.name

    def named(
        self, event: transaction.ResponseReceived | transaction.TransactionFailed
    ) -> transaction.Event:
        """The event as the sender of the request knows it.

        One that ends the transaction ends what is remembered here too.
        """
        final = (
            isinstance(event, transaction.TransactionFailed)
            or event.response.status >= 200
        )
        sent = self._sent.get(event.key)
        if sent is None:
            return event
        if final:
            self._settle(event, sent)
        return (
            event
            if sent.name == event.key
            else msgspec.structs.replace(event, key=sent.name)
        )

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

    def next_flow(
        self, event: transaction.Event, now: float
    ) -> tuple[str, Flow] | None:
        """A transaction that the event ends, and where to send its request now.

        None: it is as it is.

        RFC 3263 section 4.3: a failure of the transport, no answer, and a 503 are
        reasons to try the next server. Only the first is one to try the same server
        by another transport: else it has the request already. A 503 that says for how
        long keeps other requests away too (RFC 3261 section 21.5.4).
        """
        if isinstance(event, transaction.TransactionFailed):
            failed, unsent = True, event.reason is transaction.FailureReason.TRANSPORT
        elif isinstance(event, transaction.ResponseReceived) and (
            event.response.status == 503
        ):
            failed = unsent = False
        else:
            return None
        sent = self._sent.get(event.key)
        if isinstance(event, transaction.ResponseReceived):
            flow = event.flow if sent is None else sent.flow
            self._leave_alone(flow, event.response, now)
        if sent is None:
            return None
        if failed:
            self.outages.failed(sent.flow, now)
        for flow in sent.alternatives:
            if unsent or flow.server != sent.flow.server:
                return event.key, flow
        return None

    def _leave_alone(self, flow: Flow, response: Response, now: float) -> None:
        """Take note of the Retry-After of a 503."""
        wait = response.headers.get("Retry-After")
        if wait is None:
            return
        try:
            seconds = parse_retry_after(wait)
        except SipParseError:
            return  # it says nothing that could be read: as good as none
        self.outages.failed(flow, now, float(seconds))

    def move(self, key: str, flow: Flow, now: float) -> None:
        """Send the request in the transaction `key` to `next_flow`."""
        sent = self._sent.pop(key)
        at = sent.alternatives.index(flow)
        sent.flow, sent.alternatives = flow, sent.alternatives[at + 1 :]
        self._send(sent, now)

    def send_again(self, key: str, request: Request, now: float) -> None:
        """Send what `to_send_again` made of the request in the transaction `key`."""
        sent = self._sent.pop(key)
        sent.request = request
        sent.tries += 1
        self._send(sent, now)

    def _send(self, sent: Sent, now: float) -> str:
        elsewhere = any(f.server != sent.flow.server for f in sent.alternatives)
        key = self._layer.send_request(
            sent.request,
            sent.flow,
            now,
            patience=PATIENCE if elsewhere else None,
            owner=sent.owner,
        )
        self._sent[key] = sent
        if sent.name:
            self._latest[sent.name] = key
        return key

    def _settle(
        self,
        event: transaction.ResponseReceived | transaction.TransactionFailed,
        sent: Sent,
    ) -> None:
        del self._sent[event.key]
        self._latest.pop(sent.name, None)
        if (
            isinstance(event, transaction.ResponseReceived)
            and event.response.status < 300
            and self._authorizer is not None
        ):
            self._authorizer.learn_next_nonce(event.response, sent.flow)
