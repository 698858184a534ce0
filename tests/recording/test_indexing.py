from datetime import date

import msgspec

from agent.formats.blind_index import IndexKeys, month_key
from agent.formats.manifest import Manifest, ManifestSession
from agent.model.recording import UNDECIDED, WITHHELD, NoticeStatement, Officer
from agent.recording.finisher import finish
from agent.recording.indexing import index_names
from agent.recording.spool import Spool
from tests.recording.segments import CALLER, entropy, write_segment

ROOT = entropy(32)
KEYS = IndexKeys({"2026-11": month_key(ROOT, "2026-11")})
DAY = date(2026, 11, 23)


def manifest_of(spool: Spool) -> Manifest:
    segment = write_segment(spool)
    finish(segment.job(spool), spool.root)
    return segment.opened(spool.sealed_directory / segment.id)[1]


def test_a_name_for_the_caller_and_each_officer(spool: Spool) -> None:
    manifest = manifest_of(spool)
    caller = KEYS.blind("2026-11", "caller", CALLER)
    officer = KEYS.blind("2026-11", "officer", manifest.officers[0].number)
    assert index_names(manifest, DAY, KEYS) == [
        f"index/2026-11/caller/{caller}/{manifest.id}",
        f"index/2026-11/officer/{officer}/{manifest.id}",
    ]
    twice = msgspec.structs.replace(manifest, officers=manifest.officers * 2)
    assert len(index_names(twice, DAY, KEYS)) == 2


def test_a_withheld_number_is_not_indexed(spool: Spool) -> None:
    manifest = msgspec.structs.replace(manifest_of(spool), caller=WITHHELD)
    [name] = index_names(manifest, DAY, KEYS)
    assert name.startswith("index/2026-11/officer/")


def test_a_month_without_a_key(spool: Spool) -> None:
    manifest = manifest_of(spool)
    names = index_names(manifest, date(2026, 12, 1), KEYS)
    assert names == [f"index/2026-12/unindexed/{manifest.id}"]


def test_what_cannot_be_a_number_is_looked_for_among_the_unindexed(
    spool: Spool,
) -> None:
    manifest = msgspec.structs.replace(manifest_of(spool), caller="x" * 1000)
    first, second = index_names(manifest, DAY, KEYS)
    assert first == f"index/2026-11/unindexed/{manifest.id}"
    assert second.startswith("index/2026-11/officer/")


def test_nobody_knows_who_called_so_all_are_found_as_callers(spool: Spool) -> None:
    session = ManifestSession(
        source="sbc",
        session_ids=(),
        group_id="",
        basis="undecided",
        mixed=False,
        participants=tuple(Officer(number=one, name="") for one in (CALLER, "+3581")),
        tolerated=(),
        notice=NoticeStatement(basis="header", given=True, detail="Call-Info"),
        metadata=(),
    )
    manifest = msgspec.structs.replace(
        manifest_of(spool), caller=UNDECIDED, officers=(), session=session
    )
    assert index_names(manifest, DAY, KEYS) == [
        f"index/2026-11/caller/{KEYS.blind('2026-11', 'caller', number)}/{manifest.id}"
        for number in (CALLER, "+3581")
    ]
    # None of them is known: it is found by nobody, and no name is made up for it.
    nobody = msgspec.structs.replace(session, participants=())
    nameless = msgspec.structs.replace(manifest, session=nobody)
    assert index_names(nameless, DAY, KEYS) == []
