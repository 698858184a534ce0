import base64
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from agent.call.siprec.grouping import group_of
from agent.common.ids import new_id
from agent.formats.layout import valid_id

UUID_64 = "7+OTCyoxTmqmqyA/1weDAg=="
UUID_TEXT = "efe3930b-2a31-4e6a-a6ab-203fd7078302"
SONUS = "MTQ3YzA3YzAtNjdkNy0xMA=="
"Sixteen characters of text, unique to nobody."


@dataclass(frozen=True)
class Session:
    id: str


@dataclass(frozen=True)
class State:
    group: str = ""
    sessions: tuple[Session, ...] = ()


def group(state: State, peer: str = "sbc") -> str:
    return group_of(state, peer=peer, fallback="0")


def test_a_uuid_makes_the_same_group_on_every_host_whoever_says_it() -> None:
    made = group(State(UUID_64))
    assert valid_id(made)
    assert made == group(State(UUID_64, (Session("x"),)), peer="other")
    assert made == group(State(UUID_TEXT))
    assert made == group(State(f"urn:uuid:{UUID_TEXT}"))
    # The group's own id is a client's, and may be another recording's id.
    assert made != UUID_TEXT


def test_without_a_group_the_session_ties() -> None:
    made = group(State(sessions=(Session(""), Session(UUID_64), Session("b"))))
    assert made == group(State(UUID_64))


@pytest.mark.parametrize(
    "named", ["00FA0800705D4C5DCAAC41", SONUS, "1", "a=b", "\udc80"]
)
def test_what_is_no_uuid_counts_with_its_client_only(named: str) -> None:
    made = group(State(named))
    assert valid_id(made)
    assert made == group(State(named))
    assert made != group(State(named), peer="other")


def test_metadata_that_names_nothing_leaves_the_call_its_own_group() -> None:
    own = new_id()
    assert group_of(State(sessions=(Session(""),)), peer="p", fallback=own) == own


@given(st.text(min_size=1))
def test_whatever_is_named_the_group_is_an_id(named: str) -> None:
    assert valid_id(group(State(named)))


@given(st.uuids(version=4))
def test_both_forms_of_a_uuid_are_one(value: UUID) -> None:
    text = base64.b64encode(value.bytes).decode()
    assert group(State(text)) == group(State(str(value)))
