"""Our ACKs for 2xx, kept for when the 2xx comes again: RFC 3261 section 13.2.2.4."""

from collections.abc import Iterable
from typing import Final

from agent.signalling.sip.dialog import Dialog
from agent.signalling.sip.link import Link
from agent.signalling.sip.message import Request, Response

MAX_ACKS: Final = 32
"What they are for comes within 64*T1."
MAX_SAVED: Final = 4
"Of those, for another process; who has sent a fifth INVITE has had the first 2xx."


SentAck = tuple[str | None, int, Request, Dialog]
"The peer's tag, the number of the INVITE, what was sent, in which dialog."


class Acknowledgements:
    """Those of one session, by the peer's tag and the number of the INVITE."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sent: dict[tuple[str | None, int], tuple[Request, Dialog]] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, response: Response) -> bool:
        return _name(response) in self._sent

    def send(
        self, dialog: Dialog, number: int, now: float, *, body: bytes = b""
    ) -> None:
        """Send the ACK for the 2xx to the INVITE of that number."""
        ack = dialog.ack(number, body=body)
        self._send(ack, dialog, now)
        while len(self._sent) >= MAX_ACKS:
            del self._sent[next(iter(self._sent))]
        self._sent[dialog.remote_tag, number] = ack, dialog

    def save(self) -> tuple[SentAck, ...]:
        """What another process goes on with."""
        latest = list(self._sent.items())[-MAX_SAVED:]
        return tuple((*name, *ack) for name, ack in latest)

    def restore(self, saved: Iterable[SentAck]) -> None:
        """Go on with what `save` returned."""
        self._sent = {
            (tag, number): (ack, dialog) for tag, number, ack, dialog in saved
        }

    def repeat(self, response: Response, now: float) -> None:
        """A 2xx has come again: so does its ACK, if there was one."""
        ack = self._sent.get(_name(response))
        if ack is not None:
            self._send(*ack, now)

    def _send(self, ack: Request, dialog: Dialog, now: float) -> None:
        user = self._link.user
        user.send_ack(ack, user.way_in(dialog, self._link.flow, now), now)


def _name(response: Response) -> tuple[str | None, int]:
    return response.to.tag, response.cseq.number
