"""Our own descriptions on one leg: the same one until something in it changes.

RFC 3264 section 8: the version in `o=` goes up with each change, and only then.
"""

from typing import Self

from agent.signalling.negotiation_state import DescriptionState
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sdp import (
    Attributes,
    Connection,
    Media,
    Origin,
    SdpError,
    SessionDescription,
    parse_sdp,
)


class OwnDescription:
    """Writes what we say of ourselves; remembers what was said last."""

    def __init__(self, *, session_id: int, host: str = "", username: str = "-") -> None:
        """`host` is where media arrive; to be set before `write` if not known yet."""
        self.host = host
        self._session_id = session_id
        self._username = username
        self._version = 0
        self._sent = b""

    @property
    def state(self) -> DescriptionState:
        """All of it, for `restore` in another process."""
        return DescriptionState(
            host=self.host,
            session_id=self._session_id,
            username=self._username,
            version=self._version,
            sent=self._sent,
        )

    @classmethod
    def restore(cls, state: DescriptionState) -> Self:
        """One that goes on where another one stood."""
        found = cls(
            host=state.host, session_id=state.session_id, username=state.username
        )
        found._version, found._sent = state.version, state.sent
        return found

    @property
    def described(self) -> bool:
        """Whether there has been a description of ours."""
        return self._version > 0

    def write(self, media: tuple[Media, ...], attributes: Attributes = ()) -> bytes:
        """The description of `media`, under a new version unless it was sent last."""
        if not self._sent or self._serialise(media, attributes) != self._sent:
            self._version += 1
            self._sent = self._serialise(media, attributes)
        return self._sent

    def forget(self) -> None:
        """The peer has refused the last one, and need not have kept it.

        The same one under the same version could be taken for the one it has.
        """
        self._sent = b""

    def connection_to(self, host: str) -> Connection | None:
        """What an m-line says whose media arrive at `host`; None if that is said."""
        return None if host == self.host else connection_of(host)

    def _serialise(self, media: tuple[Media, ...], attributes: Attributes) -> bytes:
        connection = connection_of(self.host)
        return SessionDescription(
            origin=Origin(
                self._username,
                str(self._session_id),
                str(self._version),
                connection.address_type,
                self.host,
            ),
            connection=connection,
            attributes=attributes,
            media=media,
        ).to_bytes()


def connection_of(host: str) -> Connection:
    """The `c=` of an address literal."""
    return Connection("IP6" if ":" in host else "IP4", host)


def parsed(body: bytes | SessionDescription) -> SessionDescription:
    """The peer's description. Raises NotAcceptableError if it is none."""
    if isinstance(body, SessionDescription):
        return body
    try:
        return parse_sdp(body)
    except SdpError as error:
        raise NotAcceptableError(str(error)) from error
