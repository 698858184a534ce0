"""Who knows whom by which password: the secrets that `[[peers]]` name, read."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from agent.call.config import PeerConfig
from agent.common.errors import AgentError
from agent.signalling.phones import parse_phones, users_of
from agent.signalling.registrar import Account
from agent.signalling.secrets import Secrets
from agent.signalling.sip.authentication import Users
from agent.signalling.sip.authorization import ClientCredentials
from agent.signalling.sip.uri import Uri, parse_uri
from agent.signalling.siprec.recognition import SERVER


@dataclass(frozen=True, slots=True)
class Credentials:
    """All of them, by the names of the peers."""

    ours: dict[str, ClientCredentials] = field(default_factory=dict)
    "What peers know us by."
    users: dict[str, Users] = field(default_factory=dict)
    "Who must prove to be a user of a peer."
    accounts: tuple[Account, ...] = ()
    "Where we are to register."


def read_credentials(
    peers: Sequence[PeerConfig],
    secrets: Secrets,
    mistakes: list[str],
    *,
    recorded: Collection[str] = (),
) -> Credentials:
    """Read what the peers' keys name; what cannot be used is added to `mistakes`.

    Peers of the names `recorded` have us record beside their calls: their registrars
    are told that we do (RFC 7866 section 6.2).
    """
    ours: dict[str, ClientCredentials] = {}
    users: dict[str, Users] = {}
    accounts: list[Account] = []
    for index, peer in enumerate(peers):
        here = f"peers[{index}]"
        if peer.password_file:
            try:
                password = secrets.password(peer.password_file)
                ours[peer.name] = ClientCredentials(peer.username, password, peer.realm)
            except AgentError as error:
                mistakes.append(f"{here}.password_file: {error}")
        if peer.phones_file:
            try:
                users[peer.name] = users_of(
                    parse_phones(secrets.read(peer.phones_file))
                )
            except AgentError as error:
                mistakes.append(f"{here}.phones_file: {error}")
        if peer.register:
            try:
                features = (SERVER,) if peer.name in recorded else ()
                accounts.append(_account(peer, features))
            except AgentError as error:
                mistakes.append(f"{here}.register: {error}")
    return Credentials(ours, users, tuple(accounts))


def _account(peer: PeerConfig, features: tuple[str, ...]) -> Account:
    """Raises SipParseError for a broken URI."""
    registrar = parse_uri(peer.uri)
    if peer.aor:
        aor = parse_uri(peer.aor)
    else:
        aor = Uri(registrar.scheme, peer.username, registrar.host)
    return Account(peer.name, registrar, aor, peer.register_expires, features)
