import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.access.desk import Desk
from agent.access.requests import Approved, Request, RequestedAct, Rule
from agent.access.rewrapping import Progress, RewrapError, Rewrapped, rewrap
from agent.common.ids import new_id
from agent.formats.age import Identity, KeyKind, NoMatchError, generate_identity
from agent.formats.envelope import open_envelope
from agent.formats.layout import envelope_key
from agent.formats.roster import Role, Roster
from tests.access.site import DAY, OFFICER_NUMBER, QUALITY, Site, with_two_targets
from tests.formats.rosters import person, roster
from tests.recording.segments import Segment, quality


def identity(name: str) -> Identity:
    """The secret key of what tests.formats.rosters calls by that name."""
    seed = hashlib.sha256(name.encode()).digest()
    return generate_identity(KeyKind.CLASSIC, lambda size: seed[:size])


STAFF: Roster = roster()
"Quality is quinn, the officer of the calls is otso."


def request(*ids: str, rule: Rule | None = None, **changes: object) -> Approved:
    made = Request(
        id=new_id(),
        act=RequestedAct.REWRAP,
        recordings=tuple(sorted(ids)),
        rule=rule,
        reason="rotation",
        issued="2026-11-29T08:00:00Z",
        expires="2026-12-05T08:00:00Z",
    )
    return Approved(msgspec.structs.replace(made, **changes), ())


def opens(site: Site, segment: Segment, key: Identity) -> bool:
    envelope = site.root / "state" / envelope_key(DAY, segment.id)
    try:
        opened = open_envelope(envelope.read_bytes(), [key])
    except NoMatchError:
        return False
    assert opened.recipient == segment.key.recipient
    return True


async def run(
    desk: Desk, approved: Approved, path: Path, seen: list[tuple[int, int]]
) -> Rewrapped:
    progress = Progress(path, approved.request.id)
    return await rewrap(
        desk,
        approved,
        progress,
        on_progress=lambda done, all_: seen.append((done, all_)),
    )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def desk(site: Site) -> Desk:
    return replace(site.desk(), roster=STAFF)


@pytest.mark.parametrize("by_rule", [False, True])
async def test_todays_people_open_it_and_the_old_key_does_not(
    site: Site, desk: Desk, tmp_path: Path, *, by_rule: bool
) -> None:
    one, two = site.record(), site.record()
    rule = Rule(first="2026-11-23", last="2026-11-23") if by_rule else None
    approved = request(*(() if by_rule else (one.id, two.id)), rule=rule)
    seen: list[tuple[int, int]] = []
    report = await run(desk, approved, tmp_path / "done", seen)
    assert (report.done, report.before, report.failed) == (2, 0, {})
    assert seen == [(1, 2), (2, 2)]
    for segment in (one, two):
        for name in ("quinn", "recovery", "otso"):
            assert opens(site, segment, identity(name)), name
        for name in ("riku", "lumi", "meri", "stranger"):
            assert not opens(site, segment, identity(name)), name
        assert not opens(site, segment, quality().identity)
        newcomer = replace(desk, identities=(identity("quinn"),))
        opened = await newcomer.open(segment.id, QUALITY)
        assert opened.manifest.id == segment.id


async def test_every_target_gets_the_new_envelope(
    site: Site, desk: Desk, tmp_path: Path
) -> None:
    segment = site.record()
    other = Site(tmp_path / "other")
    site.copy_to(other)
    await run(with_two_targets(desk, other), request(segment.id), tmp_path / "done", [])
    for one in (site, other):
        assert opens(one, segment, identity("quinn"))
        assert not opens(one, segment, quality().identity)


