import pytest

from agent.call.siprec.people import Party
from agent.call.siprec.picking import MAX_VALUES, pick
from tests.call.siprec.recorded import CALLER, Document, invite, two, view


def numbers(parties: tuple[Party, ...]) -> list[str]:
    return [one.number for one in parties]


@pytest.mark.parametrize(
    ("rules", "picked"),
    [
        ((), []),
        (("participant:3",), []),
        (("label:9", "participant:1"), [CALLER]),
        (("aor:sip:*",), [CALLER, "201"]),
        (("extension:x", "directory"), ["201"]),
        (("named:x",), []),
        (("header:From",), []),
    ],
)
def test_the_first_rule_that_picks_anybody(
    rules: tuple[str, ...], picked: list[str]
) -> None:
    assert numbers(pick(rules, view(two()))) == picked


def test_each_is_picked_once() -> None:
    asking = invite(("X-Agents", "201, <sip:201@x>"), ("X-Agents", "0401234567"))
    assert numbers(pick(["header:X-Agents"], view(two(), asking=asking))) == [
        "201",
        CALLER,
    ]


def test_whom_nobody_has_is_somebody_only_where_the_metadata_lacks_a_party() -> None:
    asking = invite(("X-Agent", "900"))
    assert pick(["header:X-Agent"], view(two(), asking=asking)) == ()
    one = Document().party("A", "tel:0401234567")
    assert numbers(pick(["header:X-Agent"], view(one, asking=asking))) == ["900"]
    empty = invite(("X-Agent", "anonymous"))
    assert pick(["header:X-Agent"], view(asking=empty)) == ()


def test_of_a_header_only_what_is_like_the_pattern() -> None:
    asking = invite(("X-Leg", "role=x; 0401234567"), ("X-Leg", "201"))
    assert numbers(pick(["header:X-Leg=2*"], view(two(), asking=asking))) == ["201"]


def test_values_are_bounded() -> None:
    many = invite(("X-Agents", ",".join(map(str, range(1000, 2000)))))
    assert len(pick(["header:X-Agents"], view(asking=many))) == MAX_VALUES
    lines = invite(*[("X-Agents", str(n)) for n in range(1000, 2000)])
    assert len(pick(["header:X-Agents"], view(asking=lines))) == MAX_VALUES
