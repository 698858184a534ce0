from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.manifest import (
    MAX_MANIFEST,
    AudioFacts,
    Gap,
    LegFigures,
    Manifest,
    ManifestError,
    ManifestOfficer,
    ManifestSession,
    ManifestVersionError,
    MetadataDocument,
    Moment,
    Pause,
    moment,
    parse_manifest,
)
from agent.model.recording import (
    UNDECIDED,
    WITHHELD,
    NoticeEvidence,
    NoticeStatement,
    Officer,
)

BEGIN = 1_795_437_296_789_999_999
"2026-11-23 12:34:56.789999999 UTC, rounded down everywhere."


def manifest(**changes: object) -> Manifest:
    made = Manifest(
        id="123e4567-e89b-42d3-a456-426614174000",
        group="00000000-0000-4000-8000-000000000000",
        segment=0,
        direction="inbound",
        caller="+358401234567",
        service="+358295000000",
        officers=(
            ManifestOfficer(
                number="201",
                name="Äijä Öhman",
                from_=moment(BEGIN),
                to=moment(BEGIN + 10**9),
            ),
        ),
        started=moment(BEGIN),
        ended=moment(BEGIN + 10**9),
        notices=(
            NoticeEvidence(
                sha256="ab" * 32,
                language="fi",
                duration_ms=3000,
                sent_ms=3000,
                packets=150,
                started_at=BEGIN - 5 * 10**9,
                ended_at=BEGIN - 2 * 10**9,
            ),
        ),
        audio=AudioFacts(
            format="wav-alaw",
            codecs=("PCMA",),
            sample_rate=8000,
            channels=2,
            duration_ms=1000,
            sha256="cd" * 32,
            size=16058,
        ),
        gaps=(
            Gap(
                leg=1, start_ms=20, duration_ms=40, silent_ms=40, count=1, reason="lost"
            ),
        ),
        pauses=(
            Pause(
                start_ms=100,
                duration_ms=200,
                by="uid:0",
                reason="card",
                ended_by="agent",
                ended_because="limit",
            ),
        ),
        legs=(
            LegFigures(
                role="customer",
                packets=50,
                lost=0,
                duplicates=0,
                reordered=0,
                jitter_ms=0.125,
                ssrcs=1,
                clock_restarts=0,
                drift_ppm=-12.5,
                samples_inserted=450,
                samples_removed=0,
                loss_percent=0.0,
                longest_gap_ms=0,
                listened_ms=1000,
                silence=0.25,
                clipping=0.0,
                mos=4.41,
                verdict="good",
            ),
        ),
        verdict="good",
        end_cause="caller-hangup",
        outcome="recorded",
        agent="recording-agent 0.1.0",
        host="host-a",
    )
    return msgspec.structs.replace(made, **changes)


# What may stand in a manifest, field by field. Adding a line here is a decision
# about personal data, to be taken with the data protection officer.
ALLOWED = {
    "Manifest": "version id group segment direction caller service officers started"
    " ended clock_stepped_ms notices audio gaps pauses legs verdict end_cause outcome"
    " agent host session",
    "ManifestSession": "source session_ids group_id basis mixed participants tolerated"
    " notice metadata",
    "Officer": "number name",
    "NoticeStatement": "basis given detail",
    "MetadataDocument": "at_ms xml flaws",
    "ManifestOfficer": "number name from to",
    "Moment": "utc helsinki",
    "NoticeEvidence": "sha256 language duration_ms sent_ms packets started_at ended_at",
    "AudioFacts": "format codecs sample_rate channels duration_ms sha256 size",
    "Pause": "start_ms duration_ms by reason ended_by ended_because",
    "Gap": "leg start_ms duration_ms silent_ms count reason",
    "LegFigures": "role packets lost duplicates reordered jitter_ms ssrcs"
    " clock_restarts drift_ppm samples_inserted samples_removed loss_percent"
    " longest_gap_ms listened_ms silence clipping mos verdict",
}


@pytest.mark.parametrize(
    "struct",
    [
        Manifest,
        ManifestOfficer,
        NoticeEvidence,
        AudioFacts,
        Gap,
        Pause,
        LegFigures,
        ManifestSession,
        Officer,
        NoticeStatement,
        MetadataDocument,
    ],
)
def test_fields_are_the_allowed_ones(struct: type[msgspec.Struct]) -> None:
    names = {field.encode_name for field in msgspec.structs.fields(struct)}
    assert names == set(ALLOWED[struct.__name__].split())


def test_moment_holds_the_allowed_fields() -> None:
    assert set(get_type_hints(Moment)) == set(ALLOWED["Moment"].split())


def test_round_trip() -> None:
    assert parse_manifest(manifest().to_bytes()) == manifest()


