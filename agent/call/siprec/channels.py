"""On which side of the recording each stream is heard: sans-IO.

A stream is on the side of those who send on it; one that was mixed stays on both while
one of them is on hold. Where nobody sends it stays where it was, or is taken for that
of somebody who sends nothing: a party on hold, or metadata that does not say who is on
which stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.call.siprec.people import Party
from agent.model.recording import Channel


@dataclass(frozen=True, slots=True)
class Placement:
    """Where streams are heard."""

    channels: dict[str, Channel]
    "By label."
    mixed: bool
    "Whether several parties are heard on one stream."
    by_order: bool
    "Whether parties and streams were matched by nothing but their order."


NOWHERE: Final = Placement({}, mixed=False, by_order=False)


def place(
    labels: Sequence[str],
    side_of: Mapping[Party, Channel],
    before: Placement = NOWHERE,
    *,
    keep: bool = True,
    fixed: bool = False,
) -> Placement:
    """Place streams, by the sides of all parties in the order of the metadata.

    `before` is where they were heard until now; `keep` whether that tells where those
    are on which nobody sends, `fixed` whether it does for those with one sender, too.
    """
    channels: dict[str, Channel] = {}
    kept = before.channels if keep else {}
    stays = {
        label
        for label, channel in before.channels.items()
        if before.mixed and channel is Channel.BOTH
    }
    senders = {
        label: [one for one in side_of if label in one.sends] for label in labels
    }
    mixed = any(len(found) > 1 for found in senders.values()) or bool(
        stays.intersection(senders)
    )
    for label, found in senders.items():
        stands = label in stays or (fixed and len(found) == 1 and label in kept)
        if found and not stands:
            channels[label] = _common([side_of[one] for one in found])
        elif label in kept or label in stays:
            channels[label] = before.channels[label]
    # What was matched by order once, and stays, still is.
    by_order = before.by_order and any(
        label in kept and (fixed or not found) for label, found in senders.items()
    )
    left = [label for label in senders if label not in channels]
    if not left:
        return Placement(channels, mixed, by_order)
    silent = [one for one in side_of if one.sends.isdisjoint(senders)]
    sides = [side_of[one] for one in silent]
    if len(senders) == 1:
        # One stream for all of them, whoever they are.
        channels[left[0]] = sides[0] if len(sides) == 1 else Channel.BOTH
        return Placement(channels, len(sides) > 1, by_order=by_order)
    if sides and len(set(sides)) == 1:
        return Placement(channels | dict.fromkeys(left, sides[0]), mixed, by_order)
    if not side_of:
        sides = [Channel.CUSTOMER, Channel.OFFICER]
    elif not silent:
        # Of somebody whom the metadata does not name.
        sides = [_other(_common(list(side_of.values())))] * len(left)
    elif len(left) != len(silent):
        sides = []
    channels |= dict(zip(left, sides, strict=False))
    channels |= dict.fromkeys(left[len(sides) :], Channel.BOTH)
    return Placement(channels, mixed, by_order or bool(silent and sides))


def _common(sides: Sequence[Channel]) -> Channel:
    return sides[0] if len(set(sides)) == 1 else Channel.BOTH


def _other(side: Channel) -> Channel:
    swapped = {Channel.CUSTOMER: Channel.OFFICER, Channel.OFFICER: Channel.CUSTOMER}
    return swapped.get(side, Channel.BOTH)
