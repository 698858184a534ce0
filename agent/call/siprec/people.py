"""Who takes part in a recorded call, as its metadata names them: sans-IO."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from agent.identity.addresses import is_number, number_in
from agent.identity.numbers import IdentityConfig
from agent.model.recording import UNDECIDED, WITHHELD
from agent.signalling.siprec.metadata import Extension, Participant, walk
from agent.signalling.siprec.metadata_state import MetadataState

MAX_NAME: Final = 128
"Characters of a participant's name that are kept."
_STAND_INS: Final = frozenset({"asbce@asbce.com"})
"""Addresses under which a client puts itself in the place of a party that it cannot
name: the Avaya SBCE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody in a call."""

    key: str
    "Tells them from everybody else in it."
    number: str = field(compare=False)
    "In E.164 form, or as sent; WITHHELD, or UNDECIDED where the client stands in."
    numbers: tuple[str, ...] = field(default=(), compare=False)
    "All that are known; the one above is the best of them."
    addresses: tuple[str, ...] = field(default=(), compare=False)
    "As the metadata has them."
    name: str = field(default="", compare=False)
    sends: frozenset[str] = field(default=frozenset(), compare=False)
    "Labels of the streams on which they are heard."
    extensions: tuple[Extension, ...] = field(default=(), compare=False)
    "Their own."

    def __repr__(self) -> str:
        return "Party(…)"

    def has(self, number: str) -> bool:
        """Whether a number is one of theirs."""
        return bool(number) and number in self.numbers


def people_of(
    state: MetadataState, identity: IdentityConfig, is_officer: Callable[[str], bool]
) -> tuple[Party, ...]:
    """Who is present, each once, in the order in which the metadata named them."""
    sends: dict[str, frozenset[str]] = {}
    participants: dict[str, Participant] = {}
    for one in state.present:
        key = one.participant.id
        participants[key] = one.participant
        sends[key] = sends.get(key, frozenset()) | one.sends
    return tuple(
        _party(one, sends[key], identity, is_officer)
        for key, one in participants.items()
    )


def key_of(participant_id: str) -> str:
    """The `Party.key` of somebody whom the metadata names."""
    return f"id:{participant_id}"


def of_number(number: str, sends: frozenset[str] = frozenset()) -> Party:
    """Somebody whom the metadata does not name, and of whom a number is known."""
    return Party(key=f"tel:{number}", number=number, numbers=(number,), sends=sends)


def said(extensions: Iterable[Extension], name: str) -> Iterator[str]:
    """What extension data says under a name: of elements and of attributes.

    The case of the name says nothing. An element `Parameter name="Role" value="x"`
    counts as one of the name Role.
    """
    wanted = name.lower()
    for one in walk(extensions):
        attributes = {key.lower(): value for key, value in one.attributes.items()}
        if one.name.lower() == wanted:
            yield one.text
        elif attributes.get("name", "").lower() == wanted:
            yield attributes.get("value", one.text)
        elif wanted in attributes:
            yield attributes[wanted]


def _party(
    participant: Participant,
    sends: frozenset[str],
    identity: IdentityConfig,
    is_officer: Callable[[str], bool],
) -> Party:
    addresses = tuple(one.aor for one in participant.name_ids if one.aor)
    names = [one.name for one in participant.name_ids if one.name]
    stands_in = any(
        address.lower().removeprefix("sip:") in _STAND_INS for address in addresses
    )
    found = [] if stands_in else [number_in(address, identity) for address in addresses]
    if not addresses:
        # Some have their number in the name alone.
        found = [n for name in names if is_number(n := number_in(name, identity))]
    # The officer's before a number before a user's name; as sent where all are alike.
    numbers = sorted(
        dict.fromkeys(number for number in found if number),
        key=lambda number: (not is_officer(number), not is_number(number)),
    )
    return Party(
        key=key_of(participant.id),
        number=numbers[0] if numbers else UNDECIDED if stands_in else WITHHELD,
        numbers=tuple(numbers),
        addresses=addresses,
        name=names[0][:MAX_NAME] if names else "",
        sends=sends,
        extensions=participant.extensions,
    )
