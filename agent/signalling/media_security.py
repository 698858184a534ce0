"""Whether one leg's media is SRTP, and under which keys: RFC 4568, RFC 8643.

Keys travel in SDP, so that they are offered and taken only where the signalling is
encrypted. A peer that must do SRTP is offered RTP/SAVP; one that may is offered
RTP/AVP with crypto attributes, which whoever does not know them reads over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.model.media import SrtpKeys, SrtpPolicy, SrtpSuite
from agent.signalling.crypto_attribute import (
    MAX_ATTRIBUTES,
    NAME,
    CryptoAttribute,
    CryptoAttributeError,
    parse_crypto,
)
from agent.signalling.not_acceptable import INCOMPATIBLE_PROTOCOL, NotAcceptableError
from agent.signalling.sdp import Attributes, Media

RTP: Final = "RTP/AVP"
SECURE: Final = "RTP/SAVP"
SECURE_FEEDBACK: Final = "RTP/SAVPF"
"Answered as it is: feedback is optional, and nothing of it is promised."
DTLS: Final = ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")
SUITES: Final = (
    SrtpSuite.AES_CM_128_HMAC_SHA1_80,
    SrtpSuite.AEAD_AES_256_GCM,
    SrtpSuite.AEAD_AES_128_GCM,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32,
)
"What is offered; first what everybody must know (RFC 4568 section 6.2)."

RandomBytes = Callable[[int], bytes]
"Given a number, as many bytes that nobody can guess."


@dataclass(frozen=True, slots=True)
class Protection:
    """What one description of ours says of encryption, and what is agreed."""

    profile: str = RTP
    ours: tuple[CryptoAttribute, ...] = ()
    keys: SrtpKeys | None = None
    "Of both directions, once both are known."

    @property
    def attributes(self) -> Attributes:
        """The `a=` lines of our description."""
        return tuple((NAME, one.to_value()) for one in self.ours)


PLAIN: Final = Protection()


class MediaSecurity:
    """What one leg's policy makes of offers, and what it offers.

    Nothing changes before `agreed`, which takes what the other methods return.
    """

    def __init__(
        self,
        *,
        secure: bool,
        policy: SrtpPolicy,
        random_bytes: RandomBytes,
        clear_keys: bool = False,
    ) -> None:
        """`secure` tells whether nobody else can read the leg's descriptions.

        `clear_keys` takes keys that others may have read: for a call that must not
        be refused.
        """
        self._secure = secure
        self._clear_keys = clear_keys
        self._policy = policy
        self._random_bytes = random_bytes
        self._current: Protection | None = None
        self._spent = False

    @property
    def state(self) -> tuple[Protection | None, bool]:
        """What is agreed, and whether its key is spent: for `restore`."""
        return self._current, self._spent

    def restore(self, current: Protection | None, *, spent: bool) -> None:
        """Go on where another one stood."""
        self._current = current
        self._spent = spent

    @property
    def keys_spent(self) -> bool:
        """Whether `spend_key` was called and no new key is agreed yet."""
        return self._spent

    def spend_key(self) -> None:
        """Let the next description have a new key of ours."""
        if self._current is not None and self._current.keys is not None:
            self._spent = True

    def agreed(self, protection: Protection) -> None:
        """An exchange has been completed with this."""
        before = self._current.keys if self._current is not None else None
        now = protection.keys
        if before is None or now is None or before.send != now.send:
            self._spent = False
        self._current = protection

    def offer(self) -> Protection:
        """What to offer: what is in use, or all that the policy allows.

        Raises NotAcceptableError if SRTP is required and the signalling is clear.
        """
        current = self._current
        if current is not None:
            if current.keys is None:
                return current
            (ours,) = current.ours
            if self._spent:
                ours = self._own(ours.tag, ours.suite)
            return Protection(current.profile, (ours,))
        if self._secure and self._policy is not SrtpPolicy.NEVER:
            return Protection(
                SECURE if self._policy is SrtpPolicy.REQUIRE else RTP,
                tuple(self._own(str(i), suite) for i, suite in enumerate(SUITES, 1)),
            )
        if self._policy is SrtpPolicy.REQUIRE:
            raise _refusal("SRTP is required here, and its keys need TLS signalling.")
        return PLAIN

    def check(self, media: Media) -> None:
        """Raise NotAcceptableError if `answer` would."""
        self._choose(media, media.protocol.upper())

    def answer(self, media: Media, *, moved: bool) -> Protection:
        """What to answer an offered section with.

        `moved` tells whether the peer's media has a new address: then our key is a
        new one too, because another device may stand there. Raises
        NotAcceptableError.
        """
        profile = media.protocol.upper()
        theirs = self._choose(media, profile)
        if theirs is None:
            return PLAIN
        ours = self._own(theirs.tag, theirs.suite)
        if (used := self._in_use(theirs.suite)) and not self._spent and not moved:
            ours = CryptoAttribute(theirs.tag, theirs.suite, used)
        return Protection(profile, (ours,), _keys(ours, theirs))

    def answered(self, media: Media, offered: Protection) -> Protection:
        """What the peer's answer makes of what was `offered`.

        Raises NotAcceptableError if it took what was not offered, or nothing where
        SRTP is required.
        """
        profile = media.protocol.upper()
        lines = _lines(media) if offered.ours else []
        # Some answer an opportunistic offer with the profile that it means.
        meant = lines and profile in {SECURE, SECURE_FEEDBACK}
        if profile != offered.profile and not meant:
            raise _refusal("The answer has another RTP profile than the offer.")
        if not lines:
            if offered.profile != RTP:
                raise _refusal("The answer has no SRTP key.")
            return PLAIN
        if len(lines) > 1:
            raise _refusal("The answer has more than one crypto attribute.")
        try:
            theirs = parse_crypto(lines[0])
        except CryptoAttributeError as error:
            raise _refusal(str(error)) from error
        for ours in offered.ours:
            if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                return Protection(profile, (ours,), _keys(ours, theirs))
        raise _refusal("The answer's crypto attribute was not offered.")

    def _choose(self, media: Media, profile: str) -> CryptoAttribute | None:
        """The crypto attribute to be answered; None for plain RTP."""
        if profile in DTLS or (
            profile != RTP and media.attribute("fingerprint") and not _lines(media)
        ):
            raise _refusal("DTLS-SRTP is not supported: offer SDES keys over TLS.")
        if profile not in {RTP, SECURE, SECURE_FEEDBACK}:
            raise _refusal("The RTP profile is not supported.")
        lines = _lines(media)
        if self._policy is SrtpPolicy.NEVER:
            if profile != RTP:
                raise _refusal("SRTP is not used with this peer.")
            return None
        if lines and not self._secure and not self._clear_keys:
            raise _refusal("SRTP keys came over clear signalling: use TLS.")
        if not lines and profile == RTP and self._policy is not SrtpPolicy.REQUIRE:
            return None
        try:
            return self._first_usable(lines)
        except CryptoAttributeError as error:
            if profile != RTP or self._policy is SrtpPolicy.REQUIRE:
                raise _refusal(str(error)) from error
            return None

    def _first_usable(self, lines: list[str]) -> CryptoAttribute:
        """The first line we can take; one of the suite in use before all others."""
        usable = []
        reason = CryptoAttributeError("SRTP is required, and no key was offered.")
        for line in lines:
            try:
                usable.append(parse_crypto(line))
            except CryptoAttributeError as error:
                reason = error
        usable.sort(key=lambda one: self._in_use(one.suite) is None)
        if not usable:
            raise reason
        return usable[0]

    def _in_use(self, suite: SrtpSuite) -> bytes | None:
        """Our key in use, if it is of this suite."""
        keys = self._current.keys if self._current is not None else None
        return keys.send if keys is not None and keys.suite is suite else None

    def _own(self, tag: str, suite: SrtpSuite) -> CryptoAttribute:
        return CryptoAttribute(tag, suite, self._random_bytes(suite.key_size))


def offers_srtp(media: Media) -> bool:
    """Whether an offered section has keys for SRTP."""
    return bool(_lines(media))


def _lines(media: Media) -> list[str]:
    lines = [value or "" for name, value in media.attributes if name == NAME]
    return lines[:MAX_ATTRIBUTES]


def _keys(ours: CryptoAttribute, theirs: CryptoAttribute) -> SrtpKeys:
    if ours.key == theirs.key:
        # What we send would come back as if the peer had said it.
        raise _refusal("The peer repeats our SRTP key.")
    return SrtpKeys(suite=ours.suite, send=ours.key, receive=theirs.key)


def _refusal(text: str) -> NotAcceptableError:
    return NotAcceptableError(text, warn_code=INCOMPATIBLE_PROTOCOL)
