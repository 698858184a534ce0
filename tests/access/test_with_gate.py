"""A person's tools against the real gate, over ASGI, on real recordings."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.access.annotating import Statement, annotate
from agent.access.config import ControllerConfig
from agent.access.desk import NO_GATE, Desk
from agent.access.facts import Sources, gather
from agent.access.files_out import open_place
from agent.access.finding import Window, find_days, find_id, find_number
from agent.access.gate_client import (
    GateClient,
    GateDeniedError,
    GateRestrictedError,
)
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.access.requests import verify_request
from agent.access.rewrapping import Progress, rewrap
from agent.access.showing import show
from agent.access.standing import hold, lift, restrict, standing, unrestrict
from agent.access.subject import SubjectRequest, answer
from agent.archive.record_state import HoldKind
from agent.formats.age import NoMatchError
from agent.formats.blind_index import blind
from agent.formats.day_keys import DayKey
from agent.formats.envelope import open_envelope, wrap
from agent.formats.layout import envelope_key, index_key, month_of
from agent.formats.roster import Role
from tests.access.site import ASKED, DAY, NOW, OFFICER_NUMBER, QUALITY, Site, maker
from tests.formats.rosters import person
from tests.gate.requests import request, signed_request
from tests.gate.rig import PEOPLE, Rig, opened
from tests.recording.segments import CALLER, Segment, quality

WINDOW = Window(DAY - timedelta(30), DAY)
STAFF = (*PEOPLE, person("helmi", Role.CASE_HANDLER, Role.QUALITY, Role.DPO))
"Helmi answers requests: the same person may open, handle and read the log."


@dataclass
class Guarded:
    """A site whose envelopes have the gate's layer, and desks at its gate."""

    site: Site
    rig: Rig

    async def record(self) -> Segment:
        segment = self.site.record()
        state = self.site.target.state
        keyring = self.rig.parts.keyring
        if not keyring.day_identities(DAY):
            await keyring.new_generation(DAY)
        key = str(keyring.day_identities(DAY)[0].recipient())
        name = envelope_key(DAY, segment.id)
        inner = (self.site.root / "state" / name).read_bytes()
        day = DayKey(day=str(DAY), generation=1, recipient=key)
        await state.replace(name, wrap(inner, segment.id, day, os.urandom))
        month = month_of(DAY)
        for domain, number in (("caller", CALLER), ("officer", OFFICER_NUMBER)):
            value = blind(keyring.index_key(month), domain, number)
            await state.put(index_key(month, domain, value, segment.id), b"")
        return segment

    def desk(self, name: str) -> Desk:
        return replace(
            self.site.desk(index=None, person=f"p-{name}"),
            gate=GateClient(self.rig.as_(name)),
            roster=self.rig.parts.roster(),
        )


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    site = Site(tmp_path / "site")
    async with opened(
        tmp_path, locked=site.target.locked, state=site.target.state, people=STAFF
    ) as rig:
        yield Guarded(site, rig)


async def acts(guarded: Guarded) -> list[tuple[str, str, str]]:
    return [(row.who, row.act, row.purpose) for row in await guarded.rig.rows()]


async def test_find_and_open_by_number_and_the_log_has_both(guarded: Guarded) -> None:
    segment = await guarded.record()
    desk = guarded.desk("quinn")
    assert NO_GATE not in desk.warnings
    found = await find_number(desk, CALLER, "caller", WINDOW, QUALITY)
    assert [(hit.id, hit.day) for hit in found.hits] == [(segment.id, DAY)]
    opened_ = await desk.open(segment.id, QUALITY, day=found.hits[0].day)
    assert opened_.manifest.caller == CALLER
    assert await acts(guarded) == [
        ("p-quinn", "find", "quality"),
        ("p-quinn", "release", "quality"),
    ]


async def test_without_the_gate_storage_opens_nothing(guarded: Guarded) -> None:
    segment = await guarded.record()
    with pytest.raises(NoMatchError):
        await guarded.site.desk().open(segment.id, QUALITY)


