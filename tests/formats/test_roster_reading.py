import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.formats.age import KeyKind
from agent.formats.roster import GateEntry, Host, Role, RosterError
from agent.formats.roster_reading import (
    MAX_HOSTS,
    MAX_KEYS,
    MAX_MISTAKES,
    parse_roster,
    verify_roster,
)
from agent.formats.signed import join_document, sign_document
from agent.formats.sshsig import Namespace, PublicKey
from tests.formats import ssh_keygen
from tests.formats.flips import flips
from tests.formats.rosters import (
    ROOT,
    person,
    recipient,
    roster,
    signed,
    signing_key,
    spki,
)

QUINN = person("quinn", Role.QUALITY)


def test_a_signed_roster_is_read() -> None:
    assert verify_roster(signed(), ROOT.public) == roster()
    assert verify_roster(signed(), ROOT.public, floor=7).serial == 7


def test_the_stock_tool_signs_and_verifies_a_roster(tmp_path: Path) -> None:
    root = ssh_keygen.make_key(tmp_path)
    payload = roster().to_bytes()
    armored = ssh_keygen.sign(root, Namespace.ROSTER, payload)
    public = ssh_keygen.public_key(root)
    assert verify_roster(join_document(payload, [armored]), public) == roster()
    ours = ROOT.sign(payload, Namespace.ROSTER)
    assert ssh_keygen.verifies(ROOT.public, payload, ours, Namespace.ROSTER, tmp_path)


def test_an_older_roster_is_refused() -> None:
    with pytest.raises(RosterError, match="serial is 7, and 8 has been seen"):
        verify_roster(signed(), ROOT.public, floor=8)


def test_a_roster_by_another_root_is_refused() -> None:
    other = signing_key("other").public
    with pytest.raises(RosterError, match="its signature: 0 of the trusted keys"):
        verify_roster(signed(), other)
    with pytest.raises(RosterError, match=r"its signature: .* not signed"):
        verify_roster(roster().to_bytes(), ROOT.public)
    list_ = sign_document(roster().to_bytes(), [ROOT], Namespace.DAY_KEYS)
    with pytest.raises(RosterError, match="not for a recording-agent-roster"):
        verify_roster(list_, ROOT.public)


def test_every_flipped_bit_is_refused() -> None:
    small = signed(roster(people=(QUINN,), hosts=()))
    for flipped in flips(small):
        with pytest.raises(RosterError, match="its signature: "):
            verify_roster(flipped, ROOT.public)


def test_a_signature_does_not_make_up_for_the_form() -> None:
    payload = roster().to_bytes().replace(b'"version":1', b'"version":2')
    data = sign_document(payload, [ROOT], Namespace.ROSTER)
    with pytest.raises(RosterError, match=r"its form: .* version 2"):
        verify_roster(data, ROOT.public)


def people(*changed: object) -> dict[str, object]:
    return {"people": (QUINN, *changed)}


