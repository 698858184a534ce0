import copy
import pickle
from enum import auto

from agent.signalling.sip.symbol import Symbol


class Colour(Symbol):
    RED = auto()
    GREEN = auto()


class Fruit(Symbol):
    RED = auto()


def test_members_are_keys_of_their_own() -> None:
    table = {(Colour.RED, Fruit.RED): 1, (Colour.GREEN, Fruit.RED): 2}
    assert table[Colour.RED, Fruit.RED] == 1
    assert (Fruit.RED, Colour.RED) not in table
    assert len({Colour.RED, Colour.GREEN, Fruit.RED, Colour["RED"]}) == 3


def test_a_copy_is_the_member_itself() -> None:
    assert copy.deepcopy(Colour.RED) is Colour.RED
    assert pickle.loads(pickle.dumps(Colour.RED)) is Colour.RED  # noqa: S301
