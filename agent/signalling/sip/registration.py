"""One registration of ours with a registrar: RFC 3261 section 10.2.

The caller sends `next_request` when `get_timer` says and feeds the answer to
`answered`. Challenges are answered on the way.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.headers import parse_delta_seconds
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.uri import NameAddr, Uri

MAX_EXPIRES: Final = 86_400
"Seconds: a day, whatever Min-Expires a registrar demands."
MIN_INTERVAL: Final = 5.0
"Seconds between two requests at least, however short a time is granted."
SPARE: Final = 60.0
"Seconds before its end at which a long registration is renewed: 64*T1, and more."
BASE_WAIT: Final = 30.0
MAX_WAIT: Final = 1800.0
"Seconds, RFC 5626 section 4.5."


class Result(StrEnum):
    """What an answer means."""

    REGISTERED = "registered"
    AGAIN = "again"
    "The registrar wants a longer interval, and gets it at once."
    FAILED = "failed"


@dataclass(slots=True)
class RegistrationStats:
    """Counters since the start."""

    registered: int = 0
    "Requests that the registrar took, renewals among them."
    failed: int = 0
    "Requests that it refused or did not answer."


class Registration:
    """One address of record, bound to a contact of ours."""

    def __init__(
        self,
        *,
        registrar: Uri,
        aor: Uri,
        expires: int,
        features: tuple[str, ...] = (),
        call_id: str,
        tag: str,
        rng: random.Random,
    ) -> None:
        """`expires` is what is asked for, in seconds; our Contact has `features`."""
        self.stats = RegistrationStats()
        self._registrar = registrar.with_(user=None, password=None, headers=())
        self._aor = NameAddr(None, aor)
        self._tag = tag
        self._contact = aor
        "The one told last."
        self._expires = expires
        self._features = "".join(f";{feature}" for feature in features)
        self._call_id = call_id
        self._rng = rng
        self._cseq = 0
        self._due = 0.0
        self._until = 0.0
        "When the registrar forgets us."
        self._raised = False
        "The last answer was a 423."
        self._failures = 0

    def is_registered(self, now: float) -> bool:
        """Whether the registrar knows where to find us."""
        return now < self._until

    def get_timer(self) -> float:
        """When the next request is due."""
        return self._due

    def next_request(self, contact: Uri) -> Request:
        """The request that registers `contact`, or renews it."""
        self._contact = contact
        return self._request(self._expires)

    def farewell(self) -> Request:
        """The request that takes it back (section 10.2.2)."""
        self._until = 0.0
        return self._request(0)

    def answered(
        self, request: Request, status: int, response: Response | None, now: float
    ) -> Result:
        """Take the final answer to `request`, as it was sent last."""
        self._cseq = request.cseq.number
        if response is not None and 200 <= status < 300:
            granted = self._granted(response)
            if granted > 0:
                self._taken(granted, now)
                return Result.REGISTERED
        elif response is not None and status == 423 and self._raise(response):
            self._due = now
            return Result.AGAIN
        self.failed(now, response)
        return Result.FAILED

    def failed(self, now: float, response: Response | None = None) -> None:
        """The request was refused, not answered, or could not be sent."""
        self.stats.failed += 1
        self._raised = False
        wait = min(MAX_WAIT, BASE_WAIT * 2**self._failures)
        # Ten doublings are beyond the longest wait.
        self._failures = min(self._failures + 1, 10)
        wait *= self._rng.uniform(0.5, 1.0)
        if response is not None:
            wait = max(wait, _retry_after(response))
        self._due = now + wait

    def _request(self, expires: int) -> Request:
        self._cseq += 1
        return new_request(
            "REGISTER",
            self._registrar,
            from_=self._aor.with_tag(self._tag),
            to=self._aor,
            call_id=self._call_id,
            cseq=self._cseq,
            headers=[
                ("Contact", f"<{self._contact}>{self._features}"),
                ("Expires", str(expires)),
            ],
        )

    def _granted(self, response: Response) -> int:
        """Seconds; of our own contact, for the answer names them all."""
        ours = (one for one in response.contacts if one.uri.matches(self._contact))
        texts = [one.param("expires") for one in ours]
        for text in [*texts, response.headers.get("Expires")]:
            if text is None:
                continue
            try:
                return parse_delta_seconds(text)
            except SipParseError:
                continue
        return self._expires

    def _taken(self, granted: int, now: float) -> None:
        self.stats.registered += 1
        self._failures = 0
        self._raised = False
        self._until = now + granted
        wait = granted - SPARE if granted > 2 * SPARE else granted / 2
        # Hosts that began together shall not come back together.
        self._due = now + max(MIN_INTERVAL, wait * self._rng.uniform(0.9, 1.0))

    def _raise(self, response: Response) -> bool:
        """Take the interval that a 423 demands; False if it makes no sense."""
        try:
            minimum = parse_delta_seconds(response.headers.get("Min-Expires") or "")
        except SipParseError:
            return False
        if self._raised or not self._expires < minimum <= MAX_EXPIRES:
            return False
        self._expires = minimum
        self._raised = True
        return True


def _retry_after(response: Response) -> float:
    """Seconds that the registrar wants to be left alone, within reason."""
    text = (response.headers.get("Retry-After") or "").partition("(")[0]
    try:
        return min(MAX_WAIT, parse_delta_seconds(text))
    except SipParseError:
        return 0.0
