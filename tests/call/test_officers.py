import pytest

from agent.call.officers import officer_of
from agent.formats.age import KeyKind
from agent.identity.directory import OfficerEntry
from tests.call.site import Site, key


async def test_an_officer_is_who_the_directory_says_and_opens_with_their_key(
    site: Site,
) -> None:
    await site.start()
    officer, recipient = officer_of(site.joint, "201", site.joint.log)
    assert (officer.number, officer.name) == ("201", "One")
    assert str(recipient) == str(key(seed=3))
    assert not site.log


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (None, "officer_unknown"),
        ("", "officer_without_key"),
        ("age1nonsense", "officer_key_unusable"),
        (str(key(KeyKind.POST_QUANTUM)), "officer_key_unusable"),
    ],
)
async def test_who_has_no_key_that_fits_is_named_and_told_of(
    site: Site, entry: str | None, said: str
) -> None:
    found = [] if entry is None else [OfficerEntry("209", "Nine", entry)]
    await site.start(officers=found)
    officer, recipient = officer_of(site.joint, "209", site.joint.log)
    assert officer.number == "209"
    assert recipient is None
    assert site.logged(said)[0]["number"] == "…"
