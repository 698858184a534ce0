"""Recording beside the call: what the recordings of each flow hold.

All flows are played at once, at one daemon, by clients of our own with real RTP; each
test judges one of them, to the frame and to the sample.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from agent.formats.manifest import Manifest
from tests.corpora import ROOT, corpus
from tests.lab.parties import FRAME
from tests.lab.siprec.flows import FLOWS, LAUGHS
from tests.lab.siprec.hearing import Heard, silent
from tests.lab.siprec.messages import media_lines
from tests.lab.siprec.more_flows import MORE_FLOWS
from tests.lab.siprec.played import Channels, Played, play_all
from tests.lab.siprec.rfc_flows import rfc_flows
from tests.lab.siprec.scene import Take
from tests.lab.siprec.site import EXEMPT, STATEMENT, recording_server
from tests.lab.siprec.streams import Stream
from tests.lab.standing import assert_well

pytestmark = pytest.mark.integration

CORPUS = ROOT / "siprec/ietf"
ALIGNED = 160
"Samples that two streams may be apart: 20 ms."
EDGE = 10
"Frames around a change that may be on either side of it, or on none."


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All flows, played and stored."""
    site = recording_server(tmp_path_factory.mktemp("siprec"))
    try:
        site.daemon.start()
        flows = FLOWS | MORE_FLOWS | (rfc_flows(CORPUS) if CORPUS.exists() else {})
        yield asyncio.run(play_all(site, flows))
        assert_well(site.daemon)
        site.stop()
    finally:
        site.daemon.kill()


def frames(take: Take, begin: str = "", end: str = "end") -> range:
    """Those between two moments of a flow, the edges apart; from the very first one."""
    first = take.marks[begin] + EDGE if begin else 0
    return range(first, take.marks[end] - EDGE)


def whole(where: Heard | None, stream: Stream, wanted: range) -> Heard:
    """Where a stream is heard, which must be with each of the frames it has said."""
    assert where is not None
    missing = stream.said.intersection(wanted) - where.frames
    assert not missing, f"{len(missing)} of {len(wanted)} frames are missing"
    return where


def check_sides(take: Take, channels: Channels, wanted: range) -> tuple[Heard, Heard]:
    """The caller is left and the officer right, whole, aligned, and nowhere else."""
    caller, officer = take.streams[:2]
    left = whole(channels.left(caller), caller, wanted)
    right = whole(channels.right(officer), officer, wanted)
    assert abs(left.offset - right.offset) <= ALIGNED
    assert channels.left(officer) is None
    assert channels.right(caller) is None
    return left, right


def check_tags(take: Take, manifest: Manifest, *officers: str) -> None:
    """The caller, the officers, the client and its group are told."""
    assert manifest.caller == take.tag
    assert sorted(o.number for o in manifest.officers) == [*officers]
    assert manifest.outcome == "recorded"
    assert manifest.verdict == "good"
    assert manifest.session
    assert manifest.session.notice.given
    assert manifest.notices == ()


def only(take: Take) -> Channels:
    """The flow's only recording."""
    assert len(take.recordings) == 1, f"{take.name}: {len(take.recordings)} recordings"
    return Channels(take.recordings[0])


def several(take: Take, count: int) -> list[Channels]:
    """The flow's recordings, which must be so many of one group, in order."""
    assert len(take.recordings) == count
    assert len({one.manifest.group for one in take.recordings}) == 1
    return [Channels(recording) for recording in take.recordings]


# -- RFC 8068 section 3 -----------------------------------------------------------


def test_two_parties(played: Played) -> None:
    take = played.takes["basic"]
    channels = only(take)
    manifest = channels.recording.manifest
    check_tags(take, manifest, "201")
    check_sides(take, channels, frames(take))
    assert [leg.role for leg in manifest.legs] == ["customer", "officer"]
    assert [leg.lost for leg in manifest.legs] == [0, 0]
    assert manifest.session.source == "sbc"
    assert not manifest.session.mixed
    assert {p.number for p in manifest.session.participants} == {take.tag, "201"}
    row = played.row(take)
    assert (row.route, row.outcome) == ("beside-sbc", "recorded")
    # What the client was answered: plain SDP, a line for each of its own.
    [answer, _] = take.answers
    assert answer["Content-Type"] == "application/sdp"
    assert "+sip.srs" in answer["Contact"]
    lines = media_lines(answer.body)
    assert [(line.label, line.direction) for line in lines] == [
        ("1", "recvonly"),
        ("2", "recvonly"),
    ]