async def test_it_goes_on_where_it_was_broken_off(
    site: Site, desk: Desk, tmp_path: Path
) -> None:
    segments = [site.record() for _ in range(3)]
    approved = request(*(segment.id for segment in segments))
    done = tmp_path / "done"
    Progress(done, approved.request.id).add(segments[0].id)
    # What a killed run wrote half of.
    with done.open("a") as file:
        file.write(segments[1].id[:7])
    report = await run(desk, approved, done, [])
    assert (report.done, report.before) == (2, 1)
    assert opens(site, segments[0], quality().identity)
    assert (await run(desk, approved, done, [])).before == 3
    assert done.stat().st_mode & 0o777 == 0o600


async def test_one_that_fails_stops_no_other_and_is_tried_again(
    site: Site, desk: Desk, tmp_path: Path
) -> None:
    good, journal = site.record(), site.record(journal=True)
    gone = new_id()
    approved = request(good.id, journal.id, gone)
    for run_number in (1, 2):
        report = await run(desk, approved, tmp_path / "done", [])
        assert report.done == (1 if run_number == 1 else 0)
        assert set(report.failed) == {journal.id, gone}
    assert "no manifest" in report.failed[journal.id]
    assert opens(site, journal, quality().identity)


async def test_a_rule_about_one_officer_leaves_others_calls_alone(
    site: Site, desk: Desk, tmp_path: Path
) -> None:
    segment = site.record()
    for who, changed in (("p-lumi", False), ("p-otso", True)):
        rule = Rule(first="2026-11-01", last="2026-11-30", person=who)
        path = tmp_path / who
        report = await run(desk, request(rule=rule), path, [])
        assert report.done == (1 if changed else 0)
        assert opens(site, segment, identity("quinn")) is changed


async def test_an_officers_key_of_another_kind_counts_as_none(
    site: Site, desk: Desk, tmp_path: Path
) -> None:
    segment = site.record()
    hybrid = generate_identity(KeyKind.POST_QUANTUM, bytes)
    people = (
        person("quinn", Role.QUALITY),
        person(
            "otso",
            Role.OFFICER,
            numbers=(OFFICER_NUMBER,),
            recipient=str(hybrid.recipient()),
        ),
    )
    strange = replace(desk, roster=roster(people=people))
    await run(strange, request(segment.id), tmp_path / "done", [])
    assert opens(site, segment, identity("quinn"))
    assert not opens(site, segment, hybrid)


async def test_what_does_not_carry_it(site: Site, desk: Desk, tmp_path: Path) -> None:
    segment = site.record()
    erase = request(segment.id, act=RequestedAct.ERASE)
    with pytest.raises(RewrapError, match="not one to make"):
        await run(desk, erase, tmp_path / "one", [])
    with pytest.raises(RewrapError, match="roster"):
        await run(site.desk(), request(segment.id), tmp_path / "two", [])
    Progress(tmp_path / "three", new_id())
    with pytest.raises(RewrapError, match="another request"):
        await run(desk, request(segment.id), tmp_path / "three", [])
    with pytest.raises(RewrapError, match="cannot be used"):
        await run(desk, request(segment.id), tmp_path / "none" / "four", [])


async def test_whoever_has_a_number_now_gets_no_key_to_calls_of_who_had_it(
    site: Site, desk: Desk, tmp_path: Path
) -> None:
    segment = site.record()
    numbers = (OFFICER_NUMBER,)
    leaver = {"numbers": numbers, "until": "2026-11-25"}
    people = (
        person("quinn", Role.QUALITY),
        person("otso", Role.OFFICER, **leaver),
        person("meri", Role.OFFICER, numbers=numbers, since="2026-11-26"),
    )
    later = replace(desk, roster=roster(people=people))
    rule = Rule(first="2026-11-23", last="2026-11-23", person="p-meri")
    report = await run(later, request(rule=rule), tmp_path / "meris", [])
    assert (report.done, report.other) == (0, 1)
    report = await run(later, request(segment.id), tmp_path / "done", [])
    assert report.done == 1
    assert opens(site, segment, identity("quinn"))
    for name in ("meri", "otso"):
        assert not opens(site, segment, identity(name)), name
