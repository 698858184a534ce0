"""Which officer's key opens which segment of a recording session."""

import random

import pytest

from agent.call.siprec.churn import BURST
from agent.call.siprec.state import ChurnState
from agent.formats.age import KeyKind, NoMatchError, generate_identity
from agent.formats.envelope import open_envelope
from tests.call.siprec.client import BOTH, Document, sdp
from tests.call.siprec.sites import CALLER, OFFICER, SECOND, TALK, Recorder, rules
from tests.call.site import until

STRANGER = "0409876543"
KEYS = {"quality": 1, "recovery": 2, OFFICER: 3, SECOND: 4}
"Seeds of identities, those of the site's directory among them."
ALWAYS = {"quality", "recovery"}


def openers(site: Recorder, recording_id: str) -> set[str]:
    """Whose key opens a segment's envelope; the staff's always does."""
    envelope = site.spool.envelope_path(recording_id).read_bytes()
    found = set()
    for name, seed in KEYS.items():
        identity = generate_identity(KeyKind.CLASSIC, random.Random(seed).randbytes)
        try:
            open_envelope(envelope, [identity])
        except NoMatchError:
            continue
        found.add(name)
    assert found >= ALWAYS
    return found - ALWAYS


async def follow(site: Recorder, *documents: Document) -> list[set[str]]:
    """Tell these after the first, each a segment; who opens each of them."""
    site.media.journals = False  # the envelopes stay
    first, *others = documents
    await site.talk_beside(document=first)
    for count, document in enumerate(others, start=2):
        site.client.send("UPDATE", metadata=document.xml)
        await until(lambda n=count: len(site.media.begins) == n, f"segment {count}")
    await until(
        lambda: len(site.media.told("grant_journal")) == len(documents), "envelopes"
    )
    return [openers(site, begin.recording_id) for begin in site.media.begins]


async def test_a_transferred_call(site: Recorder) -> None:
    await site.record()
    after = Document({CALLER: "96", SECOND: "97"})
    assert await follow(site, TALK, after) == [{OFFICER}, {SECOND}]


async def test_a_consultation_before_it(site: Recorder) -> None:
    await site.record()
    consulted = Document({CALLER: "", OFFICER: "97", SECOND: "96"})
    after = Document({CALLER: "96", SECOND: "97"})
    told = await follow(site, TALK, consulted, after)
    assert told == [{OFFICER}, {OFFICER, SECOND}, {SECOND}]


async def test_a_conference_that_one_leaves(site: Recorder) -> None:
    await site.record()
    both = Document({CALLER: "96", OFFICER: "97", SECOND: "98"})
    left = Document({OFFICER: "97"}, mode="partial", left=(OFFICER,))
    told = await follow(site, TALK, both, left)
    assert told == [{OFFICER}, {OFFICER, SECOND}, {SECOND}]


async def test_officers_among_themselves(site: Recorder) -> None:
    await site.record()
    assert await follow(site, Document({OFFICER: "96", SECOND: "97"})) == [
        {OFFICER, SECOND}
    ]


async def test_whom_nobody_can_tell(site: Recorder) -> None:
    await site.record()
    named = [Document({CALLER: "96", STRANGER: "97"}), TALK]
    assert await follow(site, *named) == [set(), {OFFICER}]


async def test_whoever_is_an_officer_only_by_the_rules(site: Recorder) -> None:
    """Their number opens nothing: keys are the directory's to give."""
    await site.record(rules(officer=("label:97",)))
    assert await follow(site, Document({CALLER: "96", STRANGER: "97"})) == [set()]


async def test_people_who_change_too_fast(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.call._session._churn.restore(ChurnState(left=float(BURST)))
    site.client.send("UPDATE", metadata=Document({CALLER: "96", SECOND: "97"}).xml)
    await until(lambda: len(site.media.begins) == 2, "one of nobody's")
    last = site.media.begins[-1].recording_id
    await until(lambda: site.spool.envelope_path(last).exists(), "its envelope")
    assert openers(site, last) == set()


@pytest.mark.parametrize("swapped", [False, True])
async def test_a_label_says_nothing_of_who_may_open(
    site: Recorder, *, swapped: bool
) -> None:
    await site.record()
    await site.talk_beside()
    labels = ("97", "96") if swapped else ("96", "97")
    site.client.send("INVITE", sdp(*BOTH, labels=labels, version=2))
    await site.client.answered(2)
    await until(lambda: len(site.media.begins) == 1 + swapped, "segments")
    last = site.media.begins[-1].recording_id
    await until(lambda: site.spool.envelope_path(last).exists(), "its envelope")
    assert openers(site, last) == {OFFICER}
