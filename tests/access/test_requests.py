from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.access.requests import (
    MAX_DOCUMENT,
    MAX_RECORDINGS,
    Request,
    RequestedAct,
    RequestError,
    Rule,
    parse_request,
    verify_request,
)
from agent.formats.signed import join_document, sign_document
from agent.formats.sshsig import Namespace, PublicKey, SigningKey
from tests.formats import ssh_keygen
from tests.formats.flips import flips
from tests.formats.rosters import roster, signing_key

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ROSTER = roster()
QUINN, DAN, RIKU, OTSO = map(signing_key, ("quinn", "dan", "riku", "otso"))


def uuid(number: int) -> str:
    return str(UUID(int=number, version=4))


def request(**changes: object) -> Request:
    made = Request(
        id=uuid(99),
        act=RequestedAct.ERASE,
        recordings=(uuid(1), uuid(2)),
        reason="subject-request",
        reference="DNRO/2026.17",
        issued="2026-11-23T08:00:00Z",
        expires="2026-11-30T08:00:00Z",
    )
    return msgspec.structs.replace(made, **changes)


def signed(*keys: SigningKey, made: Request | None = None) -> bytes:
    payload = (made or request()).to_bytes()
    return sign_document(payload, keys, Namespace.REQUEST)


def test_two_approvers_answer_for_a_request() -> None:
    approved = verify_request(signed(DAN, QUINN), ROSTER, NOW)
    assert approved.request == request()
    assert [person.id for person in approved.approvers] == ["p-dan", "p-quinn"]


@pytest.mark.parametrize(
    "keys",
    [
        (QUINN,),
        (QUINN, QUINN),
        (QUINN, OTSO),  # takes calls, approves nothing
        (QUINN, RIKU),  # left yesterday
        (QUINN, SigningKey.from_seed(bytes(32))),
    ],
)
def test_one_approver_is_not_enough_whoever_signs_too(
    keys: tuple[SigningKey, ...],
) -> None:
    with pytest.raises(RequestError, match="1 of the trusted keys signed, 2 must"):
        verify_request(signed(*keys), ROSTER, NOW)


def test_who_left_may_approve_on_their_last_day() -> None:
    last = datetime(2026, 11, 22, 21, 59, tzinfo=UTC)  # 23:59 in Helsinki
    early = request(issued="2026-11-22T08:00:00Z")
    data = signed(QUINN, RIKU, made=early)
    assert len(verify_request(data, ROSTER, last).approvers) == 2
    with pytest.raises(RequestError, match="not approved"):
        verify_request(data, ROSTER, last + timedelta(minutes=1))


def test_a_request_has_its_time() -> None:
    data = signed(QUINN, DAN)
    issued, expires = (datetime(2026, 11, day, 8, tzinfo=UTC) for day in (23, 30))
    minute = timedelta(minutes=1)
    verify_request(data, ROSTER, issued - 5 * minute)
    verify_request(data, ROSTER, expires - minute)
    with pytest.raises(RequestError, match="in the future"):
        verify_request(data, ROSTER, issued - 6 * minute)
    with pytest.raises(RequestError, match="has expired"):
        verify_request(data, ROSTER, expires)


def test_what_ssh_keygen_signed_approves_too(tmp_path: Path) -> None:
    private = ssh_keygen.make_key(tmp_path)
    changed = [
        msgspec.structs.replace(
            person,
            signing_key=str(ssh_keygen.public_key(private)),
        )
        if person.id == "p-dan"
        else person
        for person in ROSTER.people
    ]
    payload = request().to_bytes()
    armored = ssh_keygen.sign(private, Namespace.REQUEST, payload)
    own = QUINN.sign(payload, Namespace.REQUEST)
    data = join_document(payload, [own, armored])
    verify_request(data, roster(people=tuple(changed)), NOW)
    assert ssh_keygen.verifies(
        PublicKey.parse(str(QUINN.public)), payload, own, Namespace.REQUEST, tmp_path
    )


