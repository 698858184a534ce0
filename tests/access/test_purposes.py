import pytest

from agent.access.purposes import CASE_BOUND, PURPOSES, Purpose
from agent.formats.roster import Role


@pytest.mark.parametrize("role", Role)
def test_every_role_has_its_purposes(role: Role) -> None:
    assert PURPOSES[role]


@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_is_somebodys(purpose: Purpose) -> None:
    assert any(purpose in purposes for purposes in PURPOSES.values())


def test_what_leaves_the_house_is_a_case_handlers_and_names_its_case() -> None:
    assert [role for role in Role if Purpose.DISCLOSURE in PURPOSES[role]] == [
        Role.CASE_HANDLER
    ]
    assert Purpose.DISCLOSURE in CASE_BOUND