async def test_an_officer_reaches_their_own_and_nothing_else(guarded: Guarded) -> None:
    segment = await guarded.record()
    own, other = guarded.desk("otso"), guarded.desk("meri")
    assert (await find_id(own, segment.id)).hits[0].day == DAY
    assert (await own.open(segment.id, QUALITY)).id == segment.id
    found = await find_number(other, CALLER, "caller", WINDOW, QUALITY)
    assert found.hits == ()
    for attempt in (
        other.open(segment.id, QUALITY),
        other.open(segment.id, QUALITY, day=DAY),
        find_id(other, segment.id),
        standing(other, segment.id),
    ):
        with pytest.raises(GateDeniedError):
            await attempt


async def test_a_window_that_one_answer_does_not_hold_is_asked_in_parts(
    guarded: Guarded,
) -> None:
    segment = await guarded.record()
    year = Window(DAY - timedelta(200), DAY)
    found = await find_days(guarded.desk("quinn"), year, QUALITY)
    assert ([hit.id for hit in found.hits], found.truncated) == ([segment.id], False)
    assert len(await guarded.rig.rows()) > 6


async def test_restriction_and_hold(guarded: Guarded) -> None:
    segment = await guarded.record()
    handler = guarded.desk("cara")
    await restrict(handler, segment.id, "disputed", "A/1")
    with pytest.raises(GateRestrictedError):
        await guarded.desk("quinn").open(segment.id, QUALITY)
    assert (await handler.open(segment.id, ASKED)).id == segment.id
    await unrestrict(handler, segment.id)
    assert (await guarded.desk("quinn").open(segment.id, QUALITY)).id == segment.id
    review = guarded.rig.parts.today() + timedelta(60)
    name = await hold(handler, segment.id, HoldKind.LEGAL_CLAIM, review, "A/1")
    [held] = (await standing(handler, segment.id)).holds
    assert (held.id, held.owner, held.review) == (name, "p-cara", review.isoformat())
    await lift(handler, segment.id, name)
    assert (await standing(handler, segment.id)).holds == ()


async def test_an_annotation_passes_the_gate_unread(guarded: Guarded) -> None:
    segment = await guarded.record()
    desk = guarded.desk("helmi")
    longest = Statement("statement", "ä" * 6000)
    assert await annotate(desk, segment.id, longest, ASKED, NOW) == 1
    shown = await show(desk, segment.id, ASKED)
    assert [one.text for one in shown.annotations] == [longest.text]


async def test_a_subjects_request(guarded: Guarded, tmp_path: Path) -> None:
    one, two = await guarded.record(), await guarded.record()
    asked = SubjectRequest(number=CALLER, window=WINDOW, masks={})
    facts = gather(Sources(today=NOW.date(), controller=ControllerConfig()))
    with open_place(tmp_path / "answer") as place:
        contents = await answer(guarded.desk("helmi"), asked, maker(), facts, place)
    assert {given.id for given in contents.recordings} == {one.id, two.id}
    assert not any(given.why_not for given in contents.recordings)
    assert contents.uses_told
    uses = (tmp_path / "answer" / "uses.json").read_text()
    assert "subject-request" in uses
    assert "p-helmi" not in uses
    purposes = {purpose for _, act, purpose in await acts(guarded) if act == "release"}
    assert purposes == {Purpose.SUBJECT_REQUEST}


async def test_envelopes_are_made_anew_by_an_approved_request(
    guarded: Guarded, tmp_path: Path
) -> None:
    segment = await guarded.record()
    desk = guarded.desk("quinn")
    made = request(guarded.rig, "rewrap", recordings=(segment.id,), reason="rotation")
    document = signed_request(made)
    now = guarded.rig.clock.moment
    approved = verify_request(document, guarded.rig.parts.roster(), now)
    progress = Progress(tmp_path / "done", made.id)
    refused = await rewrap(desk, approved, progress)
    assert set(refused.failed) == {segment.id}  # nobody has handed it in
    assert desk.gate is not None
    await desk.gate.submit(document)
    report = await rewrap(desk, approved, progress)
    assert (report.done, report.failed) == (1, {})
    # A key that the roster does not name: that of the tests' own quality.
    with pytest.raises(NoMatchError):
        await desk.open(segment.id, QUALITY)
    _, envelope = await desk.envelope(
        segment.id, Reason(purpose=Purpose.TRAINING), day=DAY
    )
    with pytest.raises(NoMatchError):
        open_envelope(envelope, [quality().identity])
