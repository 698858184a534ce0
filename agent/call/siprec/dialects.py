"""What some vendors' clients say of a call beyond RFC 7865: sans-IO.

Each vendor's words are in `agent/signalling/INTEROP.md`, with where they are from. A
rule of the configuration goes before all of this.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.call.siprec.people import Party, of_number, said
from agent.call.siprec.view import View
from agent.model.call import CallDirection
from agent.signalling.siprec.metadata import Extension, walk


class Vendor(StrEnum):
    """Whose words a client uses."""

    ORACLE = "oracle"
    "Acme Packet: who rings is marked among the participants."
    SONUS = "sonus"
    "Ribbon: From and To of the call stand in `callData`."
    BROADWORKS = "broadworks"
    "The subscriber who is recorded, and how the call came to them."
    MICROSOFT = "microsoft"
    "A direction among `ExtensionParameters`."
    CISCO_BIB = "cisco-bib"
    "The built-in bridge of a phone: no metadata, parameters of the From."


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a vendor's data says; what it does not say is None."""

    vendor: Vendor | None = None
    calling: Party | None = None
    "Who rang."
    called: str = ""
    "Number that was rung."
    recorded: Party | None = None
    "Whose calls the client was told to record: an officer."
    far: Party | None = None
    "Who is at the other end of their call."
    direction: CallDirection | None = None


_TRUE: Final = frozenset({"true", "1", "yes"})


def read_hints(view: View) -> Hints:
    """Read what the first vendor says whose words are there."""
    for read in (_oracle, _broadworks, _sonus, _microsoft, _built_in_bridge):
        if (hints := read(view)) is not None:
            return hints
    return Hints()


def _oracle(view: View) -> Hints | None:
    for one in view.people:
        marks = [text.strip().lower() for text in said(one.extensions, "callingParty")]
        if marks and marks[0] in _TRUE:
            rung = next(said(one.extensions, "request-uri"), "")
            others = [other for other in view.people if other is not one]
            called = view.number_in(rung)
            if not called and len(others) == 1:
                called = next(iter(others[0].numbers), "")
            return Hints(vendor=Vendor.ORACLE, calling=one, called=called)
    return None


def _sonus(view: View) -> Hints | None:
    data = _element(view.extensions, "callData")
    if data is None:
        return None
    calling = next(said(data.children, "fromhdr"), "")
    called = next(said(data.children, "tohdr"), "")
    return Hints(
        vendor=Vendor.SONUS,
        calling=view.of_number(view.number_in(calling)),
        called=view.number_in(called),
    )


def _broadworks(view: View) -> Hints | None:
    data = _element(view.extensions, "broadWorksRecordingMetadata")
    if data is None:
        return None
    originated = _element(data.children, "origCall")
    call = originated or _element(data.children, "termCall") or data
    calling = view.number_in(next(said(call.children, "callingPartyNumber"), ""))
    called = view.number_in(next(said(call.children, "calledPartyNumber"), ""))
    # The subscriber by their address, if anybody knows it; else by the call's end that
    # is theirs.
    user = view.number_in(next(said(data.children, "userID"), ""))
    theirs = calling if originated else called
    known = any(one.has(user) for one in view.people) or view.is_officer(user)
    recorded = user if user and (known or not theirs) else theirs
    direction = None
    if call is not data:
        direction = CallDirection.OUTBOUND if originated else CallDirection.INBOUND
    return Hints(
        vendor=Vendor.BROADWORKS,
        calling=view.of_number(calling),
        called=called,
        recorded=view.of_number(recorded),
        far=view.of_number(called if originated else calling),
        direction=direction,
    )


def _microsoft(view: View) -> Hints | None:
    data = _element(view.extensions, "ExtensionParameters")
    role = "" if data is None else next(said(data.children, "Role"), "").lower()
    if role not in set(CallDirection):
        return None
    return Hints(vendor=Vendor.MICROSOFT, direction=CallDirection(role))


def _built_in_bridge(view: View) -> Hints | None:
    sender = view.invite.from_
    params = {
        name.lower(): value or ""
        for name, value in (*sender.uri.params, *sender.params)
    }
    near = view.number_in(params.get("x-nearendaddr", ""))
    far = view.number_in(params.get("x-farendaddr", ""))
    if not near or view.people:
        return None
    # It sends each end in a session of its own, and says which.
    every, none = frozenset(view.labels), frozenset[str]()
    is_near, is_far = "x-nearend" in params, "x-farend" in params
    return Hints(
        vendor=Vendor.CISCO_BIB,
        recorded=of_number(near, every if is_near else none),
        far=of_number(far, every if is_far else none) if far else None,
    )


def _element(extensions: tuple[Extension, ...], name: str) -> Extension | None:
    wanted = name.lower()
    return next((one for one in walk(extensions) if one.name.lower() == wanted), None)
