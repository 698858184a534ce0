"""The few words in which a `[[siprec]]` entry tells parties apart: sans-IO.

One rule picks participants by one thing that the client says of them. Of a list of
rules the first that picks anybody counts.
"""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

MAX_RULE: Final = 256
"Characters."
MAX_TEXT: Final = 1024
"Characters of a peer's text that are held against a pattern."
MAX_POSITION: Final = 64


class RuleKind(StrEnum):
    """By what a participant is picked."""

    DIRECTORY = "directory"
    "Whoever the officers' directory knows."
    PARTICIPANT = "participant"
    "The n-th of those who are present, in the metadata's order; from 1."
    LABEL = "label"
    "Whoever sends on a stream whose label fits."
    AOR = "aor"
    "Whoever has an address of record that fits."
    EXTENSION = "extension"
    "Whoever's own extension data has such an element or attribute."
    NAMED = "named"
    "Whoever's number is in such an element of anything but a participant."
    HEADER = "header"
    "Whoever's number is in that header of the INVITE."


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, parsed."""

    kind: RuleKind
    name: str = ""
    "Of the element, attribute or header; in lower case."
    pattern: str = "*"
    "What its value, the label or the address must be like: `*` and `?`, in lower case."
    position: int = 0


def parse_rule(text: str) -> Rule:
    """Parse `KIND` or `KIND:NAME` or `KIND:NAME=PATTERN`.

    Raises ValueError, which quotes the rule.
    """
    word, colon, rest = text.partition(":")
    if len(text) > MAX_RULE:
        raise ValueError(f"a rule has at most {MAX_RULE} characters")
    if word not in set(RuleKind):
        known = ", ".join(RuleKind)
        raise ValueError(f"{text!r} is no rule: it begins with {known}")
    kind = RuleKind(word)
    if kind is RuleKind.DIRECTORY:
        if colon:
            raise ValueError(f"{text!r}: directory stands alone")
        return Rule(kind)
    if not rest:
        raise ValueError(f"{text!r}: something must follow {word}:")
    if kind is RuleKind.PARTICIPANT:
        if not (rest.isascii() and rest.isdecimal() and 0 < int(rest) <= MAX_POSITION):
            raise ValueError(f"{text!r}: participants count from 1 to {MAX_POSITION}")
        return Rule(kind, position=int(rest))
    if kind in {RuleKind.LABEL, RuleKind.AOR}:
        return Rule(kind, pattern=rest.lower())
    name, _, pattern = rest.partition("=")
    if (
        not name
        or " " in name
        or (pattern and kind not in {RuleKind.EXTENSION, RuleKind.HEADER})
    ):
        raise ValueError(f"{text!r}: a name is expected after {word}:")
    return Rule(kind, name=name.lower(), pattern=pattern.lower() or "*")


def fits(pattern: str, text: str) -> bool:
    """Whether what a peer sent is like a pattern; the case of letters says nothing."""
    return fnmatchcase(" ".join(text[:MAX_TEXT].split()).lower(), pattern)
