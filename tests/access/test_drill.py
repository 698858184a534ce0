import os

import pytest

from agent.access.desk import DeskError
from agent.access.drill import DrillResult, DrillRow, drill, only, passed
from agent.formats.age import Identity, KeyKind, PayloadError, generate_identity
from agent.formats.envelope import SegmentKey


def key(kind: KeyKind = KeyKind.CLASSIC) -> Identity:
    return generate_identity(kind, os.urandom)


@pytest.mark.parametrize("kind", KeyKind)
def test_who_opened_it_who_could_not_and_who_was_not_there(kind: KeyKind) -> None:
    good, recovery, forgotten, away, stranger = (key(kind) for _ in range(5))
    recipients = [one.recipient() for one in (good, recovery, away)]
    envelope = SegmentKey.generate(kind, os.urandom).seal(recipients, os.urandom)
    holders = {
        "p-good": str(good.recipient()),
        "p-forgotten": str(forgotten.recipient()),
        "p-away": str(away.recipient()),
        "recovery-1": str(recovery.recipient()),
    }
    rows = drill(envelope, holders, [good, recovery, forgotten, stranger])
    assert rows == [
        DrillRow("p-good", DrillResult.OPENED),
        DrillRow("p-forgotten", DrillResult.FAILED),
        DrillRow("p-away", DrillResult.ABSENT),
        DrillRow("recovery-1", DrillResult.OPENED),
        DrillRow("unknown", DrillResult.STRANGE),
    ]
    assert not passed(rows)
    some = drill(envelope, holders, [good, recovery])
    assert {row.result for row in some} == {DrillResult.OPENED, DrillResult.ABSENT}
    assert not passed(some)
    alone = drill(envelope, only(holders, ["recovery-1"]), [recovery])
    assert alone == [DrillRow("recovery-1", DrillResult.OPENED)]
    assert passed(alone)
    assert only(holders, []) == holders
    with pytest.raises(DeskError, match="holds no key that opens everything"):
        only(holders, ["p-good", "p-nobody"])


def test_a_drill_without_a_key_proves_nothing() -> None:
    one = key()
    envelope = SegmentKey.generate(KeyKind.CLASSIC, os.urandom).seal(
        [one.recipient()], os.urandom
    )
    assert not passed(drill(envelope, {"p-one": str(one.recipient())}, []))


def test_an_envelope_that_was_altered_is_named_as_that() -> None:
    one = key()
    envelope = SegmentKey.generate(KeyKind.CLASSIC, os.urandom).seal(
        [one.recipient()], os.urandom
    )
    flipped = envelope[:-1] + bytes((envelope[-1] ^ 1,))
    with pytest.raises(PayloadError):
        drill(flipped, {"p-one": str(one.recipient())}, [one])
