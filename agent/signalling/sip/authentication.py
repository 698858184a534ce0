"""Other people's credentials: who a request is from, proven by a password.

RFC 3261 section 22.1 and 22.4, RFC 7616, RFC 8760. Nothing is kept for whoever has
not proven to know a password, but for counters of failures.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.signalling.sip.digest import (
    STRENGTH,
    Algorithm,
    Authorization,
    Challenge,
    digest_response,
    parse_authorization,
)
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.inspection import Refusal
from agent.signalling.sip.lockout import Lockout
from agent.signalling.sip.message import Request
from agent.signalling.sip.nonces import Nonces
from agent.signalling.sip.uri import parse_uri

MAX_CREDENTIALS: Final = 8
"Of one request; a client adds a set for each realm on the way."

_UNKNOWN: Final = {algorithm: "0" * algorithm.length for algorithm in Algorithm}
"What an unknown user's response is compared with, at the cost of a known one's."


@dataclass(frozen=True, slots=True)
class User:
    """One user of a realm."""

    name: str = field(repr=False)
    ha1: Mapping[Algorithm, str] = field(repr=False)
    "See `digest.hash_password`; as good as the password."
    numbers: tuple[str, ...] = field(default=(), repr=False)
    "The numbers it may call as."


class Users:
    """The users of one realm, and the algorithms all of them can be asked for."""

    def __init__(self, realm: str, users: Iterable[User]) -> None:
        """Raises ValueError if there is no algorithm that every user has."""
        self.realm = realm
        self._users = {user.name: user for user in users}
        self.algorithms = tuple(
            algorithm
            for algorithm in STRENGTH
            if all(algorithm in user.ha1 for user in self._users.values())
        )
        if not self.algorithms or not self._users:
            raise ValueError("no algorithm is there for every user")

    def __len__(self) -> int:
        return len(self._users)

    def __repr__(self) -> str:
        return f"Users({len(self)} of {self.realm})"

    def get(self, name: str) -> User | None:
        """The user of that name."""
        return self._users.get(name)


@dataclass(slots=True)
class AuthenticationStats:
    """Counters since the start."""

    accepted: int = 0
    "Requests of a proven user."
    challenged: int = 0
    "Requests without credentials for the realm."
    stale: int = 0
    "Requests with a nonce that is too old, or not what we gave to that address."
    replayed: int = 0
    "Requests with a count that was used before."
    malformed: int = 0
    "Requests whose credentials make no sense."
    failed: int = 0
    "Requests with a wrong user or password."
    locked: int = 0
    "Requests of a source or a user that is locked out."


class Authenticator:
    """Judges credentials, of whatever realm; one for the whole host.

    `users` locks out a name, `sources` an address. A user's lock does not bind the
    source it was last proven from: else anybody could lock out an officer.
    """

    def __init__(self, *, nonces: Nonces, users: Lockout, sources: Lockout) -> None:
        self.stats = AuthenticationStats()
        self._nonces = nonces
        self._user_lock = users
        self._source_lock = sources
        self._proven_from: dict[str, str] = {}
        "By realm and user, and so no more than there are users."

    @property
    def lockouts(self) -> int:
        """Times that a user or a source was locked out."""
        return self._user_lock.locked + self._source_lock.locked

    def judge(
        self, request: Request, users: Users, source: str, now: float
    ) -> User | Refusal:
        """Who sent `request`, from the address `source`; or how to refuse it.

        Raises nothing, whatever the request.
        """
        if self._source_lock.is_locked(source, now):
            self.stats.locked += 1
            return Refusal(403)
        try:
            credentials = credentials_in(request, users)
        except SipParseError:
            self.stats.malformed += 1
            return Refusal(400)
        if credentials is None:
            self.stats.challenged += 1
            return self._challenge(users, source, now)
        if not self._nonces.is_fresh(credentials.nonce, source, now):
            # Its digest is not looked at: with a nonce of one's own choice one could
            # guess at passwords and never be counted; with one that was given to
            # another address, fail in the name of somebody else's and lock it out.
            self.stats.stale += 1
            return self._challenge(users, source, now, stale=True)
        user = self._prove(credentials, request.method, users, source, now)
        if user is None:
            return self._challenge(users, source, now)
        if not self._nonces.use(credentials.nonce, credentials.nc or 0, now):
            self.stats.replayed += 1
            return self._challenge(users, source, now, stale=True)
        self.stats.accepted += 1
        return user

    def _prove(
        self,
        credentials: Authorization,
        method: str,
        users: Users,
        source: str,
        now: float,
    ) -> User | None:
        """The user that knows the password; who does not is counted.

        Unknown and locked users cost what others do, and look the same.
        """
        user = users.get(credentials.username)
        ha1 = _UNKNOWN if user is None else user.ha1
        expected = digest_response(ha1[credentials.algorithm], credentials, method)
        right = hmac.compare_digest(
            expected.encode(), credentials.response.lower().encode()
        )
        name = f"{users.realm}\0{credentials.username}"
        elsewhere = self._proven_from.get(name) != source
        if user is not None and elsewhere and self._user_lock.is_locked(name, now):
            self.stats.locked += 1
            return None
        if user is not None and right:
            self._user_lock.succeeded(name)
            self._source_lock.succeeded(source)
            self._proven_from[name] = source
            return user
        self.stats.failed += 1
        self._source_lock.failed(source, now)
        if user is not None:
            self._user_lock.failed(name, now)
        return None

    def _challenge(
        self, users: Users, source: str, now: float, *, stale: bool = False
    ) -> Refusal:
        """A 401 with a challenge for each algorithm, the strongest on top.

        RFC 8760 section 2.3.
        """
        nonce = self._nonces.issue(source, now)
        lines = (
            Challenge(users.realm, nonce, algorithm, qop=("auth",), stale=stale)
            for algorithm in users.algorithms
        )
        return Refusal(401, tuple(("WWW-Authenticate", str(line)) for line in lines))


def credentials_in(request: Request, users: Users) -> Authorization | None:
    """Those that `users` are asked for, unproven.

    Raises SipParseError if they make no sense.
    """
    for text in request.headers.get_all("Authorization")[:MAX_CREDENTIALS]:
        found = parse_authorization(text)
        if (
            found is None
            or found.realm != users.realm
            or found.algorithm not in users.algorithms
        ):
            continue
        if found.qop != "auth":
            # Section 3.4: no other was offered; and without it nothing keeps the
            # response from being used again.
            raise SipParseError("The qop of the credentials was not offered.")
        # What is hashed must be what is asked for (RFC 3261 section 22.4). Proxies
        # change the host on the way, and some clients hash no user at all.
        if parse_uri(found.uri).user not in {None, request.uri.user}:
            raise SipParseError("The credentials are for another Request-URI.")
        return found
    return None
