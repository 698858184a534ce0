"""Commands that come over a network from somebody of the roster. FORMAT.md, "Commands".

A command is a signed document: one line of canonical JSON, then one SSH signature. It
names its host, carries an id that is used once, and is good for half a minute: what
somebody records of the network or leaves with a broker is of no use to them later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from agent.common.errors import AgentError
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.roster import Person
from agent.formats.signed import sign_document, split_document
from agent.formats.sshsig import (
    Namespace,
    PublicKey,
    SignatureError,
    SigningKey,
    parse_signature,
)

VERSION: Final = 1
MAX_AHEAD_NS: Final = 30_000_000_000
"So far ahead of our clock a command may expire, and no farther."
MAX_COMMAND: Final = 16_384
"Bytes, the signature among them; a real one has 800."
_UUID: Final = r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"


class Why(StrEnum):
    """Why a command is ignored: a word for log, metrics and audit."""

    RETAINED = "retained"
    "The broker is to keep it, or had kept it: perhaps nobody has sent it now."
    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    "No signature is good, or there is more than one."
    UNKNOWN_KEY = "unknown-key"
    "Whose signature it is, the roster does not say."
    OTHER_HOST = "other-host"
    OTHER_TOPIC = "other-topic"
    "It came under the topic of another kind of command."
    EXPIRED = "expired"
    TOO_FAR_AHEAD = "too-far-ahead"
    REPEATED = "repeated"
    "Its id was used before."
    NOT_TAKEN = "not-taken"
    "The configuration takes no such command."
    NOT_ALLOWED = "not-allowed"
    "Who signed it has no role that may."


class CommandError(AgentError):
    """A command is to be ignored; `person` signed it, if that is known."""

    hint = "Sign a new one: clocks of both sides must agree within half a minute."

    def __init__(self, why: Why, person: Person | None = None) -> None:
        self.why = why
        self.person = person
        super().__init__(f"The command is ignored: {why}.")


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed."""

    version: int = VERSION
    "Of this form: 1."
    host: Annotated[str, msgspec.Meta(max_length=255)]
    "As in `agent.name`."
    id: Annotated[str, msgspec.Meta(pattern=_UUID)]
    "A random UUID; the answer is found by it."
    expires_utc_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    "Nanoseconds since the Unix epoch, half a minute ahead at most."
    request: dict[str, str | float | int | bool | None]
    "As on the control socket: `type` says which one it is."


@dataclass(frozen=True, slots=True)
class Judged:
    """A command that is believed, and who gave it."""

    command: Command
    person: Person


def sign_command(command: Command, key: SigningKey) -> bytes:
    """The command as it is sent."""
    return sign_document(canonical(command), [key], Namespace.COMMAND)


def judge(
    data: bytes,
    *,
    host: str,
    kind: str,
    signers: Mapping[PublicKey, Person],
    now_utc_ns: int,
    retained: bool = False,
) -> Judged:
    """Whose command this is, if it is for us and for now.

    `kind` is that of the topic under which it came; `signers` are those of the roster
    who are there today. Whether the id was seen before, and whether the person may,
    is for the caller to say. Raises CommandError.
    """
    if len(data) > MAX_COMMAND:
        raise CommandError(Why.TOO_LONG)
    payload, person = _signed_by(data, signers)
    if retained:
        raise CommandError(Why.RETAINED, person)
    try:
        command = parse_canonical(payload, Command, version=VERSION, limit=MAX_COMMAND)
    except CanonicalError:
        raise CommandError(Why.MALFORMED, person) from None
    if command.host != host:
        raise CommandError(Why.OTHER_HOST, person)
    if command.request.get("type") != kind:
        raise CommandError(Why.OTHER_TOPIC, person)
    if command.expires_utc_ns <= now_utc_ns:
        raise CommandError(Why.EXPIRED, person)
    if command.expires_utc_ns > now_utc_ns + MAX_AHEAD_NS:
        raise CommandError(Why.TOO_FAR_AHEAD, person)
    return Judged(command, person)


def _signed_by(
    data: bytes, signers: Mapping[PublicKey, Person]
) -> tuple[bytes, Person]:
    """The line that is signed, and who signed it. Raises CommandError."""
    try:
        payload, armored = split_document(data)
        if len(armored) != 1:
            raise CommandError(Why.UNSIGNED)
        signature = parse_signature(armored[0].encode())
        # Before the costly part: strangers' signatures are not worth a look.
        person = signers.get(signature.key)
        if person is None:
            raise CommandError(Why.UNKNOWN_KEY)
        signature.verify(payload, Namespace.COMMAND)
    except SignatureError:
        raise CommandError(Why.UNSIGNED) from None
    return payload, person
