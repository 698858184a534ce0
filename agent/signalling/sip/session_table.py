"""The sessions of a user agent: by id, by dialog, and by what is due when."""

from agent.signalling.sip.events import SessionId
from agent.signalling.sip.message import Message, Request
from agent.signalling.sip.replaces import Replaces
from agent.signalling.sip.session import Session
from agent.signalling.sip.transaction.schedule import Schedule


class SessionTable:
    """Sessions, also those that linger to answer what is late."""

    def __init__(self) -> None:
        self._by_id: dict[SessionId, Session] = {}
        # All dialogs of a session share Call-ID and our tag.
        self._by_dialog: dict[tuple[str, str], Session] = {}
        self._open: set[SessionId] = set()
        self._schedule = Schedule()
        self._touched: set[SessionId] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def open(self) -> int:
        """How many are not over."""
        return len(self._open)

    def track(self, touched: set[SessionId]) -> None:
        """From now on note in `touched` which sessions change."""
        self._touched = touched

    def add(self, session: Session) -> None:
        """Take in a new session."""
        self._by_id[session.id] = session
        self._by_dialog[session.invite.call_id, session.local_tag] = session
        self._open.add(session.id)
        self._touch(session)

    def get(self, id_: SessionId | None) -> Session | None:
        """The session of that name, if it still stands here."""
        return None if id_ is None else self._by_id.get(id_)

    def of_dialog(self, call_id: str, local_tag: str | None) -> Session | None:
        """The session that has a dialog with that tag of ours."""
        return self._by_dialog.get((call_id, local_tag or ""))

    def of_message(self, message: Message) -> Session | None:
        """The session that a message from the peer says it belongs to."""
        local = message.to if isinstance(message, Request) else message.from_
        return self.of_dialog(message.call_id, local.tag)

    def named_by(self, replaces: Replaces) -> Session | None:
        """The session whose dialog a Replaces names (RFC 3891 section 3)."""
        found = self.of_dialog(replaces.call_id, replaces.to_tag)
        if found is None:
            return None
        known = found.dialog_with(replaces.from_tag) is not None or (
            replaces.from_tag == "0" and found.dialog_with(None) is not None
        )
        return found if known else None

    def settle(self, session: Session) -> None:
        """Note what a session has come to; whoever touched it calls this."""
        self._touch(session)
        if session.over:
            self._open.discard(session.id)
        if not session.finished:
            self._schedule.set(session.id, session.get_timer())
        elif session.id in self._by_id:
            self._schedule.set(session.id, None)
            del self._by_id[session.id]
            del self._by_dialog[session.invite.call_id, session.local_tag]

    def _touch(self, session: Session) -> None:
        if self._touched is not None:
            self._touched.add(session.id)

    def get_timer(self) -> float | None:
        """When the first session has something to do."""
        return self._schedule.first()

    def handle_timer(self, now: float) -> None:
        """Let the sessions do what is due."""
        while (due := self._schedule.pop_due(now)) is not None:
            session = self._by_id[due]
            session.handle_timer(now)
            self.settle(session)