def test_a_sessions_words_stand_only_where_there_is_one() -> None:
    session = ManifestSession(
        source="sbc",
        session_ids=("a", "b"),
        group_id="g",
        basis="directory",
        mixed=True,
        participants=(Officer(number="+3581", name="Öhman"),),
        tolerated=("legacy",),
        notice=NoticeStatement(basis="metadata", given=True, detail="announcement"),
        metadata=(MetadataDocument(at_ms=0, xml=b"\xff<", flaws=("torn",)),),
    )
    made = manifest(session=session, caller=UNDECIDED)
    data = made.to_bytes()
    assert b'"metadata":[{"at_ms":0,"flaws":["torn"],"xml":"/zw="}]' in data
    assert parse_manifest(data) == made
    assert made.callers == ("+3581",)
    assert manifest().callers == ("+358401234567",)
    assert manifest(caller=WITHHELD).callers == ()
    assert "Öhman" not in repr(made.session)
    assert "xff" not in repr(session.metadata)
    assert "session" not in msgspec.json.decode(manifest().to_bytes())


def test_bytes_are_canonical() -> None:
    data = manifest(gaps=(), pauses=(), legs=(), notices=(), officers=()).to_bytes()
    assert data == (
        b'{"agent":"recording-agent 0.1.0","audio":{"channels":2,"codecs":["PCMA"],'
        b'"duration_ms":1000,"format":"wav-alaw","sample_rate":8000,"sha256":"'
        + b"cd"
        * 32
        + b'","size":16058},"caller":"+358401234567","direction":"inbound",'
        b'"end_cause":"caller-hangup","ended":{"helsinki":'
        b'"2026-11-23T14:34:57.789+02:00","utc":"2026-11-23T12:34:57.789Z"},'
        b'"gaps":[],"group":"00000000-0000-4000-8000-000000000000","host":"host-a",'
        b'"id":"123e4567-e89b-42d3-a456-426614174000","legs":[],"notices":[],'
        b'"officers":[],"outcome":"recorded","pauses":[],"segment":0,"service":"+358295000000",'
        b'"started":{"helsinki":"2026-11-23T14:34:56.789+02:00",'
        b'"utc":"2026-11-23T12:34:56.789Z"},"verdict":"good","version":1}'
    )


def test_names_are_kept_as_they_are() -> None:
    decomposed = "A\u0308ija\u0308"
    officer = msgspec.structs.replace(manifest().officers[0], name=decomposed)
    data = manifest(officers=(officer,)).to_bytes()
    assert decomposed.encode() in data
    assert parse_manifest(data).officers[0].name == decomposed


def test_from_is_from_in_json() -> None:
    officer = msgspec.json.decode(manifest().to_bytes())["officers"][0]
    assert officer["from"]["utc"] == "2026-11-23T12:34:56.789Z"


@pytest.mark.parametrize(
    ("utc_ns", "expected"),
    [
        (0, "1970-01-01T02:00:00.000+02:00"),
        (1_795_437_296_789_999_999, "2026-11-23T14:34:56.789+02:00"),
        # Summer time, and the hour that happens twice: the offset tells them apart.
        (1_782_129_600_000_000_000, "2026-06-22T15:00:00.000+03:00"),
        (1_792_888_200_000_000_000, "2026-10-25T03:30:00.000+03:00"),
        (1_792_891_800_000_000_000, "2026-10-25T03:30:00.000+02:00"),
    ],
)
def test_local_time(utc_ns: int, expected: str) -> None:
    assert moment(utc_ns)["helsinki"] == expected


def test_reprs_name_nobody() -> None:
    shown = repr(manifest()) + repr(manifest().officers)
    assert "Öhman" not in shown
    assert "0401234567" not in shown
    assert "123e4567" in shown


def test_another_version_is_named() -> None:
    with pytest.raises(ManifestVersionError, match="version 2"):
        parse_manifest(b'{"version":2,"anything":"else"}')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"version":1}',
        b"[" * 100_000,
        manifest().to_bytes()[:-1],
        manifest().to_bytes() + b" ",
        manifest().to_bytes().replace(b":", b": ", 1),
        manifest().to_bytes().replace(b'"version":1', b'"version":1,"zipcode":"00100"'),
        manifest().to_bytes().replace(b'"language"', b'"kin":"x","language"'),
        manifest().to_bytes().replace(b'"name"', b'"motive":"x","name"'),
        manifest().to_bytes().replace("Ä".encode(), b"\xc4"),
        b" " * (MAX_MANIFEST + 1),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_refused(data: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@settings(max_examples=200)
@given(st.binary(max_size=64), st.integers(0, 1200))
def test_garbage_parses_or_raises_the_one_error(noise: bytes, position: int) -> None:
    data = bytearray(manifest().to_bytes())
    data[position : position + len(noise)] = noise
    try:
        parsed = parse_manifest(bytes(data))
    except ManifestError:
        return
    assert parsed.to_bytes() == bytes(data)
