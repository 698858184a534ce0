"""A session's way to its peer: its dialog, its flow, and what it tells of itself."""

from dataclasses import dataclass

from agent.signalling.sip.authorization import credentials_of
from agent.signalling.sip.dialog import SDP, Dialog
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import Event, SessionId
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import Uri


@dataclass(slots=True, eq=False)
class Link:
    """What the parts of one session share, to send and to tell."""

    id: SessionId
    user: TransactionUser
    flow: Flow
    "That of the INVITE, or the connection that took its place."
    contact: Uri
    "Our own target."
    current: Dialog | None = None
    "The dialog that counts, early or confirmed."

    takes: frozenset[str] = frozenset()
    "Methods that the peer has said it takes."

    def follow(self, flow: Flow) -> None:
        """The peer has opened another connection: the old one may be gone.

        Behind a NAT there is no other way to it (RFC 5923). It must be who it was.
        """
        old = self.flow
        same = (old.transport, old.local, old.remote.host, old.certificate) == (
            *(flow.transport, flow.local, flow.remote.host),
            flow.certificate,
        )
        if old.inbound and flow.inbound and same:
            self.flow = flow

    def hear(self, message: Request | Response) -> None:
        """Note what a message of the peer says of it."""
        if values := message.headers.get_all("Allow"):
            methods = ",".join(values).split(",")
            self.takes = frozenset(method.strip(" \t").upper() for method in methods)

    @property
    def dialog(self) -> Dialog:
        """The dialog that counts; raises LocalSipError before there is one."""
        if self.current is None:
            raise LocalSipError("There is no dialog yet.")
        return self.current

    @property
    def target_lines(self) -> Lines:
        """What a response that refreshes our target says of us."""
        return self.dialog.contact_line, *self.user.abilities

    def emit(self, event: Event) -> None:
        """Tell the application."""
        self.user.emit(event)

    def send(
        self,
        method: str,
        now: float,
        *,
        headers: Lines = (),
        body: bytes = b"",
        content_type: str = SDP,
        dialog: Dialog | None = None,
        owned: bool = True,
    ) -> str:
        """Send the next request in `dialog`, by default the one that counts.

        Returns its transaction. `owned`: we want to hear what becomes of it. Raises
        LocalSipError, and sends nothing, for a header that would not stay one line.
        """
        dialog = dialog or self.dialog
        request = dialog.request(
            method, headers=headers, body=body, content_type=content_type
        )
        hop = self.user.way_in(dialog, self.flow, now)
        others = self.user.other_ways(dialog, self.flow, hop)
        owner = self.id if owned else None
        key = self.user.send_request(
            request, hop, now, owner=owner, alternatives=others
        )
        if method == "INVITE":
            dialog.credentials = credentials_of(request)
        return key

    def take(self, key: str) -> None:
        """The peer's request in the transaction `key` is ours to answer."""
        self.user.own(key, self.id)

    def respond(
        self,
        key: str,
        request: Request,
        status: int,
        now: float,
        *,
        headers: Lines = (),
        body: bytes = b"",
    ) -> Response:
        """Answer a request in a dialog; returns what was sent.

        A 500 says that trying again helps (RFC 3261 section 14.2). Raises
        LocalSipError, and sends nothing, for a broken header.
        """
        if status == 500:
            headers = (*headers, self.user.retry_after())
        return self.user.respond(key, request, status, now, headers=headers, body=body)
