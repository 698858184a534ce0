"""A proxy for tests: RFC 3261 section 16, without state; it may fork and record."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.uri import NameAddr
from tests.signalling.sip.pair import WireEnd


@dataclass(eq=False)
class Proxy(WireEnd):
    """Stands at `address`; `routes` says where calls for whom go."""

    routes: dict[str, Sequence[Address]] = field(default_factory=dict)
    "By the user part of the Request-URI; more than one forks."
    redirects: dict[str, str] = field(default_factory=dict)
    "Users that are elsewhere: the Contact of a 302."

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        del flow, now
        message = parse_message(data)
        if isinstance(message, Response):
            self._back(message)
        elif (where := self.redirects.get(message.uri.user or "")) is not None:
            if message.method == "ACK":
                return
            response = response_to(
                message, 302, to_tag="proxy", headers=[("Contact", f"<{where}>")]
            )
            self._send(response, _address(message.top_via.host, message.top_via.port))
        else:
            self._forward(message)

    def _back(self, response: Response) -> None:
        response.headers.remove_first("Via")
        if response.headers.get("Via") is not None:
            via = response.top_via
            self._send(response, _address(via.host, via.port))

    def _forward(self, request: Request) -> None:
        ours = f"<sip:{self.address};lr>"
        routes = request.route
        if routes and str(routes[0]) == ours:
            request.headers.remove_first("Route")
            routes = routes[1:]
        if request.method == "INVITE":
            request.headers.prepend("Record-Route", ours)
        left = 70 if request.max_forwards is None else request.max_forwards
        request.headers.set("Max-Forwards", str(left - 1))
        for number, target in enumerate(self._targets(request, routes)):
            copy = request.copy()
            # The same for a CANCEL and the ACK of a failure, which must go along.
            branch = f"{request.top_via.branch}.{self.address.port}.{number}"
            via = f"SIP/2.0/UDP {self.address};branch={branch}"
            copy.headers.prepend("Via", via)
            self._send(copy, target)

    def _targets(
        self, request: Request, routes: Sequence[NameAddr]
    ) -> Sequence[Address]:
        if routes:
            return (_address(routes[0].uri.host, routes[0].uri.port),)
        in_dialog = request.to.tag is not None and request.method != "CANCEL"
        known = self.routes.get(request.uri.user or "")
        if known is not None and not (in_dialog and request.method != "ACK"):
            return known
        return (_address(request.uri.host, request.uri.port),)

    def _send(self, message: Request | Response, to: Address) -> None:
        self.outbox.append((message.to_bytes(), self.wire.flow(self.address, to)))


def _address(host: str, port: int | None) -> Address:
    return Address(host, port or 5060)
