import typing
from dataclasses import fields, is_dataclass

import pytest

from agent.call import commands


@pytest.mark.parametrize("kind", typing.get_args(commands.Command))
def test_commands_are_plain_frozen_values(kind: typing.Any) -> None:
    assert is_dataclass(kind), kind
    make: typing.Any = kind
    made = make(**{field.name: None for field in fields(kind) if field.kw_only})
    assert made == make(**{field.name: None for field in fields(kind)})
    with pytest.raises(AttributeError):
        setattr(made, fields(kind)[0].name, 1)


def test_a_sound_is_played_once_and_is_no_notice_unless_it_says_so() -> None:
    play = commands.Play(legs=("a",), sound="busy")
    assert not play.loop
    assert not play.notice
