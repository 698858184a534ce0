from itertools import product

import pytest
from hypothesis import given, strategies as st

from agent.access.purposes import PURPOSES, Purpose
from agent.access.roles import (
    ACTS,
    Allowed,
    Denied,
    Facts,
    Reason,
    decide,
    decide_record,
    decide_state,
)
from agent.formats.audit import Act
from agent.formats.roster import Person, Role

HERE = Facts(there=True, own=False)


def person(*roles: Role) -> Person:
    return Person(id="p-1", name="Somebody", roles=roles)


MATRIX = """
             find release hold restrict annotate request rewrap erase audit-read sweep
quality      x    x       x    .        .        x       x      .     .          .
officer      x    x       .    .        .        .       .      .     .          .
admin        x    x       .    .        .        x       x      x     .          x
case-handler x    x       x    x        x        x       .      x     x          .
dpo          x    x       x    x        x        x       .      .     x          .
"""


def test_the_role_matrix() -> None:
    head, *rows = MATRIX.split("\n")[1:-1]
    for row in rows:
        role, *marks = row.split()
        for act, mark in zip(head.split(), marks, strict=True):
            allowed = Act(act) in ACTS[Role(role)]
            assert allowed == (mark == "x"), (role, act)


@pytest.mark.parametrize("role", Role)
def test_nobody_alters_the_log(role: Role) -> None:
    assert not ACTS[role] & {Act.CONFIG, Act.ROLL, Act.START, Act.STOP, Act.ALARM}


@pytest.mark.parametrize(("role", "purpose"), [*product(Role, Purpose)])
def test_a_purpose_is_for_those_whose_task_it_is(role: Role, purpose: Purpose) -> None:
    decision = decide(person(role), Act.RELEASE, purpose, "HEL-2026/17")
    if purpose in PURPOSES[role]:
        assert decision == Allowed(everyones=role is not Role.OFFICER)
    else:
        assert decision == Denied(Reason.ROLE)


def test_no_release_without_a_purpose_and_no_case_without_its_number() -> None:
    handler = person(Role.CASE_HANDLER)
    assert decide(handler, Act.RELEASE) == Denied(Reason.ROLE)
    assert decide(handler, Act.RELEASE, Purpose.DISCLOSURE) == Denied(Reason.REFERENCE)
    assert decide(handler, Act.HOLD) == Allowed(everyones=True)


def test_an_officer_who_is_quality_staff_too_reaches_all_for_that_alone() -> None:
    both = person(Role.OFFICER, Role.QUALITY)
    assert decide(both, Act.FIND, Purpose.DEVELOPMENT) == Allowed(everyones=True)
    handler = person(Role.OFFICER, Role.CASE_HANDLER)
    assert decide(handler, Act.FIND, Purpose.TRAINING) == Allowed(everyones=False)


def test_a_records_state_is_for_those_who_may_find_it() -> None:
    assert decide_state(person()) == Denied(Reason.ROLE)
    assert decide_state(person(Role.OFFICER)) == Allowed(everyones=False)
    assert decide_state(person(Role.OFFICER, Role.DPO)) == Allowed(everyones=True)


def test_an_officer_has_the_same_answer_for_all_that_is_not_theirs() -> None:
    officer, own = person(Role.OFFICER), Allowed(everyones=False)
    others = [
        Facts(there=there, own=False, restricted=restricted, erased=erased)
        for there, restricted, erased in product((True, False), repeat=3)
    ]
    answers = {decide_record(officer, own, facts) for facts in others}
    assert answers == {Denied(Reason.NOT_OWN)}
    assert decide_record(officer, own, Facts(there=True, own=True)) == own


@pytest.mark.parametrize("role", Role)
def test_restricted_records_are_the_case_handlers(role: Role) -> None:
    facts = Facts(there=True, own=True, restricted=True)
    allowed = Allowed(everyones=True)
    expected = allowed if role is Role.CASE_HANDLER else Denied(Reason.RESTRICTED)
    assert decide_record(person(role), allowed, facts) == expected


def test_what_is_erased_or_never_was() -> None:
    allowed = Allowed(everyones=True)
    quality = person(Role.QUALITY)
    erased = Facts(there=False, own=False, erased=True)
    assert decide_record(quality, allowed, erased) == Denied(Reason.ERASED)
    unknown = Facts(there=False, own=False)
    assert decide_record(quality, allowed, unknown) == Denied(Reason.UNKNOWN)
    assert decide_record(quality, allowed, HERE) == allowed


@given(
    st.lists(st.sampled_from(Role), unique=True),
    st.sampled_from(Act),
    st.none() | st.sampled_from(Purpose),
    st.builds(
        Facts,
        there=st.booleans(),
        own=st.booleans(),
        restricted=st.booleans(),
        erased=st.booleans(),
    ),
)
def test_officers_alone_never_reach_what_is_not_theirs(
    roles: list[Role], act: Act, purpose: Purpose | None, facts: Facts
) -> None:
    who = person(*roles)
    decision = decide(who, act, purpose, "1")
    if isinstance(decision, Allowed):
        decision = decide_record(who, decision, facts)
    if isinstance(decision, Allowed):
        assert facts.own or set(roles) - {Role.OFFICER}
        assert facts.there
        assert not facts.restricted or Role.CASE_HANDLER in roles
