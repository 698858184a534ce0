from agent.signalling.siprec.bounded_table import Allowance, BoundedTable
from agent.signalling.siprec.metadata import NameId


def test_tables_share_what_they_may_hold() -> None:
    one, two = NameId("a" * 50), NameId("b" * 50)
    room = Allowance(100)
    first = BoundedTable[str, NameId](room)
    second = BoundedTable[str, NameId](room)
    assert first.put("x", one)
    assert not second.put("y", two)
    assert "y" not in second
    assert second.get("y") is None
    first.remove("x")
    assert room.left == 100
    assert second.put("y", two)
    assert list(second) == ["y"]
    assert second.values() == (two,)
    assert len(second) == 1


def test_a_value_in_place_of_another_takes_what_it_has_more() -> None:
    room = Allowance(100)
    table = BoundedTable[str, NameId](room)
    assert table.put("x", NameId("a" * 60))
    assert table.put("x", NameId("b" * 65))
    assert not table.put("x", NameId("c" * 100))
    assert table.get("x") == NameId("b" * 65)
    table.remove("x")
    assert room.left == 100