def test_hold_and_resume(played: Played) -> None:
    take = played.takes["hold"]
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201")
    left, right = check_sides(take, channels, frames(take, end="held"))
    check_sides(take, channels, frames(take, "resumed"))
    gap = range(take.marks["held"] + EDGE, take.marks["resumed"] - EDGE)
    assert len(gap) > 15
    assert silent(channels.sides[0], left, gap)
    assert silent(channels.sides[1], right, gap)
    gaps = channels.recording.manifest.gaps
    assert {g.leg for g in gaps if g.reason in {"hold", "pause"}} == {0, 1}


def test_a_hold_that_only_metadata_tells(played: Played) -> None:
    take = played.takes["hold_told"]
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201")
    caller, officer = take.streams
    left = whole(channels.left(caller), caller, frames(take, end="held"))
    whole(channels.left(caller), caller, frames(take, "resumed"))
    # The officer is heard all the time, the caller's music never.
    whole(channels.right(officer), officer, frames(take))
    gap = range(take.marks["held"] + EDGE, take.marks["resumed"] - EDGE)
    assert caller.said.issuperset(gap)
    assert silent(channels.sides[0], left, gap)
    assert {g.leg for g in channels.recording.manifest.gaps if g.reason == "hold"} == {
        0
    }


def test_transfer(played: Played) -> None:
    take = played.takes["transfer"]
    first, second = several(take, 2)
    check_tags(take, first.recording.manifest, "201")
    check_tags(take, second.recording.manifest, "202")
    assert first.recording.manifest.end_cause == "transferred"
    assert [c.recording.manifest.segment for c in (first, second)] == [1, 2]
    before = check_sides(take, first, frames(take, end="transferred"))
    after = check_sides(take, second, frames(take, "transferred"))
    # What one officer was told the other's recording does not hold.
    for earlier, later in zip(before, after, strict=True):
        assert len(earlier.frames & later.frames) <= 1
        assert max(earlier.frames) <= take.marks["transferred"] + EDGE
        # What comes with the UPDATE may be read after it.
        assert min(later.frames) >= take.marks["transferred"] - 1


def test_conference(played: Played) -> None:
    take = played.takes["conference"]
    first, second = several(take, 2)
    check_tags(take, first.recording.manifest, "201")
    check_tags(take, second.recording.manifest, "201", "202")
    check_sides(take, first, frames(take, end="joined"))
    caller, officer, other = take.streams
    where = whole(second.left(caller), caller, frames(take, "joined"))
    # Both officers on the right, one sample of each on one sample of the other.
    for voice in (officer, other):
        there = whole(second.right(voice), voice, frames(take, "joined"))
        assert abs(there.offset - where.offset) <= ALIGNED
        assert second.left(voice) is None
    roles = [leg.role for leg in second.recording.manifest.legs]
    assert roles == ["customer", "officer", "officer"]


def test_both_parties_on_one_stream(played: Played) -> None:
    take = played.takes["mixed"]
    channels = only(take)
    manifest = channels.recording.manifest
    check_tags(take, manifest, "201")
    assert manifest.session.mixed
    assert [leg.role for leg in manifest.legs] == ["both"]
    [voice] = take.streams
    left = whole(channels.left(voice), voice, frames(take))
    right = whole(channels.right(voice), voice, frames(take))
    assert left.offset == right.offset


def test_a_session_that_outlasts_its_calls(played: Played) -> None:
    take = played.takes["persistent"]
    assert len(take.recordings) == 2
    for recording, call in zip(take.recordings, ("first", "second"), strict=True):
        channels = Channels(recording)
        check_tags(take, recording.manifest, "201")
        wanted = frames(take, call, f"{call} over")
        left, _ = check_sides(take, channels, wanted)
        assert min(left.frames) >= take.marks[call] - 1
    # Two calls have nothing to do with each other but the way they came.
    assert len({one.manifest.group for one in take.recordings}) == 2


def test_two_calls_of_one_officer_at_once(played: Played) -> None:
    take = played.takes["turret"]
    channels = only(take)
    manifest = channels.recording.manifest
    assert [o.number for o in manifest.officers] == ["201"]
    assert len(manifest.session.session_ids) == 2
    assert len(manifest.session.participants) == 3
    caller, officer, other = take.streams
    for voice in (caller, other):
        whole(channels.left(voice), voice, frames(take))
        assert channels.right(voice) is None
    whole(channels.right(officer), officer, frames(take))
    assert channels.left(officer) is None


