"""Which codecs are offered to whom, so that two legs can always be relayed: sans-IO.

Between legs nothing is converted but one law of G.711 to the other. So:

- A caller who is answered before the officer is, is answered in the first narrow-band
  codec of the route; in a wide-band one where the route, or the caller, has no other.
- An officer is offered what the caller can use as well; wide-band codecs stand where
  the route puts them. What the officer chooses and the caller is not in yet, the
  caller is then offered: one re-INVITE moves the call to wide-band.
- Whatever else may leave two legs apart (a change in the middle of the call, a peer
  that refuses the move) ends in the other leg being moved instead, or, when both have
  been asked, in the end of the call: never in a call in which nobody is heard.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.model.media import CODECS, Codec, NegotiatedAudio

LAWS: Final = ("PCMA", "PCMU")


def relayable(one: str, other: str) -> bool:
    """Whether audio in codec `one` can go to a leg that uses `other`."""
    return one == other or (one in LAWS and other in LAWS)


def named(names: Iterable[str]) -> list[Codec]:
    """The codecs of these names, with both laws where one of them is there."""
    wanted = list(names)
    if not set(LAWS).isdisjoint(wanted):
        # Converting between the two is a table lookup; no call fails on it.
        wanted += [law for law in LAWS if law not in wanted]
    return [CODECS[name] for name in wanted]


def names_of(audio: NegotiatedAudio) -> dict[str, str]:
    """What each payload type of a leg means, as journals say it."""
    names = {str(codec.payload_type): codec.name for codec in audio.others}
    names[str(audio.codec.payload_type)] = audio.codec.name
    if audio.comfort_noise is not None:
        names[str(audio.comfort_noise)] = "CN"
    if audio.telephone_event is not None:
        names[str(audio.telephone_event)] = "telephone-event"
    return names


def for_first(route: Sequence[str], partner: NegotiatedAudio | None) -> list[Codec]:
    """What the first party may be answered with.

    With what the other party chose, if it has; else narrow-band first, because who
    will answer, and what that phone can do, is not known yet.
    """
    if partner is None:
        return sorted(named(route), key=lambda codec: codec.name not in LAWS)
    chosen = partner.codec.name
    fitting = [name for name in route if relayable(name, chosen)]
    return named(dict.fromkeys((chosen, *fitting)))


def for_target(
    route: Sequence[str], first: NegotiatedAudio | None, can: Sequence[str] | None
) -> list[Codec]:
    """What a party that is to be rung is offered.

    `first` is what the first party has agreed, and `can` what it has named as its
    own: None if it has not said. Never nothing: with no codec in common the target
    is offered the route's, and it shows when the first party is answered.
    """
    if first is None:
        fitting = [
            name
            for name in route
            if can is None or any(relayable(name, other) for other in can)
        ]
        return named(fitting or route)
    used = first.codec.name
    fitting = [name for name in route if name in (can or ()) or relayable(name, used)]
    if used in LAWS:
        # The law in use stands where the route's first law does: no conversion.
        at = next((n for n, name in enumerate(fitting) if name in LAWS), len(fitting))
        fitting = [name for name in fitting if name not in LAWS]
        fitting.insert(at, used)
    return named(fitting or [used])


class Side(StrEnum):
    """Of two that are to be joined."""

    FIRST = "first"
    "The party that rang."
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Move:
    """Offer one leg these codecs, so that both meet in one."""

    side: Side
    codecs: tuple[Codec, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """Both have been asked, and nothing is common to them."""


def settle(
    first: NegotiatedAudio, target: NegotiatedAudio, tried: frozenset[Side]
) -> Move | Apart | None:
    """What is to be done so that both legs can be relayed; None if they can be.

    `tried` names the legs that have been asked since both last met. The target's
    choice is tried on the first party before the other way round: it was made
    knowing what the first party can do.
    """
    if relayable(first.codec.name, target.codec.name):
        return None
    if Side.FIRST not in tried:
        return Move(Side.FIRST, _codecs_of(target))
    if Side.TARGET not in tried:
        return Move(Side.TARGET, tuple(named([first.codec.name])))
    return Apart()


def _codecs_of(audio: NegotiatedAudio) -> tuple[Codec, ...]:
    """What a leg uses, then what it may change to."""
    return tuple(named([codec.name for codec in (audio.codec, *audio.others)]))
