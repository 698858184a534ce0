import pytest

from agent.access.purposes import Purpose
from agent.access.reason import Reason, ReasonError

DISCLOSED = {
    "purpose": Purpose.DISCLOSURE,
    "reference": "A/1",
    "recipient": "police",
    "basis": "621/1999:29",
}


def test_what_the_log_is_told() -> None:
    reason = Reason(purpose=Purpose.COMPLAINT, reference="OPH/12-3.4")
    assert reason.words() == {"purpose": "complaint", "reference": "OPH/12-3.4"}
    disclosed = Reason(
        purpose=Purpose.DISCLOSURE,
        reference="A/1",
        recipient="police",
        basis="621/1999:29",
    )
    assert disclosed.words() == {
        "purpose": "disclosure",
        "reference": "A/1",
        "recipient": "police",
        "basis": "621/1999:29",
    }


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"purpose": Purpose.DISCLOSURE}, "reference is missing"),
        ({"purpose": Purpose.LEGAL_CLAIM}, "reference is missing"),
        ({"purpose": Purpose.DISCLOSURE, "reference": "A"}, "needs a recipient"),
        (
            {"purpose": Purpose.DISCLOSURE, "reference": "A", "recipient": "police"},
            "needs a basis",
        ),
        ({"purpose": Purpose.QUALITY, "recipient": "police"}, "alone has a recipient"),
        ({"purpose": Purpose.QUALITY, "basis": "621/1999:11"}, "alone has a basis"),
        ({"purpose": Purpose.QUALITY, "reference": "a b"}, "reference"),
        (
            DISCLOSED | {"recipient": "Maija M"},
            "one word",
        ),
        (
            DISCLOSED | {"recipient": "+358401234567"},
            "no number",
        ),
    ],
)
def test_what_is_no_sufficient_reason(words: dict[str, str], fault: str) -> None:
    with pytest.raises(ReasonError, match=fault) as caught:
        Reason(**words)  # type: ignore[arg-type]
    for text in words.values():
        if " " in text or "+" in text:
            assert text not in str(caught.value)
