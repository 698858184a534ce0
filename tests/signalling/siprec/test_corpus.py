"""Every document of other makes, field by field: what they say and what is tolerated.

Who is caller and officer there is asserted in `tests/call/siprec`.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.signalling.sip.multipart import with_description_only
from agent.signalling.siprec.body import METADATA_TYPE, snapshot_request
from agent.signalling.siprec.metadata import Flaw, RecordingMetadata, walk
from agent.signalling.siprec.metadata_state import MetadataState
from agent.signalling.siprec.metadata_xml import parse_metadata
from agent.signalling.siprec.xml_tree import read_tree
from tests.signalling.siprec.corpus import (
    DOCUMENTS,
    SNAPSHOT_REQUESTS,
    VENDORS,
    WITHOUT_METADATA,
    document,
    sample,
)

BASE = "bare-line-feed"
"The corpus was kept with line feeds alone."
OPEN = "no-closing-boundary"

# Per vendor: what of the body was tolerated; flaws; and who is heard under which label.
TABLE = {
    "acme-siprec-offer": (
        (BASE,),
        (Flaw.TIME_WITHOUT_ZONE,),
        (
            ("sip:9000@192.168.50.102", "9000", "16777227", ""),
            ("sip:1002@192.168.50.10", "1002", "16777228", ""),
        ),
    ),
    "broadworks-offer": (
        (BASE, "header-without-blank", "part-length", "unknown-type"),
        (Flaw.NOT_UNDERSTOOD,),
        (),
    ),
    "broadworks-offer-2": (
        (BASE,),
        (Flaw.TIME_WITHOUT_ZONE, Flaw.ID_FORM),
        (
            ("sip:9878942259@212.188.68.145", "", "10", ""),
            ("sip:ASBCE@asbce.com", "", "20", ""),
        ),
    ),
    "cisco-siprec-offer": (
        (BASE, OPEN),
        (),
        (
            ("sip:7301@35.162.237.204", "", "1", "2"),
            ("sip:7300@35.162.237.204", "7300", "2", "1"),
        ),
    ),
    "connectel-offer": (
        (BASE,),
        (Flaw.NOT_ASSOCIATED,),
        (
            ("sip:0771121212@52.57.92.239", "test_user;lang=en-US;id=22", "", ""),
            ("sip:0760516936@sip-cust1.connectel.io", "", "", ""),
        ),
    ),
    "connectel-offer2": (
        (BASE,),
        (Flaw.NOT_ASSOCIATED,),
        (
            ("sip:0771121212@52.57.92.239", "test_user;lang=en-US", "", ""),
            ("sip:0760516936@sip-cust1.connectel.io", "", "", ""),
        ),
    ),
    "connectel-offer3": (
        (BASE,),
        (Flaw.NOT_ASSOCIATED,),
        (
            ("sip:0771121212@52.57.92.239", "test_user", "", ""),
            ("sip:0760516936@sip-cust1.connectel.io", "", "", ""),
        ),
    ),
    "inactive-sdp-offer": (
        (BASE,),
        (),
        (
            ("sip:0733165805@192.168.40.34", "", "", ""),
            ("sip:+972546136443@192.168.10.140", "", "", ""),
        ),
    ),
    "procomm-siprec-offer": (
        (BASE, OPEN, "metadata-type"),
        (Flaw.AOR_WITHOUT_SCHEME,),
        (
            ("sip:016190200@87.252.209.116", "016190200", "a_leg", "b_leg"),
            (
                "Extension-016190619@speechpath.ie",
                "Speechpath-Main-Line 016190619",
                "b_leg",
                "a_leg",
            ),
        ),
    ),
    "sonus-siprec-offer": (
        (BASE, OPEN),
        (Flaw.TIME_IMPLAUSIBLE, Flaw.AOR_WITHOUT_SCHEME),
        (
            ("2249888500@172.16.198.55", "Extension 8500", "2", "1"),
            ("2249888012@172.16.195.72", "", "1", "2"),
        ),
    ),
    "third-party-dialer": (
        (),
        (Flaw.AOR_WITHOUT_SCHEME,),
        (
            ("EE5C7EF0", "", "inbound", "outbound"),
            ("230908", "", "outbound", "inbound"),
        ),
    ),
}

# Per vendor: the session, its group, SIP session ids, and when it began.
SESSIONS: dict[str, tuple[tuple[str, str, tuple[str, ...], str], ...]] = {
    "acme-siprec-offer": (("AavRXwIIQj1Q39eJulTipQ==", "", (), ""),),
    "broadworks-offer": (),
    "broadworks-offer-2": (("00FA0800705D4C5DCAAC41", "", (), ""),),
    "cisco-siprec-offer": (
        (
            "kQNhKFdEEeeJ9tD/VsPGWA==",
            "",
            (
                "e9fffff2020a598b86962867715db0cf;remote=cd0f7093d62c5f0697098fd69a4aa57b",
            ),
            "2017-06-23T12:16:06.040+00:00",
        ),
    ),
    **{
        f"connectel-offer{number}": (
            (
                "2+hKdGY+QvCKu8HYTdBouQ==",
                "",
                ("2d8abbf0769c66e15bb349f509693d60@52.57.92.239",),
                "",
            ),
        )
        for number in ("", "2", "3")
    },
    "inactive-sdp-offer": (
        (
            "GZBIusaXEeuxxK1dFIaIyA==",
            "",
            (
                "f845891467cf5c2189987435807bd432;remote=1aa1123b8825c906d03681ba23102629",
            ),
            "2021-06-07T07:16:23.618+00:00",
        ),
    ),
    "procomm-siprec-offer": (
        ("ho9aUhEQTRS+31th7sHStA==", "", (), "2017-12-11T14:44:23.000+00:00"),
    ),
    "sonus-siprec-offer": (
        (
            "MTQ3YzA3YzEtNjdkNy0xMA==",
            "MTQ3YzA3YzAtNjdkNy0xMA==",
            (),
            "1970-05-13T03:29:05.000+00:00",
        ),
    ),
    "third-party-dialer": (("Wd/putWgTWCW2z1lI5Db9w==", "", (), ""),),
}

# Per vendor: the streams with their labels, as the document orders them.
STREAMS = {
    "acme-siprec-offer": (
        ("Q4O8SGLQSilXHUGQX2zd8Q==", "16777227"),
        ("l1NyQy8ORSlouUj2G3UE/A==", "16777228"),
    ),
    "broadworks-offer": (),
    "broadworks-offer-2": (
        ("e6988909e02ca808ec0a", "10"),
        ("261ddd3615629f108092", "20"),
    ),
    "cisco-siprec-offer": (
        ("kQOH5VdEEeeJ/ND/VsPGWA==", "1"),
        ("kQOH5VdEEeeJ/dD/VsPGWA==", "2"),
    ),
    **{
        f"connectel-offer{number}": (
            ("EkG6jSRhQqCupqs53tna1w==", "1"),
            ("4CLOddBJRvGyTJJxPE2ZSw==", "2"),
        )
        for number in ("", "2", "3")
    },
    "inactive-sdp-offer": (
        ("GbZGg8aXEeuxy61dFIaIyA==", "1"),
        ("GbZGg8aXEeuxzK1dFIaIyA==", "2"),
    ),
    "procomm-siprec-offer": (
        ("HdU6Bt7GTZiHcNe4R2LHdA==", "a_leg"),
        ("T6T6syCpRSGH1J+gwLFaIQ==", "b_leg"),
    ),
    "sonus-siprec-offer": (
        ("MTQ3YzA3YzQtNjdkNy0xMA==", "1"),
        ("MTQ3YzA3YzUtNjdkNy0xMA==", "2"),
    ),
    "third-party-dialer": (
        ("9xff8FcdRUaJCSTxWFbV9g==", "inbound"),
        ("f/Qezx4jTMqiWSB1vW7oJA==", "outbound"),
    ),
}

# Per vendor: when its associations began, and the names and texts of its extensions.
ASSOCIATED = {
    "acme-siprec-offer": "2019-03-09T16:50:20.000+00:00",
    "broadworks-offer-2": "2019-11-12T15:57:37.000+00:00",
    "cisco-siprec-offer": "2017-06-23T12:16:06.040+00:00",
    "inactive-sdp-offer": "2021-06-07T07:16:23.618+00:00",
    "procomm-siprec-offer": "",
    "sonus-siprec-offer": "1970-05-13T03:29:05.000+00:00",
    "third-party-dialer": "2023-01-19T08:21:13.382+00:00",
}


def when(moment: int | None) -> str:
    """In milliseconds; empty for a time that was not given."""
    if moment is None:
        return ""
    whole = datetime.fromtimestamp(moment / 1e9, UTC)
    return whole.isoformat(timespec="milliseconds")


@pytest.mark.parametrize("name", VENDORS)
def test_vendors(name: str) -> None:
    tolerated, flaws, people = TABLE[name]
    one = sample(name)
    assert one.body.tolerated == tolerated
    assert one.body.description.startswith(b"v=0")
    metadata = one.metadata
    assert metadata.complete
    state = MetadataState()
    assert state.apply(metadata) == flaws
    assert (state.needs_snapshot, state.ended) == (False, False)
    heard = tuple(
        (
            present.participant.name_ids[0].aor,
            present.participant.name_ids[0].name,
            *map("".join, (present.sends, present.receives)),
        )
        for present in state.present
    )
    assert heard == people
    sessions = tuple(
        (each.id, each.group, each.sip_session_ids, when(each.started))
        for each in metadata.sessions
    )
    assert sessions == SESSIONS[name]
    assert state.sessions == metadata.sessions
    streams = tuple((each.id, each.label) for each in metadata.streams)
    assert streams == STREAMS[name]
    assert {each.session for each in metadata.streams} <= {each[0] for each in sessions}
    times = {when(each.associated) for each in metadata.participant_sessions}
    assert times == ({ASSOCIATED[name]} if name in ASSOCIATED else set())


@pytest.mark.parametrize("name", VENDORS)
def test_labels_of_the_metadata_are_those_of_the_description(name: str) -> None:
    one = sample(name)
    labels = [label for _, label in STREAMS[name]]
    lines = one.body.description.decode().splitlines()
    offered = [line.removeprefix("a=label:") for line in lines if "a=label" in line]
    # Of this one the corpus has lost the tags of the metadata.
    assert offered == (labels if name != "broadworks-offer" else ["1"])


def test_extensions_of_vendors() -> None:
    def of(name: str) -> list[tuple[str, str]]:
        metadata = sample(name).metadata
        holders: tuple[Any, ...] = (
            *metadata.groups,
            *metadata.sessions,
            *metadata.participants,
            *metadata.streams,
        )
        every = [more for holder in holders for more in holder.extensions]
        return [(one.name, one.text) for one in walk((*every, *metadata.extensions))]

    assert of("acme-siprec-offer") == [
        *(("extensiondata", ""), ("callingParty", "true")),
        *(("extensiondata", ""), ("callingParty", "false")),
        *(("mode", "separate"), ("associate-time", "2019-03-09T16:50:20")),
        *(("mode", "separate"), ("associate-time", "2019-03-09T16:50:31")),
    ]
    assert of("sonus-siprec-offer")[:5] == [
        ("callData", ""),
        (
            "fromhdr",
            '"Extension 8500" <sip:2249888500@172.16.198.55>;tag=SerryvK5ej0jc',
        ),
        ("tohdr", "<sip:2249888012@172.16.195.72>;tag=gK00801b2d"),
        ("callid", "2da553f7-a48b-1235-d6a2-5254003a4988"),
        ("gcid", "241205267"),
    ]
    dialer = sample("third-party-dialer").metadata.sessions[0].extensions
    assert [
        (one.name, one.attributes.get("name"), one.attributes.get("value"))
        for one in walk(dialer)
    ] == [
        ("ExtensionParameters", None, None),
        ("Parameter", "Role", "inbound"),
        ("Parameter", "CallerDisplayName", "Kiana Anderson"),
        ("Parameter", "CalleeDisplayName", "Tomas Richardson"),
    ]
    for name in VENDORS:
        if name not in {
            "acme-siprec-offer",
            "sonus-siprec-offer",
            "third-party-dialer",
        }:
            assert of(name) == []


@pytest.mark.parametrize("name", [*VENDORS, WITHOUT_METADATA])
def test_whole_invites_come_apart_as_they_should(name: str) -> None:
    one = sample(name)
    invite = with_description_only(one.invite())
    body = one.body
    assert invite.content_type == "application/sdp"
    assert invite.body == body.description
    assert invite.recording_metadata == body.metadata
    assert invite.tolerated == body.tolerated
    assert bool(body.metadata) is (name != WITHOUT_METADATA)


@pytest.mark.parametrize("name", VENDORS)
def test_metadata_may_come_alone(name: str) -> None:
    metadata = sample(name).metadata
    alone = parse_metadata(b"\r\n" + sample(name).body.metadata)
    assert isinstance(alone, RecordingMetadata)
    assert alone == metadata


@pytest.mark.parametrize("name", SNAPSHOT_REQUESTS)
def test_a_request_for_a_snapshot_is_as_the_rfcs_have_it(name: str) -> None:
    theirs, _ = read_tree(document(name))
    ours, _ = read_tree(snapshot_request("SRS internal error"))
    for root in (theirs, ours):
        assert root.name == "requestsnapshot"
        assert root.namespace == "urn:ietf:params:xml:ns:recording:1"
        assert [one.name for one in root.children] == ["requestreason"]
        assert root.children[0].text == "SRS internal error"
    assert parse_metadata(document(name)).flaws == (Flaw.NOT_METADATA,)
    assert METADATA_TYPE == "application/rs-metadata+xml"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_of_the_rfcs_have_no_flaw(name: str) -> None:
    metadata = parse_metadata(document(name))
    assert metadata.flaws == ()
    assert metadata.complete is (b">complete<" in document(name))
