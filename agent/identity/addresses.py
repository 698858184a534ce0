"""Whose number an address is that some other system wrote down.

Beside SIP's own headers, addresses stand in metadata and in headers of a vendor's own:
as sip, sips or tel URIs, with a name before them or without, or as bare numbers.
"""

import re
from typing import Final
from urllib.parse import unquote

from agent.identity.numbers import IdentityConfig, normalise
from agent.identity.tags import ANONYMOUS_HOST, ANONYMOUS_USERS

MAX_ADDRESS: Final = 1024
"Characters; the rest is not looked at."
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_BRACKETED = re.compile(r"<([^<>]*+)>")
_SCHEME = re.compile(r"(sips?|tel):", re.IGNORECASE)
_SOS: Final = re.compile(r"[\s<]*urn:service:sos(?![a-z0-9-])", re.IGNORECASE)
_HOST_END = re.compile(r"[;>?:\s]")
_NUMBER = re.compile(r"\+?[0-9*#]+")


def number_in(address: str, config: IdentityConfig) -> str:
    """The number, or else the user's name, in an address; empty: anonymous, or none.

    A number is in the form that `normalise` gives it.
    """
    text = _QUOTED.sub("", address[:MAX_ADDRESS])
    bracketed = _BRACKETED.search(text)
    text = (bracketed[1] if bracketed else text).strip()
    scheme = _SCHEME.match(text)
    text = text[scheme.end() :] if scheme else text
    user, at, rest = text.partition("@")
    host = _HOST_END.split(rest, maxsplit=1)[0].lower()
    user = unquote(re.split("[;:]", user, maxsplit=1)[0]).strip()
    if user.lower() in ANONYMOUS_USERS or host == ANONYMOUS_HOST:
        return ""
    number = normalise(user, config)
    if scheme and not at and scheme[1].lower() != "tel" and not is_number(number):
        return ""  # a host without a user
    return number


def is_sos(address: str) -> bool:
    """Whether it is that of an emergency service, RFC 5031 section 4.2."""
    return _SOS.match(address) is not None


def is_number(number: str) -> bool:
    """Whether it is a telephone number, and no user's name."""
    return _NUMBER.fullmatch(number) is not None
