"""The crypto attribute of SDP security descriptions: RFC 4568 section 9, RFC 7714.

Taken is what can be kept: one master key without an identifier, one of the suites of
`SrtpSuite`, and no session parameter that weakens it.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from agent.common.errors import AgentError
from agent.model.media import SrtpSuite

NAME: Final = "crypto"
MAX_ATTRIBUTES: Final = 16
"Of one m-line that are looked at; the longest list in the field has eight."
MAX_LIFETIME: Final = 1 << 48
"Packets under one key: RFC 3711 section 9.2."

_INLINE: Final = "inline:"
_TAG = re.compile(r"[0-9]{1,9}")
_LIFETIME = re.compile(r"(2\^)?([0-9]{1,15})")
_WINDOW = re.compile(r"WSH=[0-9]{1,5}")


class CryptoAttributeError(AgentError):
    """A crypto attribute that cannot be taken. The text never quotes it."""


@dataclass(frozen=True, slots=True)
class CryptoAttribute:
    """One `a=crypto` line."""

    tag: str
    "As written: an answer repeats the tag of what it chose."
    suite: SrtpSuite
    key: bytes = field(repr=False)
    "Master key and salt of whoever wrote the line, for what it sends."

    def to_value(self) -> str:
        """What stands behind `a=crypto:`; the twin of `parse_crypto`.

        No lifetime is stated: the default of RFC 3711 outlasts any call.
        """
        return f"{self.tag} {self.suite} {_INLINE}{base64.b64encode(self.key).decode()}"


def parse_crypto(value: str) -> CryptoAttribute:
    """Parse what stands behind `a=crypto:`. Raises CryptoAttributeError.

    A lifetime is checked and then left to the peer: it is the sender who must change
    its key in time (RFC 3711 section 9.2).
    """
    fields = value.split()
    if len(fields) < 3 or _TAG.fullmatch(fields[0]) is None:
        raise CryptoAttributeError("The crypto attribute is malformed.")
    tag, name, key_parameters, *session_parameters = fields
    try:
        suite = SrtpSuite(name.upper())
    except ValueError:
        raise CryptoAttributeError("The crypto suite is none of ours.") from None
    for parameter in session_parameters:
        _check_session_parameter(parameter)
    return CryptoAttribute(tag, suite, _parse_key(key_parameters, suite))


def _check_session_parameter(parameter: str) -> None:
    # Section 6.3.7: what is unknown spoils the attribute, unless it begins with a
    # hyphen. WSH is a hint; all others ask for less encryption, for less
    # authentication, or for key derivation or FEC that we do not do.
    if _WINDOW.fullmatch(parameter) is None and not parameter.startswith("-"):
        raise CryptoAttributeError("A session parameter of SRTP is not supported.")


def _parse_key(parameters: str, suite: SrtpSuite) -> bytes:
    if not parameters.lower().startswith(_INLINE):
        raise CryptoAttributeError("The key method is not inline.")
    if ";" in parameters:
        raise CryptoAttributeError("Several master keys are not supported.")
    encoded, *rest = parameters[len(_INLINE) :].split("|")
    if any(":" in one for one in rest):
        raise CryptoAttributeError("Master key identifiers (MKI) are not supported.")
    if len(rest) > 1 or (rest and not _is_lifetime(rest[0])):
        raise CryptoAttributeError("The lifetime of the master key is malformed.")
    try:
        # Some leave the padding away.
        padding = "=" * (-len(encoded) % 4)
        key = base64.b64decode(encoded + padding, validate=True)
    except (binascii.Error, ValueError):
        raise CryptoAttributeError("The master key is not base64.") from None
    if len(key) != suite.key_size:
        raise CryptoAttributeError("The master key is not as long as its suite wants.")
    return key


def _is_lifetime(text: str) -> bool:
    match = _LIFETIME.fullmatch(text)
    if match is None:
        return False
    number = int(match[2])
    return number <= 48 if match[1] else 0 < number <= MAX_LIFETIME