def test_every_flipped_bit_is_refused() -> None:
    for flipped in flips(signed(QUINN, DAN)):
        with pytest.raises(RequestError, match="not approved"):
            verify_request(flipped, ROSTER, NOW)


def test_ids_or_a_rule_say_which_recordings_are_meant() -> None:
    day = date(2026, 5, 1)
    named = request()
    assert named.covers(uuid(1), day)
    assert not named.covers(uuid(3), day)
    leaver = Rule(first="2026-05-01", last="2026-05-02", person="p-otso")
    ruled = request(recordings=(), rule=leaver)
    assert parse_request(ruled.to_bytes()) == ruled
    assert ruled.covers(uuid(1), day, {"p-otso", "p-lumi"})
    assert ruled.covers(uuid(1), date(2026, 5, 2), {"p-otso"})
    assert not ruled.covers(uuid(1), date(2026, 5, 3), {"p-otso"})
    assert not ruled.covers(uuid(1), date(2026, 4, 30), {"p-otso"})
    assert not ruled.covers(uuid(1), day, {"p-lumi"})
    everyone = request(recordings=(), rule=Rule(first="2026-05-01", last="2026-05-01"))
    assert everyone.covers(uuid(7), day)


def ruled(**changes: str) -> dict[str, object]:
    rule = Rule(**({"first": "2026-05-01", "last": "2026-05-02"} | changes))
    return {"recordings": (), "rule": rule}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (ruled(last="2026-11-23"), "last day was not over when it was issued"),
        (
            ruled(last="2026-11-22") | {"issued": "2026-11-22T21:59:59Z"},
            "last day was not over",  # in Helsinki
        ),
        ({"version": 2}, "version 2"),
        ({"id": "1"}, "id is not a random UUID"),
        ({"recordings": ()}, "either recordings or a rule"),
        (ruled() | {"recordings": (uuid(1),)}, "either recordings or a rule"),
        ({"recordings": ("../keys",)}, "recording's id is none"),
        ({"recordings": (uuid(2), uuid(1))}, "not sorted"),
        ({"recordings": (uuid(1), uuid(1))}, "twice"),
        ({"recordings": (uuid(1),) * (MAX_RECORDINGS + 1)}, "more than 10000"),
        (ruled(first="2026-05"), "first and last are dates"),
        (ruled(last="2026-W18-5"), "first and last are dates"),
        (ruled(first="2026-05-03"), "after its last"),
        (ruled(person="Otso"), "no id of the roster"),
        ({"reason": "because of it"}, "not one word"),
        ({"reference": "Matti Meikäläinen"}, "reference has characters"),
        ({"gains": ("p-otso",)}, "only a re-wrapping"),
        ({"act": RequestedAct.REWRAP, "gains": ("Otso",)}, "those who gain or lose"),
        ({"act": RequestedAct.REWRAP, "loses": ("p-a",) * 101}, "too many"),
        ({"issued": "2026-11-23"}, "issued and expires are"),
        ({"expires": "2026-11-3T08:00:00Z"}, "issued and expires are"),
        ({"expires": "2026-11-23T08:00:00Z"}, "within 30 days"),
        ({"expires": "2026-12-23T08:00:01Z"}, "within 30 days"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, object], reason: str) -> None:
    data = signed(QUINN, DAN, made=request(**changes))
    with pytest.raises(RequestError, match=reason):
        verify_request(data, ROSTER, NOW)


def test_a_rewrapping_says_who_gains_and_who_loses() -> None:
    made = request(act=RequestedAct.REWRAP, gains=("p-meri",), loses=("p-lumi",))
    assert parse_request(made.to_bytes()) == made


def test_a_request_that_is_too_long_is_not_read() -> None:
    with pytest.raises(RequestError, match="longer than any"):
        verify_request(b"x" * (MAX_DOCUMENT + 1), ROSTER, NOW)


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(RequestError):
        parse_request(data)
    with pytest.raises(RequestError):
        verify_request(data, ROSTER, NOW)