def test_the_rfc_s_own_documents_of_separate_streams(played: Played) -> None:
    corpus("siprec/ietf")
    take = played.takes["rfc_separate"]
    lines = media_lines(take.answers[0].body)
    assert [bool(line.port) for line in lines] == [True, False, True, False]
    first, second = several(take, 2)
    check_tags(take, first.recording.manifest, "201")
    check_tags(take, second.recording.manifest, "202")
    officer, _, caller, _ = take.streams
    left = whole(first.left(caller), caller, frames(take, end="4"))
    right = whole(first.right(officer), officer, frames(take, end="2"))
    assert abs(left.offset - right.offset) <= ALIGNED
    assert silent(first.sides[1], right, frames(take, "2", "3"))
    whole(first.right(officer), officer, frames(take, "3", "4"))
    whole(second.left(caller), caller, frames(take, "4"))
    # Carol is heard on a stream that the document does not describe.
    where = second.right(officer) or second.left(officer)
    whole(where, officer, frames(take, "4"))


def test_the_rfc_s_own_documents_of_a_mixed_stream(played: Played) -> None:
    corpus("siprec/ietf")
    take = played.takes["rfc_mixed"]
    parts = several(take, 3)
    officers = [("201",), ("201", "202"), ("202",)]
    marks = [("", "11"), ("11", "12"), ("12", "end")]
    for part, numbers, (begin, end) in zip(parts, officers, marks, strict=True):
        check_tags(take, part.recording.manifest, *numbers)
        assert part.recording.manifest.session.mixed
        [voice] = take.streams
        whole(part.left(voice), voice, frames(take, begin, end))


def test_the_rfc_s_own_document_of_two_calls_at_once(played: Played) -> None:
    corpus("siprec/ietf")
    take = played.takes["rfc_turret"]
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201", "202")
    assert len(channels.recording.manifest.session.session_ids) == 6
    [voice] = take.streams
    whole(channels.left(voice), voice, frames(take))


# -- what else is met in the field ---------------------------------------------------


def test_a_stream_that_is_added_later(played: Played) -> None:
    take = played.takes["later"]
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201")
    caller, officer = take.streams
    left = whole(channels.left(caller), caller, frames(take))
    right = whole(channels.right(officer), officer, frames(take, "joined"))
    assert abs(left.offset - right.offset) <= ALIGNED


def test_a_session_for_each_pair_of_parties(played: Played) -> None:
    take = played.takes["party_change"]
    first, second = several(take, 2)
    check_tags(take, first.recording.manifest, "201")
    check_tags(take, second.recording.manifest, "202")
    check_sides(take, first, frames(take, end="changed"))
    check_sides(take, second, frames(take, "changed"))
    assert first.recording.id != second.recording.id


@pytest.mark.parametrize(
    "name", ["offerless", "inactive_first", "two_laws", "told_later"]
)
def test_media_that_comes_about_otherwise(played: Played, name: str) -> None:
    take = played.takes[name]
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201")
    check_sides(take, channels, frames(take))


def test_streams_in_codecs_of_a_wider_band(played: Played) -> None:
    take = played.takes["wide_band"]
    channels = only(take)
    manifest = channels.recording.manifest
    check_tags(take, manifest, "201")
    assert set(manifest.audio.codecs) == {"opus", "G722"}
    assert [leg.lost for leg in manifest.legs] == [0, 0]
    check_sides(take, channels, frames(take))


def test_a_stream_from_another_source(played: Played) -> None:
    take = played.takes["new_source"]
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201")
    caller, officer = take.streams
    left = whole(channels.left(caller), caller, frames(take))
    said, changed = officer.said, take.marks["renewed"]
    # The clock of another source has nothing to do with that of the first: by when they
    # come it is placed, and where they meet some frames may be cut.
    officer.said = {frame for frame in said if frame < changed - EDGE}
    first = whole(channels.right(officer), officer, frames(take))
    officer.said = {frame for frame in said if frame > changed + EDGE}
    second = whole(channels.right(officer), officer, frames(take))
    officer.said = said
    assert abs(left.offset - first.offset) <= ALIGNED
    assert abs(left.offset - second.offset) <= 3 * ALIGNED


@pytest.mark.parametrize("name", ["over_tcp", "over_tcp_again", "over_tls"])
def test_other_transports(played: Played, name: str) -> None:
    take = played.takes[name]
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201")
    check_sides(take, channels, frames(take))
    lines = media_lines(take.answers[0].body)
    assert all(bool(line.crypto) == (name == "over_tls") for line in lines)


