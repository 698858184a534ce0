from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from agent.access.other_hosts import OtherRecording
from agent.access.showing import show
from agent.access.standing import restrict
from agent.model.recording import WITHHELD, SegmentBegin
from tests.access.site import QUALITY, Site
from tests.recording.segments import SESSION, begin

GROUP = "11111111-1111-4111-8111-111111111111"


def sent_to(
    host: str, *session_ids: str, **changes: object
) -> Callable[[str], SegmentBegin]:
    session = replace(SESSION, session_ids=session_ids)

    def made(recording_id: str) -> SegmentBegin:
        told = replace(begin(recording_id), host=host, group=GROUP, session=session)
        return replace(told, **changes)

    return made


async def test_who_else_has_recorded_the_call(tmp_path: Path) -> None:
    site = Site(tmp_path)
    one = site.record(beginning=sent_to("host-a", "s1", "s2"))
    twin = site.record(beginning=sent_to("host-b", "s2", "s3"))
    # The same host's next segment, another session, another group, a plain call.
    site.record(beginning=sent_to("host-a", "s1"))
    site.record(beginning=sent_to("host-b", "s9"))
    site.record(beginning=sent_to("host-b", "s1", group=one.id))
    site.record(beginning=lambda name: replace(begin(name), host="host-b", group=GROUP))
    site.record(journal=True)
    desk = site.desk()
    shown = await show(desk, one.id, QUALITY, others=True)
    assert shown.others == [OtherRecording("host-b", twin.id)]
    assert (await show(desk, one.id, QUALITY)).others == []


async def test_it_is_found_by_the_officer_where_the_caller_is_not_known(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    one, twin = (
        site.record(beginning=sent_to(host, "s1", caller=WITHHELD))
        for host in ("host-a", "host-b")
    )
    shown = await show(site.desk(), one.id, QUALITY, others=True)
    assert [other.id for other in shown.others] == [twin.id]


async def test_a_call_of_nobody_known_is_not_looked_for(tmp_path: Path) -> None:
    site = Site(tmp_path)
    nobody = sent_to("host-a", "s1", caller=WITHHELD, officers=())
    one = site.record(beginning=nobody)
    shown = await show(site.desk(), one.id, QUALITY, others=True)
    assert shown.others == []


async def test_what_this_person_may_not_open_is_not_told(tmp_path: Path) -> None:
    site = Site(tmp_path)
    one, twin = (
        site.record(beginning=sent_to(host, "s1")) for host in ("host-a", "host-b")
    )
    await restrict(site.desk(), twin.id, "accuracy", "A/1")
    shown = await show(site.desk(), one.id, QUALITY, others=True)
    assert shown.others == []


async def test_a_call_of_ours_has_no_others(tmp_path: Path) -> None:
    site = Site(tmp_path)
    plain = site.record()
    site.record()
    shown = await show(site.desk(), plain.id, QUALITY, others=True)
    assert shown.others == []
