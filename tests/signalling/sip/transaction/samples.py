"""Messages and clockwork for the tests of the transactions."""

from typing import Any

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.transaction.layer import Event, TransactionLayer
from agent.signalling.sip.transaction.machine import Machine, MachineEvent
from agent.signalling.sip.uri import parse_uri

ALICE = Address("192.0.2.1", 5060)
BOB = Address("192.0.2.2", 5060)
FLOW = Flow("udp", ALICE, BOB)
"Alice's flow to Bob."

AnyMachine = Machine[Any, Any, Any]


def make_request(
    method: str = "INVITE",
    *,
    via: str | None = None,
    cseq: int = 1,
    to_tag: str | None = None,
    call_id: str = "call-1",
) -> Request:
    """From Alice to Bob; `via` as the value of the header, none for our own."""
    to = "<sip:bob@192.0.2.2>"
    headers = Headers(
        [
            ("From", "<sip:alice@192.0.2.1>;tag=alice"),
            ("To", f"{to};tag={to_tag}" if to_tag else to),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Max-Forwards", "70"),
        ]
    )
    if via is not None:
        headers.prepend("Via", via)
    return Request(method, parse_uri("sip:bob@192.0.2.2"), headers)


def make_response(
    request: Request, status: int, *, to_tag: str | None = "bob"
) -> Response:
    return response_to(request, status, to_tag=to_tag)


def run(machine: AnyMachine, until: float) -> None:
    """Fire each timer at its time."""
    while (at := machine.get_timer()) is not None and at <= until:
        machine.handle_timer(at)


def transmissions(machine: AnyMachine, until: float, start: float = 0.0) -> list[float]:
    """When the machine sends; what it has to send already counts as `start`."""
    times = [start for _ in machine.data_to_send()]
    while (at := machine.get_timer()) is not None and at <= until:
        machine.handle_timer(at)
        times += [at for _ in machine.data_to_send()]
    return times


def events(machine: AnyMachine) -> list[MachineEvent]:
    found = []
    while (event := machine.next_event()) is not None:
        found.append(event)
    return found


def sent(layer: TransactionLayer) -> list[Request | Response]:
    return [parse_message(data) for data, _ in layer.data_to_send()]


def statuses(layer: TransactionLayer) -> list[int]:
    return [m.status for m in sent(layer) if isinstance(m, Response)]


def methods(layer: TransactionLayer) -> list[str]:
    return [m.method for m in sent(layer) if isinstance(m, Request)]


def layer_events(layer: TransactionLayer) -> list[Event]:
    found = []
    while (event := layer.next_event()) is not None:
        found.append(event)
    return found
