"""Recording sessions for tests: their metadata in few words, and a decision."""

from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.parties import Basis, Parties, decide
from agent.call.siprec.people import people_of
from agent.call.siprec.view import View
from agent.identity.numbers import FINLAND
from agent.model.recording import UNDECIDED, WITHHELD, Channel
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import parse_uri
from agent.signalling.siprec.metadata_state import MetadataState
from agent.signalling.siprec.metadata_xml import parse_metadata
from tests.call.siprec.test_config import entry

CALLER = "+358401234567"
OFFICERS = frozenset({"201", "202", "203"})
EXEMPT = frozenset({"+358999999999", "112"})


def is_officer(number: str) -> bool:
    return number in OFFICERS


def invite(*headers: tuple[str, str], sender: str = "<sip:src@192.0.2.1>") -> Request:
    made = Headers()
    made.add("From", f"{sender};tag=1")
    for name, value in headers:
        made.add(name, value)
    return Request("INVITE", parse_uri("sip:srs@192.0.2.9"), made)


class Document:
    """A metadata document that is written part by part."""

    def __init__(self, *, partial: bool = False) -> None:
        self._mode = "partial" if partial else "complete"
        self._groups: list[str] = []
        self._session = ""
        self._parts: list[str] = []

    def group(self, inside: str) -> "Document":
        self._groups.append(f'<group group_id="G">{inside}</group>')
        return self

    def session(self, inside: str) -> "Document":
        self._session = inside
        return self

    def beside(self, xml: str) -> "Document":
        self._parts.append(xml)
        return self

    def party(
        self,
        id_: str,
        *addresses: str,
        sends: Sequence[str] = (),
        hears: Sequence[str] = (),
        name: str = "",
        inside: str = "",
    ) -> "Document":
        names = "".join(
            f"<nameID aor={quoteattr(a)}><name>{escape(name)}</name></nameID>"
            for a in addresses
        )
        self._parts.append(
            f'<participant participant_id="{id_}">{names}{inside}</participant>'
            f'<participantsessionassoc participant_id="{id_}" session_id="S"/>'
        )
        streams = "".join(f"<send>stream-{label}</send>" for label in sends)
        streams += "".join(f"<recv>stream-{label}</recv>" for label in hears)
        self._parts.append(
            f'<participantstreamassoc participant_id="{id_}">{streams}'
            "</participantstreamassoc>"
        )
        self._parts += [
            f'<stream stream_id="stream-{label}" session_id="S">'
            f"<label>{label}</label></stream>"
            for label in sends
        ]
        return self

    def leaves(self, id_: str) -> "Document":
        self._parts.append(
            f'<participantsessionassoc participant_id="{id_}" session_id="S">'
            "<disassociate-time>2026-11-30T10:00:00Z</disassociate-time>"
            "</participantsessionassoc>"
        )
        return self

    @property
    def xml(self) -> bytes:
        tie = "<group-ref>G</group-ref>" if self._groups else ""
        return (
            "<recording xmlns='urn:ietf:params:xml:ns:recording:1'>"
            f"<datamode>{self._mode}</datamode>{''.join(self._groups)}"
            f'<session session_id="S">{tie}{self._session}</session>'
            f"{''.join(self._parts)}</recording>"
        ).encode()


def two(caller: str = "sip:0401234567@a.example", **changes: Any) -> Document:
    """A caller who sends on 1 and an officer who sends on 2."""
    return (
        Document()
        .party("A", caller, sends=["1"], hears=["2"], **changes)
        .party("B", "sip:201@b.example", sends=["2"], hears=["1"])
    )


def known(*documents: Document) -> MetadataState:
    state = MetadataState()
    for document in documents:
        state.apply(parse_metadata(document.xml))
    return state


def view(
    *documents: Document, asking: Request | None = None, labels: Sequence[str] = ()
) -> View:
    state = known(*documents)
    return View(
        people=people_of(state, FINLAND, is_officer),
        extensions=state.extensions,
        labels=tuple(labels),
        invite=asking or invite(),
        identity=FINLAND,
        is_officer=is_officer,
    )


def decided(
    *documents: Document,
    labels: Sequence[str] = ("1", "2"),
    asking: Request | None = None,
    rules: SiprecConfig | None = None,
    officers: Callable[[str], bool] = is_officer,
    before: Parties | None = None,
    state: MetadataState | None = None,
) -> Parties:
    return decide(
        state or known(*documents),
        asking or invite(),
        labels,
        rules=rules or entry(),
        is_officer=officers,
        identity=FINLAND,
        is_exempt=EXEMPT.__contains__,
        before=before,
    )


def holds_together(made: Parties, labels: Sequence[str]) -> None:
    """Whether a decision is one, whatever it was made of."""
    assert set(made.channels) == set(labels)
    assert set(made.channels.values()) <= set(Channel)
    assert made.direction in {"inbound", "outbound", UNDECIDED}
    assert made.service
    assert made.caller
    assert not {"", WITHHELD, UNDECIDED}.intersection(made.officers)
    assert len(set(made.officers)) == len(made.officers)
    numbers = {one.number for one in made.participants}
    assert made.exempt or not EXEMPT & numbers
    if made.outsiders_only:
        assert not made.officers
        assert not OFFICERS & numbers
        assert made.identified
    if made.basis.startswith(Basis.UNDECIDED):
        assert (made.caller, made.officers) == (UNDECIDED, ())
    if len(made.officers) < len(made.participants):
        assert made.caller not in made.officers or made.caller in numbers


def stays(made: Parties, again: Parties) -> None:
    """Told the same again, nobody moves: no segment ends for nothing."""
    assert (again.caller, again.officers) == (made.caller, made.officers)
    assert again.channels == made.channels
    assert (again.exempt, again.outsiders_only) == (made.exempt, made.outsiders_only)