def officer(**changes: object) -> dict[str, object]:
    return people(person("otso", Role.OFFICER, **changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"serial": 0}, "serial: "),
        ({"serial": 2**53}, "serial: "),
        ({"issued": "2026-11-29"}, "issued: "),
        ({"issued": "2026-02-30T00:00:00Z"}, "issued: "),
        ({"issued": "2026-2-3T00:00:00Z"}, "issued: "),
        (officer(id="Otso"), r"people\[1\].id: "),
        (officer(id="p-" + "x" * 39), r"people\[1\].id: "),
        (officer(id="p-quinn"), r"its id stands at people\[0\] \(p-quinn\)"),
        (officer(name=""), r"people\[1\] \(p-otso\).name: "),
        (officer(name="x" * 201), "name: "),
        (officer(name="a\nb"), "name: "),
        (officer(roles=(Role.DPO, Role.DPO)), "roles: "),
        (officer(numbers=("0401234567",)), "numbers: E.164"),
        (officer(numbers=("201", "201")), r"at the same time people\[1\]'s"),
        (officer(numbers=tuple(map(str, range(1, 99)))), "more numbers or"),
        (officer(recipient="age1nonsense"), "recipient: "),
        (officer(recipient=recipient("otso") + " "), "something stands beside"),
        (officer(recipient=recipient("quinn")), "its key stands at people.0.*recip"),
        (officer(recipient="AGE-SECRET-KEY-1QQ"), "secret key where a public"),
        (people(person("r", Role.QUALITY, recipient="")), "quality staff need one"),
        (officer(certificates=("sha256:AB",)), "certificates: sha256"),
        (officer(certificates=(spki("quinn"),)), "its certificate stands at"),
        (officer(signing_key="ssh-rsa AAAA"), "signing_key: ssh-rsa is not"),
        (officer(signing_key=f"{QUINN.signing_key} a"), "without a comment"),
        (officer(signing_key=QUINN.signing_key), "its key stands at people.0.*sign"),
        (officer(signing_key="", approver=True), "an approver needs one"),
        (officer(since="20261129"), "since and until are dates"),
        (officer(until="2026-W48-7"), "since and until are dates"),
        (officer(since="2026-11-29", until="2026-11-28"), "until is before since"),
        (
            people(
                person("a", Role.OFFICER, numbers=("201",), until="2026-05-01"),
                person("b", Role.OFFICER, numbers=("201",), since="2026-05-01"),
            ),
            r"people\[2\].numbers: one of them is at the same time people\[1\]'s",
        ),
        (
            people(
                *(
                    person(
                        f"x{day}",
                        Role.OFFICER,
                        numbers=("201",),
                        since=f"2{day:03}-01-01",
                        until=f"2{day:03}-01-02",
                    )
                    for day in range(MAX_KEYS + 1)
                )
            ),
            "too many have had one of them",
        ),
        ({"hosts": (Host(name="", key=QUINN.signing_key),)}, r"hosts\[0\].name: "),
        ({"hosts": (Host(name="a", key=QUINN.signing_key),)}, r"hosts\[0\].key: its"),
        (
            {"hosts": (Host(name="a", key="", certificates=("sha256:",)),)},
            r"hosts\[0\].certificates",
        ),
        (
            {"hosts": (Host(name="a", key="", certificates=("x",) * 99),)},
            r"hosts\[0\]: there are more certificates",
        ),
        ({"hosts": (Host(name="a", key=""),) * (MAX_HOSTS + 1)}, "more people or"),
        ({"gate": (GateEntry(key="x"),)}, r"gate\[0\].key: This is not"),
        (
            {"gate": (GateEntry(key="x", since="today"),)},
            r"gate\[0\]: since and until are dates",
        ),
        (
            {"hosts": (Host(name="a", key="", since="2026-02", until="2026-01"),)},
            r"hosts\[0\]: since and until are dates",
        ),
        ({"gate": (GateEntry(key="x"),) * 65}, "more keys of the gate"),
        ({"recovery": ()}, "an offline recovery key is needed"),
        ({"recovery": ("age1",)}, r"recovery\[0\]: "),
        ({"people": ()}, "must be two keys at least"),
        (
            {"recovery": (recipient("recovery", KeyKind.POST_QUANTUM),)},
            "mix classic and post-quantum",
        ),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(RosterError, match=reason) as caught:
        parse_roster(roster(**changes).to_bytes())
    assert "Otso" not in str(caught.value).replace("p-otso", "")


def test_all_mistakes_are_named_at_once() -> None:
    bad = [person(f"x{i}", Role.OFFICER, name="", recipient="") for i in range(200)]
    with pytest.raises(RosterError) as caught:
        parse_roster(roster(serial=0, people=(QUINN, *bad)).to_bytes())
    assert len(caught.value.mistakes) == MAX_MISTAKES
    assert caught.value.mistakes[0].startswith("serial: ")


def test_a_successor_may_have_a_number_from_the_next_day() -> None:
    pair = (
        person("a", Role.OFFICER, numbers=("201",), until="2026-04-30"),
        person("b", Role.OFFICER, numbers=("201",), since="2026-05-01"),
    )
    parse_roster(roster(**people(*pair)).to_bytes())


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(RosterError):
        parse_roster(data)
    with pytest.raises(RosterError):
        verify_roster(data, ROOT.public)


DOCUMENT = msgspec.json.decode(roster().to_bytes())
TEXT = st.text(max_size=12) | st.sampled_from(["p-a", "201", spki("x"), recipient("x")])


@given(
    key=st.sampled_from(["id", "name", "roles", "numbers", "recipient", "since"]),
    value=TEXT | st.none() | st.integers() | st.lists(TEXT, max_size=3),
)
def test_a_strange_value_is_refused_or_stands_as_it_is(key: str, value: object) -> None:
    changed = DOCUMENT | {"people": [DOCUMENT["people"][0] | {key: value}]}
    payload = msgspec.json.encode(changed, order="sorted") + b"\n"
    with contextlib.suppress(RosterError):
        assert parse_roster(payload).to_bytes() == payload


def test_a_public_key_of_a_roster_reads_back() -> None:
    assert str(PublicKey.parse(QUINN.signing_key)) == QUINN.signing_key