def test_a_billion_laughs(played: Played) -> None:
    take = played.takes["laughs"]
    channels = only(take)
    manifest = channels.recording.manifest
    assert manifest.caller == "undecided"
    [document] = manifest.session.metadata
    assert document.xml == LAUGHS
    assert document.flaws
    for stream in take.streams:
        where = [channels.left(stream), channels.right(stream)]
        whole(next(w for w in where if w), stream, frames(take, end="end"))


def test_a_document_is_kept_to_the_last_octet(played: Played) -> None:
    take = played.takes["verbose"]
    channels = only(take)
    check_sides(take, channels, frames(take))
    first, last = channels.recording.manifest.session.metadata
    assert len(first.xml) > 45_000
    assert first.xml.endswith(b"</recording>\r\n")
    assert first.xml.count(b"<more ") == 450
    assert b"<stop-time>" in last.xml
    assert last.at_ms > first.at_ms
    assert first.flaws == last.flaws == ()


def test_metadata_of_other_streams(played: Played) -> None:
    take = played.takes["wrong_labels"]
    channels = only(take)
    manifest = channels.recording.manifest
    assert manifest.caller == take.tag
    # Who is heard on which can but be guessed, and that is said.
    assert manifest.session.basis == "directory-by-order"
    assert "label-without-stream" in manifest.session.tolerated
    check_sides(take, channels, frames(take))


def test_a_client_that_never_told_all_is_asked(played: Played) -> None:
    take = played.takes["partial_first"]
    _, asked, *_ = take.answers
    assert asked.start.startswith("UPDATE ")
    assert asked["Content-Disposition"] == "recording-session"
    assert b"requestsnapshot" in asked.body
    assert "+sip.srs" in asked["Contact"]
    # It told all of it within a moment of the start.
    channels = only(take)
    check_tags(take, channels.recording.manifest, "201")
    check_sides(take, channels, frames(take))


def test_every_session_has_its_outcome_and_nobody_is_named(played: Played) -> None:
    outcomes = Counter(row.outcome for row in played.rows)
    assert {*outcomes} == {"recorded", "exempt"}
    assert outcomes["exempt"] == 3
    log = played.site.daemon.log_path.read_text()
    assert "agency.example" not in log
    assert not any(take.number[1:] in log for take in played.takes.values())


# -- what may be recorded ----------------------------------------------------------


def test_of_an_exempt_number_nothing_is_kept(played: Played) -> None:
    for name in ("exempt", "exempt_late"):
        take = played.takes[name]
        assert take.recordings == []
        assert all(stream.said for stream in take.streams)
        check_nothing_of(played, EXEMPT[1:], *take.streams)
    exempt = [row for row in played.rows_of("sbc") if row.outcome == "exempt"]
    assert [row.recordings for row in exempt] == [[], []]


def test_what_was_recorded_of_an_exempt_number_is_destroyed(played: Played) -> None:
    [line] = played.site.daemon.log("recording_discarded")
    [begun] = [
        other
        for other in played.site.daemon.log("recording_begun")
        if other["recording_id"] == line["recording_id"]
    ]
    assert begun["basis"] == "undecided"
    left = [
        path
        for path in played.site.daemon.root.rglob("*")
        if line["recording_id"] in path.name
    ]
    assert left == []


def test_without_a_sign_of_the_notice_nothing_is_kept(played: Played) -> None:
    take = played.takes["untold"]
    assert take.recordings == []
    outcomes = {row.outcome for row in played.rows_of("header")}
    assert outcomes == {"recorded", "exempt"}
    check_nothing_of(played, take.number[1:], *take.streams)


def check_nothing_of(played: Played, number: str, *streams: Stream) -> None:
    """Neither number nor sound is in any file of the daemon, sealed ones apart."""
    said = [stream.sound[FRAME * n :][:40] for stream in streams for n in stream.said]
    needles = [number.encode(), *said]
    for path in played.site.daemon.root.rglob("*"):
        if path.is_file() and path != played.site.daemon.config:
            data = path.read_bytes()
            assert not any(needle in data for needle in needles), path


@pytest.mark.parametrize(
    ("name", "basis", "given", "detail"),
    [
        ("basic", "statement", True, STATEMENT),
        ("told_by_header", "header", True, "x-notice"),
        ("told_by_metadata", "metadata", True, "announcement"),
        ("untold_but_recorded", "header", False, "x-notice"),
    ],
)
def test_what_shows_that_the_parties_were_told(
    played: Played, name: str, basis: str, given: bool, detail: str
) -> None:
    take = played.takes[name]
    channels = only(take)
    notice = channels.recording.manifest.session.notice
    assert (notice.basis, notice.given) == (basis, given)
    assert notice.detail.lower() == detail
    check_sides(take, channels, frames(take))
