"""What the samples of vendors and the RFCs' documents must come to, field by field.

`dialect_table.py` makes a table of agent/signalling/INTEROP.md from these.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from agent.call.siprec.parties import Parties, decide
from agent.identity.numbers import FINLAND
from agent.model.recording import UNDECIDED, Channel
from agent.signalling.sdp import parse_sdp
from agent.signalling.siprec.metadata_state import MetadataState
from agent.signalling.siprec.metadata_xml import parse_metadata
from tests.call.siprec.recorded import invite
from tests.call.siprec.test_config import entry
from tests.signalling.siprec import corpus

LEFT, RIGHT, BOTH = Channel.CUSTOMER, Channel.OFFICER, Channel.BOTH


@dataclass(frozen=True)
class Expected:
    """What must come of a sample."""

    caller: str = UNDECIDED
    officers: tuple[str, ...] = ()
    direction: str = UNDECIDED
    service: str = UNDECIDED
    channels: dict[str, Channel] = field(default_factory=dict)
    basis: str = UNDECIDED
    participants: tuple[tuple[str, str], ...] = ()
    mixed: bool = False
    outsiders_only: bool = False
    tolerated: tuple[str, ...] = ()
    "Of body and metadata, a word each."


@dataclass(frozen=True)
class Case:
    """One sample, or several documents one after the other, under one configuration."""

    name: str
    documents: tuple[str, ...]
    expected: Expected
    rules: dict[str, Any] = field(default_factory=dict)
    "Of its [[siprec]] entry, what is not the default."
    directory: tuple[str, ...] = ()
    "Numbers of officers."
    labels: tuple[str, ...] = ()
    "Of the streams, where no description is beside the documents."

    def decide(self) -> tuple[Parties, tuple[str, ...]]:
        """What comes of it, and what had to be tolerated."""
        state, labels, tolerated = MetadataState(), self.labels, []
        made: Parties | None = None
        for name in self.documents:
            if name in corpus.DOCUMENTS:
                xml = corpus.document(name)
            else:
                body = corpus.sample(name).body
                xml, tolerated = body.metadata, [*body.tolerated]
                media = parse_sdp(body.description).media
                labels = tuple(one.label or "" for one in media)
            if xml:
                tolerated += state.apply(parse_metadata(xml))
            made = decide(
                state,
                invite(),
                labels,
                rules=entry(**self.rules),
                is_officer=self.directory.__contains__,
                identity=FINLAND,
                is_exempt=lambda _: False,
                before=made,
            )
        assert made is not None
        return made, tuple(dict.fromkeys(map(str, tolerated)))

    def seen(self) -> Expected:
        """What comes of it, in the form of what must."""
        made, tolerated = self.decide()
        return Expected(
            caller=made.caller,
            officers=made.officers,
            direction=made.direction,
            service=made.service,
            channels=made.channels,
            basis=made.basis,
            participants=tuple((one.number, one.name) for one in made.participants),
            mixed=made.mixed,
            outsiders_only=made.outsiders_only,
            tolerated=tolerated,
        )


FOUR: Final = ("96", "97", "98", "99")
PAIR: Final = {"1": LEFT, "2": RIGHT}
CONNECTEL: Final = ("+358771121212", "+358760516936")


def _connectel(name: str) -> Expected:
    return Expected(
        channels=PAIR,
        basis="undecided-by-order",
        participants=((CONNECTEL[0], name), (CONNECTEL[1], "")),
        tolerated=("bare-line-feed", "not-associated"),
    )


BARE: Final[dict[str, Expected]] = {
    "acme-siprec-offer": Expected(
        service="1002",
        channels={"16777227": LEFT, "16777228": RIGHT},
        participants=(("9000", "9000"), ("1002", "1002")),
        tolerated=("bare-line-feed", "time-without-zone"),
    ),
    "broadworks-offer": Expected(
        channels={"1": BOTH},
        tolerated=(
            *("bare-line-feed", "header-without-blank", "part-length"),
            *("unknown-type", "not-understood"),
        ),
    ),
    "broadworks-offer-2": Expected(
        channels={"10": LEFT, "20": RIGHT},
        participants=(("9878942259", ""), ("", "")),
        tolerated=("bare-line-feed", "time-without-zone", "id-form"),
    ),
    "cisco-siprec-offer": Expected(
        channels=PAIR,
        participants=(("7301", ""), ("7300", "7300")),
        tolerated=("bare-line-feed", "no-closing-boundary"),
    ),
    "connectel-offer": _connectel("test_user;lang=en-US;id=22"),
    "connectel-offer2": _connectel("test_user;lang=en-US"),
    "connectel-offer3": _connectel("test_user"),
    "inactive-sdp-offer": Expected(
        channels=PAIR,
        basis="undecided-by-order",
        participants=(("+358733165805", ""), ("+972546136443", "")),
        tolerated=("bare-line-feed",),
    ),
    "procomm-siprec-offer": Expected(
        channels={"a_leg": LEFT, "b_leg": RIGHT},
        participants=(
            ("+35816190200", "016190200"),
            ("Extension-016190619", "Speechpath-Main-Line 016190619"),
        ),
        tolerated=(
            *("bare-line-feed", "no-closing-boundary", "metadata-type"),
            "aor-without-scheme",
        ),
    ),
    "sonus-siprec-offer": Expected(
        service="2249888012",
        channels=PAIR,
        participants=(("2249888500", "Extension 8500"), ("2249888012", "")),
        tolerated=(
            *("bare-line-feed", "no-closing-boundary"),
            *("time-implausible", "aor-without-scheme"),
        ),
    ),
    "third-party-dialer": Expected(
        direction="inbound",
        channels={"inbound": LEFT, "outbound": RIGHT},
        participants=(("EE5C7EF0", ""), ("230908", "")),
        tolerated=("aor-without-scheme",),
    ),
    "non-siprec-payload": Expected(channels={"1": BOTH}),
}
"What comes of each sample where nothing is configured and the directory is empty."


def _told(name: str, settings: dict[str, Any], **told: Any) -> Case:
    """A sample whose parties are told apart."""
    directory = settings.pop("directory", ())
    return Case(
        name, (name,), replace(BARE[name], **told), rules=settings, directory=directory
    )


TOLD: Final = (
    _told(
        "acme-siprec-offer",
        {"directory": ("1002",)},
        caller="9000",
        officers=("1002",),
        direction="inbound",
        basis="directory",
    ),
    _told(
        "acme-siprec-offer",
        {"direction": "outbound"},
        caller="1002",
        officers=("9000",),
        direction="outbound",
        channels={"16777227": RIGHT, "16777228": LEFT},
        basis="vendor",
    ),
    _told(
        "broadworks-offer-2",
        {"caller": ("participant:1",)},
        caller="9878942259",
        basis="rule",
    ),
    _told(
        "cisco-siprec-offer",
        {"directory": ("7300",)},
        caller="7301",
        officers=("7300",),
        basis="directory",
    ),
    _told(
        "connectel-offer",
        {"directory": (CONNECTEL[1],)},
        caller=CONNECTEL[0],
        officers=(CONNECTEL[1],),
        basis="directory-by-order",
    ),
    _told(
        "connectel-offer2",
        {"direction": "inbound", "service": "0295419600"},
        caller=CONNECTEL[0],
        officers=(CONNECTEL[1],),
        direction="inbound",
        service="0295419600",
        basis="direction-by-order",
    ),
    _told(
        "connectel-offer3",
        {"officer": ("aor:*@sip-*",)},
        caller=CONNECTEL[0],
        officers=(CONNECTEL[1],),
        basis="rule-by-order",
    ),
    _told(
        "inactive-sdp-offer",
        {"directory": ("+358733165805",)},
        caller="+972546136443",
        officers=("+358733165805",),
        channels={"1": RIGHT, "2": LEFT},
        basis="directory-by-order",
    ),
    _told(
        "procomm-siprec-offer",
        {"officer": ("label:b_leg",)},
        caller="+35816190200",
        officers=("Extension-016190619",),
        basis="rule",
    ),
    _told(
        "sonus-siprec-offer",
        {"directory": ("2249888012",)},
        caller="2249888500",
        officers=("2249888012",),
        direction="inbound",
        channels={"1": RIGHT, "2": LEFT},
        basis="directory",
    ),
    _told(
        "third-party-dialer",
        {"officer": ("label:outbound",)},
        caller="EE5C7EF0",
        officers=("230908",),
        basis="rule",
    ),
)

ALICE, BOB, CAROL = ("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol")
SIDES: Final = {"96": LEFT, "97": LEFT, "98": RIGHT, "99": RIGHT}
SWAPPED: Final = {"96": RIGHT, "97": RIGHT, "98": LEFT, "99": LEFT}
OVER: Final = Expected(channels=SIDES)


def _rfc8068(title: str, *numbers: int, officers: str, expected: Expected) -> Case:
    return Case(
        f"RFC 8068: {title}",
        tuple(f"rfc8068-metadata-{number:02}" for number in numbers),
        expected,
        directory=tuple(officers.split()),
        labels=tuple(expected.channels),
    )


_BASIC: Final = Expected(
    caller="alice",
    officers=("bob",),
    channels=SIDES,
    basis="directory",
    participants=(ALICE, BOB),
)
_MIXED: Final = replace(_BASIC, channels={"96": BOTH}, mixed=True)
DOCUMENTS: Final = (
    Case(
        "RFC 7865: complete",
        ("rfc7865-metadata-02",),
        replace(
            _BASIC,
            caller="bob",
            officers=("Paul",),
            participants=(("bob", "Bob"), ("Paul", "Paul")),
        ),
        directory=("Paul",),
        labels=FOUR,
    ),
    Case(
        "RFC 7865: the officer leaves",
        ("rfc7865-metadata-02", "rfc7865-metadata-03"),
        Expected(
            caller="Paul",
            channels=SWAPPED,
            basis="directory",
            participants=(("Paul", "Paul"),),
            outsiders_only=True,
        ),
        directory=("bob",),
        labels=FOUR,
    ),
    _rfc8068("basic", 1, officers="bob", expected=_BASIC),
    _rfc8068("hold", 1, 2, officers="bob", expected=_BASIC),
    _rfc8068("resume", 1, 2, 3, officers="bob", expected=_BASIC),
    _rfc8068(
        "transfer",
        *(1, 4),
        officers="alice carol",
        expected=Expected(
            caller="bob",
            officers=("carol",),
            channels=SWAPPED,
            basis="directory",
            participants=(BOB, CAROL),
            tolerated=("unknown-stream",),
        ),
    ),
    _rfc8068("disconnect", 1, 5, officers="bob", expected=OVER),
    _rfc8068(
        "transfer, in a session of its own",
        6,
        officers="carol",
        expected=Expected(
            caller="Bob",
            officers=("carol",),
            channels=SWAPPED,
            basis="directory",
            participants=(("Bob", ""), ("carol", "")),
        ),
    ),
    _rfc8068("end of the session before", 1, 7, officers="bob", expected=OVER),
    _rfc8068("mixed", 8, officers="bob", expected=_MIXED),
    _rfc8068("mixed, hold", 8, 9, officers="bob", expected=_MIXED),
    _rfc8068("mixed, resume", 8, 9, 10, officers="bob", expected=_MIXED),
    _rfc8068(
        "conference",
        *(8, 11),
        officers="bob",
        expected=replace(_MIXED, participants=(ALICE, BOB, CAROL)),
    ),
    _rfc8068(
        "conference, one leaves",
        *(8, 11, 12),
        officers="bob",
        expected=replace(_MIXED, caller="carol", participants=(BOB, CAROL)),
    ),
    _rfc8068(
        "conference, disconnect",
        *(8, 11, 12, 13),
        officers="bob",
        expected=Expected(channels={"96": BOTH}, mixed=True),
    ),
    _rfc8068(
        "turret",
        14,
        officers="Bob",
        expected=replace(
            _MIXED,
            officers=("Bob",),
            participants=(ALICE, ("Bob", "Bob"), ("Carol", "Carol")),
        ),
    ),
)

CASES: Final = (
    *(Case(name, (name,), expected) for name, expected in BARE.items()),
    *TOLD,
    *DOCUMENTS,
)
