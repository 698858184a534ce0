"""Whatever clients tell, one document after the other: decisions hold together."""

from hypothesis import given, settings, strategies as st

from agent.call.siprec.parties import Basis, Parties
from agent.call.siprec.rules import RuleKind
from agent.model.recording import UNDECIDED, WITHHELD, Channel
from tests.call.siprec.recorded import (
    EXEMPT,
    OFFICERS,
    Document,
    decided,
    invite,
    known,
)
from tests.call.siprec.test_config import entry

ADDRESSES = (
    *("sip:201@x", "sip:202@x", "tel:203", "tel:+358401234567", "0501111111@y"),
    *("sip:anonymous@anonymous.invalid", "sip:ASBCE@asbce.com", "tel:112", "", "<>"),
)
LABELS = ("1", "2", "3", "", "a b", "ä")
RULES = (
    *("directory", "participant:1", "participant:2", "label:1", "label:*"),
    *("aor:sip:*", "extension:callingParty=true", "named:userID", "header:X-Agent"),
)
INSIDE = (
    "",
    "<callingParty xmlns='urn:x'>true</callingParty>",
    "<request-uri xmlns='urn:x'>tel:0295419600</request-uri>",
)
BESIDE = (
    "",
    "<callData xmlns='urn:x'><fromhdr>sip:201@x</fromhdr><tohdr>x</tohdr></callData>",
    "<broadWorksRecordingMetadata xmlns='urn:x'><userID>201@x</userID><origCall>"
    "<calledPartyNumber>0401234567</calledPartyNumber></origCall>"
    "</broadWorksRecordingMetadata>",
    "<ExtensionParameters xmlns='urn:x'><Parameter name='Role' value='inbound'/>"
    "</ExtensionParameters>",
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    document = Document(partial=draw(st.booleans()))
    if inside := draw(st.sampled_from(BESIDE)):
        document.beside(inside)
    streams = st.lists(st.sampled_from(["1", "2", "3"]), max_size=2, unique=True)
    for number in draw(st.lists(st.sampled_from("ABCD"), max_size=4, unique=True)):
        if draw(st.booleans()):
            document.leaves(number)
            continue
        names = draw(st.lists(st.sampled_from(ADDRESSES), max_size=2))
        document.party(
            number,
            *names,
            sends=draw(streams),
            inside=draw(st.sampled_from(INSIDE)),
        )
    return document


rules = st.builds(
    entry,
    officer=st.lists(st.sampled_from(RULES), max_size=2).map(tuple),
    caller=st.lists(st.sampled_from(RULES), max_size=1).map(tuple),
    calling=st.lists(st.sampled_from(RULES), max_size=1).map(tuple),
    direction=st.sampled_from(["decide", "inbound", "outbound"]),
    service=st.sampled_from(["", "0295419600", "112"]),
)


@settings(max_examples=60)
@given(
    told=st.lists(documents(), max_size=4),
    entry_=rules,
    labels=st.lists(st.sampled_from(LABELS), min_size=1, max_size=4),
    agent=st.sampled_from(["", "201", "sip:900@x"]),
)
def test_whatever_is_told_a_decision_holds_together(
    told: list[Document], entry_: object, labels: list[str], agent: str
) -> None:
    asking = invite(("X-Agent", agent))
    before: Parties | None = None
    for count in range(len(told) + 1):
        made = decided(
            labels=labels,
            asking=asking,
            rules=entry_,  # type: ignore[arg-type]
            before=before,
            state=known(*told[:count]),
        )
        check(made, labels)
        # Told the same again, nobody moves: no segment ends for nothing.
        again = decided(
            labels=labels,
            asking=asking,
            rules=entry_,  # type: ignore[arg-type]
            before=made,
            state=known(*told[:count]),
        )
        assert (again.caller, again.officers) == (made.caller, made.officers)
        assert again.channels == made.channels
        assert (again.exempt, again.outsiders_only) == (
            made.exempt,
            made.outsiders_only,
        )
        before = made


def check(made: Parties, labels: list[str]) -> None:
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


def test_every_kind_of_rule_is_walked() -> None:
    assert {rule.partition(":")[0] for rule in RULES} == set(RuleKind)
