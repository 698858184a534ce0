import msgspec
import pytest

from agent.retention.config import RetentionConfig


def read(**keys: object) -> RetentionConfig:
    return msgspec.convert(keys, RetentionConfig)


def test_a_year_needs_no_decision() -> None:
    assert read().policy().id == "P1Y"
    assert read(period="P90D").policy().id == "P90D"


def test_more_than_a_year_needs_one_that_is_recorded() -> None:
    with pytest.raises(msgspec.ValidationError, match="decision must say where"):
        read(period="P2Y")
    with pytest.raises(msgspec.ValidationError, match="decision must say where"):
        read(period="P2Y", decision=" ")
    assert read(period="P2Y", decision="12/2026").policy().id == "P2Y"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"period": "a year"}, "period: This is no period"),
        ({"timezone": "Asia/Tokyo"}, "must be Europe/Helsinki"),
        ({"wait": -1.0}, "wait must be"),
        ({"wait": 90000.0}, "wait must be"),
        ({"late_uploads": 6}, "late_uploads must be"),
        ({"late_uploads": 61}, "late_uploads must be"),
        ({"hold": 1}, "unknown field"),
    ],
)
def test_each_mistake_is_named(keys: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        read(**keys)
