"""Recording beside the call for clients of several makes, played by sipp."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.calls import CUSTOMER
from tests.lab.daemon import CALLER, Recording
from tests.lab.siprec.dialects import dialect
from tests.lab.siprec.documents import uid
from tests.lab.siprec.hearing import Heard
from tests.lab.siprec.played import Channels
from tests.lab.siprec.site import Site, host_of, recording_server
from tests.lab.siprec.streams import Stream
from tests.lab.standing import assert_well

pytestmark = [pytest.mark.integration, pytest.mark.beside]

FEW = 10
"Frames that may be under way when it begins or ends."


@dataclass(frozen=True)
class Dialect:
    """One make, and what must be known of the call that it sends."""

    make: str
    name: str
    "Of its scenario."
    source: str
    transport: str
    labels: tuple[str, ...] = ("1", "2")
    payload_type: int = 0
    caller: str = CUSTOMER
    officers: tuple[str, ...] = ("201",)
    direction: str = "inbound"
    basis: str = "directory"
    left: int = 0
    "Which stream is the caller's; the other one is the officer's."


DIALECTS = [
    Dialect("Cisco CUBE", "cisco-cube", "sbc", "udp"),
    Dialect("Cisco CUBE", "cisco-cube", "sbc", "tcp"),
    Dialect(
        "Oracle", "oracle", "oracle", "tcp", ("83886083", "83886084"), basis="rule"
    ),
    Dialect("BroadWorks", "broadworks", "broadworks", "udp", ("1",), 8, basis="vendor"),
    # Who is heard on a stream is said the other way round than the labels suggest.
    Dialect("Ribbon (Sonus)", "sonus", "sbc", "udp", left=1),
    Dialect(
        "Avaya SBCE",
        "avaya-sbce",
        "avaya",
        "tcp",
        ("10", "20"),
        8,
        officers=(),
        basis="rule",
    ),
    Dialect("NetSapiens", "netsapiens", "sbc", "tcp", ("inbound", "outbound"), 8),
    Dialect(
        "a gateway without metadata",
        "plain",
        "legacy",
        "udp",
        ("", ""),
        8,
        "undecided",
        (),
        basis="undecided",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = recording_server(tmp_path_factory.mktemp("siprec"))
    try:
        site.daemon.start()
        yield site
        assert_well(site.daemon)
        site.stop()
    finally:
        site.daemon.kill()


async def recorded(
    site: Site,
    root: Path,
    make: Dialect,
    officer: str = "201",
    session: str = uid("only"),
) -> tuple[Recording, list[Stream]]:
    """What is stored of one call of a client, and what was said in it."""
    before = {recording.id for recording in site.daemon.recordings()}
    stored = len(site.daemon.log("stored"))
    streams = [
        Stream(label, seed, payload_type=make.payload_type)
        for seed, label in enumerate(make.labels)
    ]
    async with dialect(
        root,
        make.name,
        streams,
        host=host_of(make.source),
        remote=site.daemon.sip,
        caller=CALLER,
        officer=officer,
        session=session,
        transport=make.transport,
        pause=1.0,
    ):
        pass
    await site.daemon.logged("stored", count=stored + 1)
    [recording] = site.daemon.recordings(but=before)
    return recording, streams


def proving(make: Dialect) -> Any:
    """A make as a parameter of a test, which proves that it is understood."""
    feature = f"SIPREC, as {make.make} sends it"
    mark = pytest.mark.interop("sipp", feature)
    return pytest.param(make, marks=mark, id=f"{make.name}-{make.transport}")


@pytest.mark.parametrize("make", [proving(make) for make in DIALECTS])
async def test_a_client_is_recorded(site: Site, tmp_path: Path, make: Dialect) -> None:
    recording, streams = await recorded(site, tmp_path, make)
    manifest = recording.manifest
    assert manifest.caller == make.caller
    assert tuple(officer.number for officer in manifest.officers) == make.officers
    assert manifest.direction == make.direction
    assert manifest.session.source == make.source
    assert manifest.session.basis == make.basis
    assert manifest.outcome == "recorded"
    assert manifest.verdict == "good"
    channels = Channels(recording)
    if len(streams) == 1:
        assert manifest.session.mixed
        [voice] = streams
        assert whole(channels.left(voice), voice) == whole(channels.right(voice), voice)
        return
    caller, officer = streams[make.left], streams[1 - make.left]
    whole(channels.left(caller), caller)
    whole(channels.right(officer), officer)
    assert channels.right(caller) is None
    assert channels.left(officer) is None


def whole(where: Heard | None, stream: Stream) -> Heard:
    """Where a stream is heard, which must be whole but for its very ends."""
    assert where is not None
    assert len(stream.said - where.frames) <= FEW
    return where


async def test_netsapiens_ties_its_sessions_by_the_group(
    site: Site, tmp_path: Path
) -> None:
    make = next(one for one in DIALECTS if one.name == "netsapiens")
    first, _ = await recorded(site, tmp_path, make, "201", uid("first"))
    second, _ = await recorded(site, tmp_path, make, "202", uid("second"))
    assert first.manifest.group == second.manifest.group
    numbers = [[o.number for o in r.manifest.officers] for r in (first, second)]
    assert numbers == [["201"], ["202"]]
