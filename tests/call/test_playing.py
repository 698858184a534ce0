from typing import Any

from agent.call.commands import Play
from agent.call.playing import Playing
from tests.call.site import Site, until


async def playing(site: Site) -> tuple[Playing, Any]:
    """What is played to the two legs of a call, as if nothing had been before."""
    await site.start()
    await site.talk()
    [call] = site.control._calls.values()
    site.media.plays = False
    legs = call._legs  # type: ignore[attr-defined]
    return Playing(site.joint, legs), [leg.media_id for leg in legs.all()]


async def test_a_notice_counts_once_all_have_heard_it(site: Site) -> None:
    sounds, (a, b) = await playing(site)
    sounds.play(Play(legs=("b1", "a"), sound="fi-0", notice=True))
    second, first = site.media._token - 1, site.media._token
    ended = site.media.play_ended(b, second)
    assert sounds.ended(ended) == (False, None)
    failed, proof = sounds.ended(site.media.play_ended(a, first))
    assert not failed
    assert proof is not None
    assert proof.language == "fi"
    await until(lambda: True)


async def test_a_notice_that_breaks_off_has_failed(site: Site) -> None:
    sounds, (a, _) = await playing(site)
    sounds.play(Play(legs=("a",), sound="fi-0", notice=True))
    broken = site.media.play_ended(a, site.media._token, completed=False)
    assert sounds.ended(broken) == (True, None)
    assert sounds.ended(broken) == (False, None)  # told once


async def test_a_tone_that_ends_means_nothing(site: Site) -> None:
    sounds, (a, _) = await playing(site)
    sounds.play(Play(legs=("a",), sound="ringback", loop=True))
    broken = site.media.play_ended(a, site.media._token, completed=False)
    assert sounds.ended(broken) == (False, None)
