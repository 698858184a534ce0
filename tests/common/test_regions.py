import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.common.regions import (
    EEA,
    EU,
    PROVIDER_REGIONS,
    RegionConfig,
    country_of,
    is_allowed,
    is_region,
    why_refused,
)

DEFAULT = RegionConfig().allowed


def test_the_union_has_27_countries_and_the_area_three_more() -> None:
    assert len(EU) == 27
    assert sorted(EEA - EU) == ["IS", "LI", "NO"]


@pytest.mark.parametrize(
    "region", ["FI", "NO", "eu-north-1", "europe-north1", "swedencentral", "fi-hel1"]
)
def test_the_area_is_allowed_unasked(region: str) -> None:
    assert is_allowed(region, DEFAULT)


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ("US", "'US' is outside region.allowed (EU, EEA)"),
        ("GB", "'GB' is outside region.allowed (EU, EEA)"),
        (
            "us-east-1",
            "'us-east-1' is in US, which is outside region.allowed (EU, EEA)",
        ),
        # London and Zurich have names that begin like Frankfurt's.
        (
            "eu-west-2",
            "'eu-west-2' is in GB, which is outside region.allowed (EU, EEA)",
        ),
        (
            "eu-central-2",
            "'eu-central-2' is in CH, which is outside region.allowed (EU, EEA)",
        ),
        ("moon-1", "'moon-1' is no region we know, and is not listed in"),
        ("", "no region is stated"),
        ("fi", "'fi' is no region we know, and is not listed in"),
    ],
)
def test_what_is_outside_or_unknown_is_refused_with_the_reason(
    region: str, reason: str
) -> None:
    assert not is_allowed(region, DEFAULT)
    assert why_refused(region, DEFAULT).startswith(reason)


def test_a_list_may_be_narrower_and_may_name_what_no_table_knows() -> None:
    allowed = ("FI", "own-cellar")
    assert is_allowed("FI", allowed)
    assert is_allowed("europe-north1", allowed)
    assert is_allowed("own-cellar", allowed)
    assert not is_allowed("SE", allowed)
    assert not is_allowed("FI", ())


def test_a_region_on_the_list_does_not_let_its_country_in() -> None:
    assert is_allowed("us-east-1", ("us-east-1",))
    assert not is_allowed("us-east-2", ("us-east-1",))
    assert not is_allowed("US", ("us-east-1",))


def test_names_are_unlike_codes_and_every_country_is_one() -> None:
    assert all(is_region(name) and name.islower() for name in PROVIDER_REGIONS)
    assert all(country_of(code) == code for code in PROVIDER_REGIONS.values())


@given(st.text(max_size=50))
def test_nothing_unknown_is_in_the_area(text: str) -> None:
    if is_allowed(text, DEFAULT):
        assert country_of(text) in EEA


@pytest.mark.parametrize("entry", ["", "Europe", "e", "EEA ", "Fi", "-x", "x" * 41])
def test_a_list_holds_groups_countries_and_names(entry: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="allowed"):
        msgspec.convert({"allowed": [entry]}, RegionConfig)


def test_here_must_be_on_the_list_too() -> None:
    assert RegionConfig(here="FI").here == "FI"
    with pytest.raises(ValueError, match="here: 'US' is outside"):
        RegionConfig(here="US")
