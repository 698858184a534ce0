"""Telephone numbers: one written form for each, and one that may be logged."""

import re
from typing import Final

import msgspec

from agent.model.recording import UNDECIDED, WITHHELD

MAX_NUMBER: Final = 64
"Characters; E.164 has 15 digits, but SIP user parts may be names."

_SEPARATORS: Final = str.maketrans("", "", "-.()/")
_DIALLED = re.compile(r"\+?[0-9*#]+")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_NATIONAL_MIN: Final = 5
"Digits after the national prefix; what is shorter is a service code."
_UNMARKED_MIN: Final = 10
"Digits from which a number that begins with the country code lacks only its plus."

_HEAD: Final = 6
_TAIL: Final = 2
_HIDDEN_MIN: Final = 5


class IdentityConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """How numbers are dialled where this host stands; the default is Finland."""

    country_code: str = "358"
    international_prefix: str = "00"
    national_prefix: str = "0"

    def __post_init__(self) -> None:
        if re.fullmatch(r"[1-9][0-9]{0,2}", self.country_code) is None:
            raise ValueError("country_code must be one to three digits")
        for name in ("international_prefix", "national_prefix"):
            if re.fullmatch(r"[0-9]{0,6}", getattr(self, name)) is None:
                raise ValueError(f"{name} must be digits")


FINLAND: Final = IdentityConfig()


def normalise(number: str, config: IdentityConfig = FINLAND) -> str:
    """Bring a number as dialled or sent into E.164 form, `+358401234567`.

    Short and service numbers stay as dialled, and what is no number at all comes
    back without blanks and control characters, at most MAX_NUMBER long. Applying it
    again changes nothing.
    """
    # Of all blanks the one of ASCII alone is printable.
    text = number if number.isprintable() else "".join(filter(str.isprintable, number))
    text = text.replace(" ", "")[:MAX_NUMBER]
    international = config.international_prefix
    # People write +358 (0)40: the zero is for callers from within the country.
    if text.startswith("+") or (international and text.startswith(international)):
        dialled = text.replace("(0)", "").translate(_SEPARATORS)
    else:
        dialled = text.translate(_SEPARATORS)
    if _DIALLED.fullmatch(dialled) is None:
        return text
    for candidate in _candidates(dialled, config):
        if _E164.fullmatch(candidate) is not None:
            return candidate
    return dialled


def _candidates(dialled: str, config: IdentityConfig) -> list[str]:
    """The E.164 numbers that `dialled` could mean, the likeliest first."""
    international, national = config.international_prefix, config.national_prefix
    if dialled.startswith("+"):
        return [dialled]
    if international and dialled.startswith(international):
        return ["+" + dialled.removeprefix(international)]
    if national and dialled.startswith(national):
        rest = dialled.removeprefix(national)
        enough = len(rest) >= _NATIONAL_MIN and not rest.startswith("0")
        return [f"+{config.country_code}{rest}"] if enough else []
    # Many a trunk sends E.164 without the plus.
    if dialled.startswith(config.country_code) and len(dialled) >= _UNMARKED_MIN:
        return ["+" + dialled]
    return []


def mask(number: str) -> str:
    """A number for the log: `+35840***67`, with five characters or more hidden."""
    if number in {"", WITHHELD, UNDECIDED}:
        return number
    head = min(_HEAD, len(number) - _TAIL - _HIDDEN_MIN)
    if head <= 0:
        return "***"
    return f"{number[:head]}***{number[-_TAIL:]}"
