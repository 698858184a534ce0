import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from agent.formats.canonical import canonical
from agent.formats.command import (
    MAX_AHEAD_NS,
    MAX_COMMAND,
    Command,
    CommandError,
    Judged,
    Why,
    judge,
    sign_command,
)
from agent.formats.roster import Person, Role
from agent.formats.signed import join_document, sign_document
from agent.formats.sshsig import Namespace, SigningKey

KEY = SigningKey.from_seed(b"1" * 32)
STRANGER = SigningKey.from_seed(b"2" * 32)
ANNA = Person(id="p-1", name="Anna", roles=(Role.ADMIN,), signing_key=str(KEY.public))
NOW = 1_800_000_000_000_000_000
ID = "00000000-0000-4000-8000-000000000001"


@dataclass
class Site:
    signers: dict[Any, Person] = field(default_factory=lambda: {KEY.public: ANNA})

    def judge(self, data: bytes, **more: Any) -> Judged:
        given: dict[str, Any] = {"host": "host-a", "kind": "pause", "now_utc_ns": NOW}
        return judge(data, signers=self.signers, **(given | more))

    def why(self, data: bytes, **more: Any) -> tuple[Why, str]:
        with pytest.raises(CommandError) as caught:
            self.judge(data, **more)
        person = caught.value.person
        return caught.value.why, "" if person is None else person.id


def command(**more: Any) -> Command:
    given: dict[str, Any] = {
        "host": "host-a",
        "id": ID,
        "expires_utc_ns": NOW + MAX_AHEAD_NS,
        "request": {"type": "pause", "call_id": "c", "seconds": 20.5},
    }
    return Command(**(given | more))


def signed(**more: Any) -> bytes:
    return sign_command(command(**more), KEY)


def test_a_command_is_believed() -> None:
    judged = Site().judge(signed())
    assert judged.person is ANNA
    assert judged.command == command()


def test_what_is_ignored_and_who_is_known_to_have_signed_it() -> None:
    site = Site()
    assert site.why(signed(), retained=True) == (Why.RETAINED, "p-1")
    assert site.why(b"", retained=True) == (Why.UNSIGNED, "")
    assert site.why(b"x" * (MAX_COMMAND + 1)) == (Why.TOO_LONG, "")
    assert site.why(b"") == (Why.UNSIGNED, "")
    assert site.why(canonical(command())) == (Why.UNSIGNED, "")
    assert site.why(sign_command(command(), STRANGER)) == (Why.UNKNOWN_KEY, "")
    assert site.why(signed(host="host-b")) == (Why.OTHER_HOST, "p-1")
    assert site.why(signed(), kind="resume") == (Why.OTHER_TOPIC, "p-1")
    assert site.why(signed(request={"call_id": "c"})) == (Why.OTHER_TOPIC, "p-1")


@pytest.mark.parametrize(
    ("ahead", "why"),
    [
        (-1, Why.EXPIRED),
        (0, Why.EXPIRED),
        (1, None),
        (MAX_AHEAD_NS, None),
        (MAX_AHEAD_NS + 1, Why.TOO_FAR_AHEAD),
    ],
)
def test_it_is_good_for_half_a_minute(ahead: int, why: Why | None) -> None:
    data = signed(expires_utc_ns=NOW + ahead)
    if why is None:
        assert Site().judge(data)
    else:
        assert Site().why(data) == (why, "p-1")


def test_no_signature_for_something_else_counts() -> None:
    payload = canonical(command())
    for namespace in Namespace:
        data = sign_document(payload, [KEY], namespace)
        if namespace is not Namespace.COMMAND:
            assert Site().why(data) == (Why.UNSIGNED, "")


def test_two_signatures_are_none() -> None:
    data = sign_document(canonical(command()), [KEY, KEY], Namespace.COMMAND)
    assert Site().why(data) == (Why.UNSIGNED, "")


def test_a_signature_is_of_one_command() -> None:
    other = canonical(command(request={"type": "pause", "call_id": "other"}))
    armored = KEY.sign(canonical(command()), Namespace.COMMAND)
    assert Site().why(join_document(other, [armored])) == (Why.UNSIGNED, "")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d | {"id": "not a uuid"},
        lambda d: d | {"id": ID.upper().replace("0", "A")},
        lambda d: d | {"more": 1},
        lambda d: d | {"version": 2},
        lambda d: d | {"expires_utc_ns": 2**70},
        lambda d: d | {"request": {"type": "pause", "deep": {"er": 1}}},
        lambda d: {k: v for k, v in d.items() if k != "host"},
        lambda d: [d],
    ],
)
def test_what_is_signed_and_is_no_command(change: Callable[[Any], Any]) -> None:
    document = change(msgspec.to_builtins(command()))
    data = sign_document(canonical(document), [KEY], Namespace.COMMAND)
    assert Site().why(data) == (Why.MALFORMED, "p-1")


def test_no_bit_of_it_can_be_altered() -> None:
    data = signed()
    for at in range(0, len(data), 7):
        for bit in (1, 0x20):
            altered = bytearray(data)
            altered[at] ^= bit
            try:
                judged = Site().judge(bytes(altered))
            except CommandError:
                continue
            # Of the armour a blank may differ, of what is signed nothing.
            assert judged.command == command()


def test_garbage_is_ignored_and_nothing_else() -> None:
    for size in (1, 10, 100, 1000):
        for _ in range(50):
            with pytest.raises(CommandError):
                Site().judge(os.urandom(size))
