"""Our own credentials: challenges answered, nonces used on.

RFC 3261 sections 22.1 to 22.3, RFC 7616 section 3.4, RFC 8760 section 2.4.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from agent.signalling.sip.digest import (
    Authorization,
    Challenge,
    digest_response,
    hash_password,
    parse_authentication_info,
    parse_challenge,
    strongest,
)
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response

MAX_REALMS: Final = 4
"Of one peer, by either header: what is cached goes with every request to it."
MAX_CHALLENGES: Final = 16
"Of one response: three algorithms each, and who sends more means no good."

_CREDENTIALS: Final = {401: "Authorization", 407: "Proxy-Authorization"}
_CHALLENGES: Final = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
_INFOS: Final = {401: "Authentication-Info", 407: "Proxy-Authentication-Info"}
CHALLENGING: Final = frozenset(_CHALLENGES)

Realm = tuple[int, str]
"Who wants credentials: the status that asks for them, and the realm."


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What one peer knows us by."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    realm: str = ""
    "The only realm that is told; empty: whichever the peer names."


CredentialsFor = Callable[[Flow], ClientCredentials | None]


@dataclass(slots=True)
class AuthorizationStats:
    """Counters since the start."""

    challenged: int = 0
    "Responses 401 and 407 to requests of ours."
    answered: int = 0
    "Those that we had credentials for."
    refused: int = 0
    "Those that say our password is wrong."
    malformed: int = 0
    "Challenges that could not be read."


@dataclass(slots=True, eq=False)
class _Space:
    """One protection space: a realm that has challenged us, and its nonce."""

    challenge: Challenge
    ha1: str
    cnonce: str
    nc: int = 0


class Authorizer:
    """All realms that have challenged us, by the credentials they were told.

    `credentials_for` tells what, if anything, the peer behind a flow knows us by: a
    digest is never computed for any other, who could guess at the password with it.
    """

    def __init__(self, credentials_for: CredentialsFor, rng: random.Random) -> None:
        self.stats = AuthorizationStats()
        self._credentials_for = credentials_for
        self._rng = rng
        self._spaces: dict[ClientCredentials, dict[Realm, _Space]] = {}

    def knows(self, flow: Flow) -> bool:
        """Whether there are credentials for the peer behind `flow`."""
        return self._credentials_for(flow) is not None

    def apply(self, request: Request, flow: Flow) -> None:
        """Give `request` credentials for each realm that will want them, and no other.

        Sections 22.2 and 22.3: a client may, and saves a round trip.
        """
        credentials = self._credentials_for(flow)
        if credentials is None:
            return
        for name in _CREDENTIALS.values():
            request.headers.remove(name)
        for (status, _), space in self._spaces.get(credentials, {}).items():
            value = _authorize(space, credentials.username, request)
            request.headers.add(_CREDENTIALS[status], str(value))

    def learn_challenges(
        self, response: Response, flow: Flow, answered: set[Realm]
    ) -> bool:
        """Take the challenges of a 401 or 407; whether to try again.

        `answered` has the realms whose challenge the request did answer, and gets
        those that it will. One of them that challenges again has refused the
        password, unless it says that its nonce was stale.
        """
        self.stats.challenged += 1
        credentials = self._credentials_for(flow)
        if credentials is None:
            return False
        chosen = self._choose(response, credentials)
        spaces = self._spaces.setdefault(credentials, {})
        for realm, challenge in chosen.items():
            spaces.pop(realm, None)
            if realm in answered and not challenge.stale:
                self.stats.refused += 1
                return False
        for realm, challenge in chosen.items():
            _make_room(spaces, realm[0])
            spaces[realm] = self._space(challenge, credentials)
        answered.update(chosen)
        self.stats.answered += bool(chosen)
        return bool(chosen)

    def learn_next_nonce(self, response: Response, flow: Flow) -> None:
        """Take the nonce that an Authentication-Info offers (RFC 7616 section 3.5)."""
        credentials = self._credentials_for(flow)
        if credentials is None:
            return
        spaces = self._spaces.get(credentials, {})
        for status, name in _INFOS.items():
            text = response.headers.get(name)
            ours = [one for realm, one in spaces.items() if realm[0] == status]
            # The header names no realm.
            if text is None or len(ours) != 1:
                continue
            try:
                nonce = parse_authentication_info(text).nextnonce
            except SipParseError:
                self.stats.malformed += 1
                continue
            if nonce:
                ours[0].challenge = replace(ours[0].challenge, nonce=nonce)
                ours[0].nc = 0

    def _choose(
        self, response: Response, credentials: ClientCredentials
    ) -> dict[Realm, Challenge]:
        """Of each realm that may be told our credentials, the challenge to answer."""
        by_realm: dict[Realm, list[Challenge]] = {}
        status = response.status
        texts = response.headers.get_all(_CHALLENGES[status])
        for text in texts[:MAX_CHALLENGES]:
            try:
                challenge = parse_challenge(text)
            except SipParseError:
                self.stats.malformed += 1
                continue
            if challenge and credentials.realm in {"", challenge.realm}:
                by_realm.setdefault((status, challenge.realm), []).append(challenge)
        found = ((realm, strongest(each)) for realm, each in by_realm.items())
        return {realm: best for realm, best in found if best is not None}

    def _space(self, challenge: Challenge, credentials: ClientCredentials) -> _Space:
        ha1 = hash_password(
            challenge.algorithm,
            credentials.username,
            challenge.realm,
            credentials.password,
        )
        return _Space(challenge, ha1, f"{self._rng.getrandbits(64):016x}")


def credentials_of(request: Request) -> tuple[tuple[str, str], ...]:
    """The lines of `request` that its ACK must repeat (section 22.1)."""
    return tuple(
        (name, value)
        for name in _CREDENTIALS.values()
        for value in request.headers.get_all(name)
    )


def _make_room(spaces: dict[Realm, _Space], status: int) -> None:
    same = [realm for realm in spaces if realm[0] == status]
    if len(same) >= MAX_REALMS:
        del spaces[same[0]]


def _authorize(space: _Space, username: str, request: Request) -> Authorization:
    """The next use of a nonce."""
    challenge = space.challenge
    space.nc += 1
    counted = bool(challenge.qop)
    credentials = Authorization(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=str(request.uri),
        response="",
        algorithm=challenge.algorithm,
        named=challenge.named,
        opaque=challenge.opaque,
        qop="auth" if counted else None,
        cnonce=space.cnonce if counted else None,
        nc=space.nc if counted else None,
    )
    response = digest_response(space.ha1, credentials, request.method)
    return replace(credentials, response=response)
