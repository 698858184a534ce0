"""Whatever clients tell, one document after the other: decisions hold together."""

from hypothesis import given, settings, strategies as st

from agent.call.siprec.parties import Parties
from agent.call.siprec.rules import RuleKind
from tests.call.siprec.recorded import (
    Document,
    decided,
    holds_together,
    invite,
    known,
    stays,
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
        holds_together(made, labels)
        again = decided(
            labels=labels,
            asking=asking,
            rules=entry_,  # type: ignore[arg-type]
            before=made,
            state=known(*told[:count]),
        )
        stays(made, again)
        before = made


def test_every_kind_of_rule_is_walked() -> None:
    assert {rule.partition(":")[0] for rule in RULES} == set(RuleKind)
