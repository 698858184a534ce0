"""A roster of a small site, whose secret keys are known here."""

import hashlib
from datetime import date
from typing import Final

import msgspec

from agent.formats.age import KeyKind, generate_identity
from agent.formats.roster import GateEntry, Host, Person, Role, Roster
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, SigningKey

TODAY: Final = date(2026, 11, 23)
ROOT: Final = SigningKey.from_seed(b"root" * 8)


def signing_key(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


def recipient(name: str, kind: KeyKind = KeyKind.CLASSIC) -> str:
    seed = hashlib.sha256(name.encode()).digest()
    return str(generate_identity(kind, lambda size: seed[:size]).recipient())


def spki(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def person(name: str, /, *roles: Role, **more: object) -> Person:
    made = Person(
        id=f"p-{name}",
        name=name.capitalize(),
        roles=roles,
        recipient=recipient(name),
        certificates=(spki(name),),
        signing_key=str(signing_key(name).public),
    )
    return msgspec.structs.replace(made, **more)


def roster(**changes: object) -> Roster:
    made = Roster(
        serial=7,
        issued="2026-11-20T08:00:00Z",
        people=(
            person("quinn", Role.QUALITY, approver=True),
            person("riku", Role.QUALITY, approver=True, until="2026-11-22"),
            person("otso", Role.OFFICER, numbers=("201", "+358295000201")),
            person(
                "lumi",
                Role.OFFICER,
                numbers=("202",),
                until="2026-11-23",
                signing_key="",
            ),
            person("meri", Role.OFFICER, numbers=("202",), since="2026-11-24"),
            person("dan", Role.DPO, Role.CASE_HANDLER, recipient="", approver=True),
        ),
        hosts=(
            Host(name="host-a", key=str(signing_key("host-a").public)),
            Host(name="host-a", key=str(signing_key("host-a new").public)),
            Host(
                name="host-b",
                key=str(signing_key("host-b").public),
                certificates=(spki("host-b"),),
            ),
        ),
        gate=(GateEntry(key=str(signing_key("gate").public)),),
        recovery=(recipient("recovery"),),
    )
    return msgspec.structs.replace(made, **changes)


def signed(made: Roster | None = None) -> bytes:
    """A signed roster file."""
    payload = (made or roster()).to_bytes()
    return sign_document(payload, [ROOT], Namespace.ROSTER)
