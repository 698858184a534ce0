"""Who is the officer and who the caller in a call that is recorded beside: sans-IO.

RFC 7865 has no roles. They are told, in this order, by the rules of the `[[siprec]]`
entry, by what the vendor's client says beyond the RFC, by the officers' directory, and
by the configured direction. Where none of these tells them apart, the tags say so: a
recording that names the wrong person is worse than one that names nobody.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from agent.call.siprec.channels import NOWHERE, Placement, place
from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.dialects import Hints, read_hints
from agent.call.siprec.people import Party, people_of
from agent.call.siprec.picking import pick
from agent.call.siprec.view import View
from agent.identity.addresses import is_sos
from agent.identity.numbers import IdentityConfig
from agent.model.call import CallDirection
from agent.model.recording import UNDECIDED, WITHHELD, Channel, Officer
from agent.signalling.sip.message import Request
from agent.signalling.siprec.metadata_state import MetadataState

MAX_PARTIES: Final = 48
"Named in a recording; all of them count for who is officer, caller and exempt."
BY_ORDER: Final = "-by-order"
"Follows a basis where streams and parties were matched by their order alone."
_DECIDE: Final = "decide"
_NOBODY: Final = frozenset({"", WITHHELD, UNDECIDED})
"What stands where a number is not known."


class Basis(StrEnum):
    """What told officer and caller apart."""

    RULE = "rule"
    VENDOR = "vendor"
    DIRECTORY = "directory"
    DIRECTION = "direction"
    UNDECIDED = "undecided"


_SURE: Final = frozenset(Basis) - {Basis.UNDECIDED}


class Parties(msgspec.Struct, frozen=True, kw_only=True):
    """Who is who, and where they are heard."""

    caller: str
    "Number of the outside party; WITHHELD, or UNDECIDED."
    service: str
    "The called service number (inbound) or called number (outbound), or UNDECIDED."
    direction: str
    "`inbound`, `outbound` or UNDECIDED."
    officers: tuple[str, ...]
    "Their numbers; none where nobody could tell."
    channels: dict[str, Channel]
    "By label. In what is undecided the first party is left, the second right."
    basis: str
    "A Basis, with BY_ORDER after it where that holds."
    participants: tuple[Officer, ...]
    "All of them, MAX_PARTIES at most; without a number where none is known."
    exempt: bool
    "Whether one of them must never be recorded."
    mixed: bool
    "Whether several parties are heard on one stream."
    outsiders_only: bool
    "Whether every officer who was known has left the others among themselves."
    identified: bool
    "Whether rule or directory has known an officer, now or before."
    officer_known: bool = False
    "Whether rule, vendor's data or directory know an officer who is there."
    exempt_keys: frozenset[str] = frozenset()
    "Of those of `participants` who must never be; none where it is the number rung."

    def __repr__(self) -> str:
        return f"Parties(basis={self.basis!r}, …)"


class _Roles(msgspec.Struct, frozen=True):
    basis: Basis
    officers: tuple[Party, ...] = ()
    outside: tuple[Party, ...] = ()


def decide(
    state: MetadataState,
    invite: Request,
    labels: Sequence[str],
    *,
    rules: SiprecConfig,
    is_officer: Callable[[str], bool],
    identity: IdentityConfig,
    is_exempt: Callable[[str], bool],
    before: Parties | None = None,
) -> Parties:
    """Decide by all that is known now.

    `invite` is the one that began the session, `labels` are those of the streams that
    were accepted, in the order of their m-lines. `before` is the decision until now:
    streams on which nobody sends stay where they were, and officers who were known can
    have left.
    """
    view = View(
        people=people_of(state, identity, is_officer),
        extensions=state.extensions,
        labels=tuple(labels),
        invite=invite,
        identity=identity,
        is_officer=is_officer,
    )
    hints = read_hints(view)
    calling = next(iter(pick(rules.calling, view)), None) or hints.calling
    everyone = _everyone(view, rules, hints)
    known = tuple(p for p in everyone if any(map(is_officer, p.numbers)))
    by_rule = _by_rule(view, rules, everyone)
    was_known = before is not None and before.identified
    outsiders_only = was_known and not by_rule and not known and bool(everyone)
    if outsiders_only:
        # Whoever is left is no officer, just because nobody else is one.
        roles = _Roles(Basis.DIRECTORY, outside=everyone)
    else:
        roles = (
            by_rule
            or _by_subscriber(hints, known, everyone)
            or _split(Basis.DIRECTORY, known, everyone)
            or _by_direction(rules, hints, calling, everyone)
            or _Roles(Basis.UNDECIDED)
        )
    former = NOWHERE if before is None else _placed(before)
    sides = _sides(roles, calling, everyone, labels, former)
    # Sides of which it was not known whose they are say nothing once it is.
    undecided = roles.basis is Basis.UNDECIDED
    keep = undecided or (before is not None and before.basis in _SURE)
    placed = place(labels, sides, former, keep=keep, fixed=undecided)
    direction = _direction(rules, hints, calling, roles)
    caller = _caller(roles, calling, hints)
    service = _service(rules, hints, direction, caller)
    exempt = frozenset(
        one.key
        for one in everyone
        if any(map(is_exempt, {*one.numbers} - _NOBODY))
        or any(map(is_sos, one.addresses))
    )
    return Parties(
        caller=caller,
        service=service,
        direction=direction,
        officers=_numbers(roles.officers),
        channels=placed.channels,
        basis=roles.basis + (BY_ORDER if placed.by_order else ""),
        participants=tuple(
            Officer(number="" if one.number in _NOBODY else one.number, name=one.name)
            for one in everyone[:MAX_PARTIES]
        ),
        exempt=bool(exempt) or any(map(is_exempt, {service, hints.called} - _NOBODY)),
        mixed=placed.mixed,
        outsiders_only=outsiders_only,
        identified=was_known or bool(by_rule or known),
        officer_known=bool(by_rule or hints.recorded or known),
        exempt_keys=exempt,
    )


def _placed(before: Parties) -> Placement:
    by_order = before.basis.endswith(BY_ORDER)
    return Placement(before.channels, before.mixed, by_order)


def _everyone(view: View, rules: SiprecConfig, hints: Hints) -> tuple[Party, ...]:
    """Who is there, with those whom only headers or extension data name."""
    others = [one for one in (hints.recorded, hints.far) if one is not None]
    for some in (rules.officer, rules.caller, rules.calling):
        others += pick(some, view)
    return tuple(dict.fromkeys((*view.people, *others)))


def _by_rule(
    view: View, rules: SiprecConfig, everyone: tuple[Party, ...]
) -> _Roles | None:
    if officers := pick(rules.officer, view):
        return _split(Basis.RULE, officers, everyone)
    if outside := pick(rules.caller, view):
        strangers = frozenset(outside)
        officers = tuple(one for one in everyone if one not in strangers)
        return _Roles(Basis.RULE, officers, outside)
    return None


def _by_subscriber(
    hints: Hints, known: tuple[Party, ...], everyone: tuple[Party, ...]
) -> _Roles | None:
    if hints.recorded is None:
        return None
    return _split(Basis.VENDOR, (hints.recorded, *known), everyone)


def _by_direction(
    rules: SiprecConfig,
    hints: Hints,
    calling: Party | None,
    everyone: tuple[Party, ...],
) -> _Roles | None:
    """By who rang, where it is known which way all calls go, or this one."""
    basis = Basis.DIRECTION
    direction = rules.direction if rules.direction != _DECIDE else hints.direction
    if rules.direction == _DECIDE or calling is not None:
        basis = Basis.VENDOR if calling is hints.calling else Basis.RULE
    elif everyone:
        calling = everyone[0]
    if direction is None or calling is None:
        return None
    others = tuple(one for one in everyone if one != calling)
    if direction == CallDirection.OUTBOUND:
        return _Roles(basis, (calling,), others)
    return _Roles(basis, others, (calling,))


def _split(
    basis: Basis, officers: tuple[Party, ...], everyone: tuple[Party, ...]
) -> _Roles | None:
    if not officers:
        return None
    chosen = frozenset(officers)
    outside = tuple(one for one in everyone if one not in chosen)
    return _Roles(basis, tuple(one for one in everyone if one in chosen), outside)


def _sides(
    roles: _Roles,
    calling: Party | None,
    everyone: tuple[Party, ...],
    labels: Sequence[str],
    former: Placement,
) -> dict[Party, Channel]:
    """On which side each party is heard, in the order of the metadata."""
    if roles.basis is Basis.UNDECIDED:
        return _apart(everyone, labels, former)
    left = frozenset(roles.outside)
    if not left and len(roles.officers) > 1:
        # Officers among themselves: who rang is left.
        left = frozenset([calling if calling in roles.officers else roles.officers[0]])
    return {
        one: Channel.CUSTOMER if one in left else Channel.OFFICER for one in everyone
    }


def _apart(
    everyone: tuple[Party, ...], labels: Sequence[str], former: Placement
) -> dict[Party, Channel]:
    """Each by themselves: where they are, or the first stream's party on the left."""
    first = {label: place for place, label in reversed([*enumerate(labels)])}
    sides: dict[Party, Channel] = {}
    for one in everyone:
        theirs = {former.channels[x] for x in one.sends if x in former.channels}
        if len(theirs) == 1:
            sides[one] = theirs.pop()
    ends = len(labels)
    ordered = sorted(
        (one for one in everyone if one not in sides),
        key=lambda one: min((first.get(x, ends) for x in one.sends), default=ends),
    )
    free = [x for x in (Channel.CUSTOMER, Channel.OFFICER) if x not in sides.values()]
    sides |= dict(zip(ordered, free, strict=False))
    return {one: sides.get(one, Channel.BOTH) for one in everyone}


def _direction(
    rules: SiprecConfig, hints: Hints, calling: Party | None, roles: _Roles
) -> str:
    if rules.direction != _DECIDE:
        return rules.direction
    if hints.direction is not None:
        return hints.direction
    if calling is None or not roles.officers:
        return UNDECIDED
    if calling in roles.officers:
        return CallDirection.OUTBOUND
    return CallDirection.INBOUND


def _caller(roles: _Roles, calling: Party | None, hints: Hints) -> str:
    if roles.outside:
        outside = roles.outside
        return (calling if calling in outside else outside[0]).number
    if calling is None or calling not in roles.officers:
        return UNDECIDED
    # Officers among themselves; or one who rings somebody not yet there.
    if len(roles.officers) > 1:
        return calling.number
    return hints.called or UNDECIDED


def _service(rules: SiprecConfig, hints: Hints, direction: str, caller: str) -> str:
    if direction == CallDirection.OUTBOUND:
        return caller
    return hints.called or rules.service or UNDECIDED


def _numbers(parties: tuple[Party, ...]) -> tuple[str, ...]:
    """Theirs, each once; whoever has none that is known is left out."""
    found = dict.fromkeys(one.number for one in parties if one.number not in _NOBODY)
    return tuple(found)
