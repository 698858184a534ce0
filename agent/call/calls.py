"""The calls there are, and to which of them each name belongs."""

from collections.abc import Iterator, Mapping

from agent.call.joint import RunningCall
from agent.signalling.sip.message import Request


class Calls(Mapping[str, RunningCall]):
    """Calls by their ids, the oldest first.

    Names are those of SIP sessions and of media legs, unique on this host.
    """

    def __init__(self) -> None:
        self._calls: dict[str, RunningCall] = {}
        self._by_name: dict[str, RunningCall] = {}
        self._call_ids: dict[str, str] = {}
        "Of the INVITEs we sent, by session."
        self.sent: dict[str, str] = {}
        "User part that each of those Call-IDs asked for: what comes back is a loop."
        self._emergencies: dict[str, set[str]] = {}
        "By emergency call, the Call-IDs of its legs."
        self._of_peer: dict[str, int] = {}

    def __getitem__(self, call_id: str) -> RunningCall:
        return self._calls[call_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def begin(
        self, call: RunningCall, session: str, invite: Request, *, emergency: bool
    ) -> None:
        """One that `invite` begins, whose session is `session`."""
        self.add(call, emergency=emergency)
        self._by_name[session] = call
        if emergency:
            self._emergencies[call.call_id].add(invite.call_id)

    def add(self, call: RunningCall, *, emergency: bool) -> None:
        """One whose names are yet to be registered."""
        self._calls[call.call_id] = call
        if emergency:
            self._emergencies[call.call_id] = set()
        self._of_peer[call.peer_name] = self.of_peer(call.peer_name) + 1

    def register(self, name: str, call: RunningCall, invite: Request | None) -> None:
        """One more name of a call; `invite` is what we sent, if it is a session's."""
        if call.call_id not in self._calls:
            return  # it ended while this was being made: nobody would forget the name
        self._by_name[name] = call
        if invite is not None:
            self._call_ids[name] = invite.call_id
            self.sent[invite.call_id] = invite.uri.user or ""
            if call.call_id in self._emergencies:
                self._emergencies[call.call_id].add(invite.call_id)

    def unregister(self, name: str) -> None:
        """A media leg of a call that goes on is no more."""
        self._by_name.pop(name, None)

    def of_name(self, name: str) -> RunningCall | None:
        """The call whose session or media leg this is."""
        return self._by_name.get(name)

    def of_peer(self, peer: str) -> int:
        """How many calls a peer began."""
        return self._of_peer.get(peer, 0)

    def in_emergency(self, sip_call_id: str) -> bool:
        """Whether a Call-ID is that of a leg of an emergency call."""
        return any(sip_call_id in legs for legs in self._emergencies.values())

    def forget(self, call: RunningCall) -> None:
        """It is over, and so are all its names."""
        if self._calls.pop(call.call_id, None) is None:
            return
        self._emergencies.pop(call.call_id, None)
        for name in call.names:
            self._by_name.pop(name, None)
            if (call_id := self._call_ids.pop(name, None)) is not None:
                self.sent.pop(call_id, None)
        self._of_peer[call.peer_name] -= 1
