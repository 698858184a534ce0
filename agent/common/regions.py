"""`[region]`: where recordings and all that is told of them may go.

A target carries the region that its operator states: a country (ISO 3166-1 alpha-2),
or a provider's name for one of its regions, which is looked up here. Nothing measures
where a computer stands: that is in the contract with whoever runs it.
"""

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import msgspec

_EU: Final = """
AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK
"""
EU: Final = frozenset(_EU.split())
EEA: Final = EU | {"IS", "LI", "NO"}
GROUPS: Final = MappingProxyType({"EU": EU, "EEA": EEA})

_BY_COUNTRY: Final = {
    # Amazon; Google; Microsoft; OVH, Scaleway, UpCloud, Hetzner, Exoscale, IONOS.
    "AT": "at-vie-1 at-vie-2",
    "AU": "ap-southeast-2 australiaeast",
    "BE": "europe-west1 belgiumcentral",
    "BR": "sa-east-1 brazilsouth",
    "CA": "ca-central-1 ca-west-1 canadacentral",
    "CH": "eu-central-2 europe-west6 switzerlandnorth ch-gva-2 ch-dk-2",
    "DE": "eu-central-1 europe-west3 europe-west10 germanywestcentral germanynorth"
    " de fsn1 nbg1 de-fra-1 de-muc-1 de-fra1",
    "DK": "denmarkeast",
    "ES": "eu-south-2 europe-southwest1 spaincentral es-mad1",
    "FI": "europe-north1 fi-hel1 fi-hel2 hel1",
    "FR": "eu-west-3 europe-west9 francecentral francesouth gra sbg rbx eu-west-par"
    " fr-par",
    "GB": "eu-west-2 europe-west2 uksouth ukwest uk uk-lon1",
    "IE": "eu-west-1 northeurope",
    "IN": "ap-south-1 ap-south-2 asia-south1 centralindia",
    "IT": "eu-south-1 europe-west8 europe-west12 italynorth",
    "JP": "ap-northeast-1 ap-northeast-3 asia-northeast1 japaneast",
    "NL": "europe-west4 westeurope nl-ams nl-ams1",
    "NO": "norwayeast norwaywest no-svg1",
    "PL": "europe-central2 polandcentral waw pl-waw pl-waw1",
    "SE": "eu-north-1 europe-north2 swedencentral se-sto1",
    "SG": "ap-southeast-1 asia-southeast1 southeastasia",
    "US": "us-east-1 us-east-2 us-west-1 us-west-2 us-central1 us-east1 us-east4"
    " us-west1 eastus eastus2 westus westus2 centralus us-chi1 us-nyc1 us-sjo1",
}
PROVIDER_REGIONS: Final = MappingProxyType(
    {name: country for country, names in _BY_COUNTRY.items() for name in names.split()}
)
"Providers' names of regions, and the country each lies in."

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")


class RegionConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Where this host is, and where its targets may be."""

    here: str = ""
    "Country of this host and of the directories it stores to; empty: not told."
    allowed: tuple[str, ...] = ("EU", "EEA")
    "Groups (EU, EEA), countries, or names of regions: a name here needs no table."

    def __post_init__(self) -> None:
        for entry in self.allowed:
            if entry not in GROUPS and not is_region(entry):
                raise ValueError(f"allowed: {entry!r} is no group, country or region")
        if self.here and not is_allowed(self.here, self.allowed):
            raise ValueError(f"here: {why_refused(self.here, self.allowed)}")


def is_region(text: str) -> bool:
    """Whether this is written as a country's code or as a region's name is."""
    return bool(_COUNTRY.fullmatch(text) or _NAME.fullmatch(text))


def country_of(region: str) -> str | None:
    """The country that a region lies in; None if nobody has said where that is."""
    return region if _COUNTRY.fullmatch(region) else PROVIDER_REGIONS.get(region)


def is_allowed(region: str, allowed: Sequence[str]) -> bool:
    """Whether a region is on the list, by itself, its country or a group of those."""
    country = country_of(region)
    return any(
        entry in {region, country} or country in GROUPS.get(entry, ())
        for entry in allowed
    )


def why_refused(region: str, allowed: Sequence[str]) -> str:
    """What to say of a region that is not on the list."""
    if not region:
        return "no region is stated"
    country = country_of(region)
    if country is None:
        return f"{region!r} is no region we know, and is not listed in region.allowed"
    where = repr(region) if region == country else f"{region!r} is in {country}, which"
    return f"{where} is outside region.allowed ({', '.join(allowed)})"
