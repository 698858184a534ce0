"""What law asks to be told of the processing, from the configuration that is live.

For the record of processing and the impact assessment (GDPR Articles 30 and 35), and
with a copy that a person gets (Article 15(1)): roles and their purposes, who receives
what, how long it is kept, where it is. Nothing here names a person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import msgspec

from agent.access.config import ControllerConfig
from agent.access.purposes import PURPOSES
from agent.access.roles import ACTS
from agent.formats.age import KeyKind, parse_recipient
from agent.formats.manifest import Manifest
from agent.formats.roster import Role, Roster

NOT_TOLD: Final = "not configured"
RIGHTS: Final = (
    "access and a copy (Article 15)",
    "completion by a statement (Article 16)",
    "erasure where the processing was unlawful (Article 17)",
    "restriction while accuracy or lawfulness is disputed (Article 18)",
    "complaint to the supervisory authority (Article 77)",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something goes."""

    what: str
    "`audio and manifests`, `keys and index`, `gate`."
    where: str
    "Its URL, or what stands for it."
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that facts are made of."""

    today: date
    controller: ControllerConfig
    places: Sequence[Place] = ()
    allowed: Sequence[str] = ()
    "Regions that a target may be in."
    keeping: Mapping[str, str] | None = None
    "How long a recording is kept, and how it ends: in words, `period` among them."
    roster: Roster | None = field(default=None, repr=False)
    gate: bool = False


class RoleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One role: how many have it, and what it is for."""

    role: str
    people: int | None
    "Those who have it today; None where no roster tells."
    purposes: tuple[str, ...]
    acts: tuple[str, ...]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The report; its JSON has the same fields."""

    made: str
    controller: dict[str, str]
    data: tuple[str, ...]
    "What is kept beside the audio: the manifest's fields, which are an allow-list."
    roles: tuple[RoleFacts, ...]
    keys: dict[str, str | int]
    retention: dict[str, str]
    places: tuple[dict[str, str], ...]
    allowed_regions: tuple[str, ...]
    enforced: tuple[str, ...]
    "What the gate enforces; without one, that nobody does."
    rights: tuple[str, ...] = RIGHTS
    automated_decisions: str = "none; no transcript, no voiceprint, no scoring is made"


def gather(sources: Sources) -> Facts:
    """The report for today."""
    controller = msgspec.to_builtins(sources.controller)
    return Facts(
        made=sources.today.isoformat(),
        controller={name: text or NOT_TOLD for name, text in controller.items()},
        data=tuple(one.encode_name for one in msgspec.structs.fields(Manifest)),
        roles=tuple(_role(role, sources) for role in Role),
        keys=_keys(sources),
        retention=dict(sources.keeping or {"period": NOT_TOLD}),
        places=tuple(
            {
                "what": place.what,
                "where": place.where,
                "region": place.region or NOT_TOLD,
            }
            for place in sources.places
        ),
        allowed_regions=tuple(sources.allowed),
        enforced=_enforced(gate=sources.gate),
    )


def to_json(facts: Facts) -> bytes:
    """As JSON for machines, indented for people."""
    return msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n"


def to_markdown(facts: Facts) -> str:
    """As a document."""
    parts = [
        f"# Recording of telephone calls: facts of {facts.made}",
        "## Controller",
        *_named(facts.controller),
        "## What is kept",
        "The audio of the call, and of it: " + ", ".join(facts.data) + ".",
        "## Who may use it, and what for",
        "| role | people | purposes | acts |",
        "|---|---|---|---|",
        *(
            f"| {one.role} | {'?' if one.people is None else one.people}"
            f" | {', '.join(one.purposes)} | {', '.join(one.acts)} |"
            for one in facts.roles
        ),
        "## Keys",
        *_named(facts.keys),
        "## How long",
        *_named(facts.retention),
        "## Where",
        "| what | where | region |",
        "|---|---|---|",
        *(
            f"| {one['what']} | {one['where']} | {one['region']} |"
            for one in facts.places
        ),
        "Regions that are allowed: " + ", ".join(facts.allowed_regions) + ".",
        "## What is enforced",
        *(f"- {line}" for line in facts.enforced),
        "## Rights",
        *(f"- {line}" for line in facts.rights),
        f"Automated decisions: {facts.automated_decisions}.",
    ]
    return "\n".join(_spaced(parts)) + "\n"


def _role(role: Role, sources: Sources) -> RoleFacts:
    people = None
    if sources.roster is not None:
        people = len(sources.roster.active(role, sources.today))
    return RoleFacts(
        role=role,
        people=people,
        purposes=tuple(sorted(PURPOSES[role])),
        acts=tuple(sorted(ACTS[role])),
    )


def _keys(sources: Sources) -> dict[str, str | int]:
    roster = sources.roster
    if roster is None:
        return {"roster": NOT_TOLD}
    recipients = [*roster.quality_recipients(sources.today), *roster.recovery]
    kinds = {parse_recipient(text).kind for text in recipients}
    quantum = kinds == {KeyKind.POST_QUANTUM}
    return {
        "encryption": "age v1, one key pair for each recording",
        "recipients": "post-quantum" if quantum else "classic",
        "open every recording": len(recipients),
        "of these offline for recovery": len(roster.recovery),
        "hosts that seal": len({host.name for host in roster.hosts}),
        "may approve an erasure": len(roster.approvers(sources.today)),
    }


def _enforced(*, gate: bool) -> tuple[str, ...]:
    if not gate:
        return (
            "Without a gate nothing logs who opened what, and restrictions bind only"
            " those who use the archive's commands: nobody signs them, or holds, and"
            " who may write to storage can lift them.",
        )
    return (
        "Every access states a purpose, and is logged before it is answered.",
        "Officers reach the recordings that they took part in, and no others.",
        "A restricted recording is released to case handlers alone.",
        "An erasure before its time needs two persons, whose signatures are verified"
        " again before a key is destroyed.",
        "A hold or restriction stays in force although its document is deleted.",
        "After the period the day's key is destroyed: no copy opens any more.",
    )


def _named(facts: Mapping[str, str | int]) -> list[str]:
    return [f"- {name.replace('_', ' ')}: {text}" for name, text in facts.items()]


def _spaced(lines: Iterable[str]) -> Iterable[str]:
    """A blank line where a block of another kind begins, as Markdown wants it."""
    before = ""
    for line in lines:
        if before and not (before[0] == line[0] and line[0] in "|-"):
            yield ""
        yield line
        before = line
