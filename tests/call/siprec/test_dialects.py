"""Each vendor's own data, from documents written here in the vendor's words."""

import pytest

from agent.call.siprec.dialects import Hints, Vendor, read_hints
from agent.model.call import CallDirection
from agent.model.recording import UNDECIDED, WITHHELD, Channel
from tests.call.siprec.recorded import (
    CALLER,
    Document,
    decided,
    invite,
    two,
    view,
)
from tests.call.siprec.test_config import entry

OUT = "+358501111111"


def number(hints: Hints) -> str:
    return "" if hints.calling is None else hints.calling.number


def test_who_says_nothing_hints_at_nothing() -> None:
    assert read_hints(view(two())) == Hints()


# -- Oracle -------------------------------------------------------------------------


def oracle(caller: str, inside: str, officer: str = "sip:201@b.example") -> Document:
    apkt = "xmlns:apkt='http://acmepacket.com/siprec/extensiondata'"
    mark = f"<extensiondata {apkt}><apkt:callingParty>%s</apkt:callingParty>{inside}"
    return (
        Document()
        .party("A", caller, sends=["1"], inside=f"{mark % 'true'}</extensiondata>")
        .party("B", officer, sends=["2"], inside=f"{mark % 'false'}</extensiondata>")
    )


def test_oracle_marks_who_rang() -> None:
    document = oracle("sip:0401234567@x", "")
    hints = read_hints(view(document))
    assert (hints.vendor, number(hints)) == (Vendor.ORACLE, CALLER)
    made = decided(document)
    assert (made.direction, made.service) == ("inbound", "201")
    made = decided(oracle("sip:202@x", "", officer="tel:+358501111111"))
    assert (made.direction, made.caller, made.officers) == ("outbound", OUT, ("202",))
    assert made.service == OUT


def test_oracle_names_the_service_that_was_rung() -> None:
    rung = "<apkt:request-uri>sip:0295419600@10.0.0.1:5060</apkt:request-uri>"
    made = decided(oracle("sip:anonymous@anonymous.invalid", rung))
    assert (made.caller, made.service) == (WITHHELD, "+358295419600")
    assert made.direction == "inbound"


def test_oracle_with_a_configured_direction_needs_no_directory() -> None:
    document = Document().party("B", "sip:900@b.example", sends=["2"])
    document = oracle("sip:0401234567@x", "", officer="sip:900@b.example")
    made = decided(document, rules=entry(direction="inbound"))
    assert (made.caller, made.officers, made.basis) == (CALLER, ("900",), "vendor")


def test_oracle_before_the_called_party_is_there() -> None:
    document = Document().party(
        "A",
        "sip:201@b.example",
        sends=["1"],
        inside="<callingParty xmlns='urn:x'>true</callingParty>"
        "<request-uri xmlns='urn:x'>sip:0501111111@x</request-uri>",
    )
    made = decided(document, labels=["1"])
    assert (made.direction, made.caller, made.officers) == ("outbound", OUT, ("201",))
    assert made.channels == {"1": Channel.OFFICER}


def test_oracle_of_three_names_no_called_party_by_itself() -> None:
    document = oracle("sip:0401234567@x", "").party("C", "sip:202@b.example")
    assert read_hints(view(document)).called == ""


# -- Ribbon -------------------------------------------------------------------------


def sonus(calling: str, called: str) -> str:
    return (
        "<callData xmlns='urn:ietf:params:xml:ns:callData'>"
        f'<fromhdr>"A" &lt;{calling}&gt;;tag=1</fromhdr>'
        f"<tohdr>&lt;{called}&gt;;tag=2</tohdr></callData>"
    )


def test_sonus_has_from_and_to_of_the_call() -> None:
    document = two().group(sonus("sip:0401234567@x", "sip:0295419600@x"))
    hints = read_hints(view(document))
    assert (hints.vendor, number(hints)) == (Vendor.SONUS, CALLER)
    made = decided(document)
    assert (made.direction, made.service) == ("inbound", "+358295419600")


def test_sonus_whose_from_is_nobody_there() -> None:
    document = two().group(sonus("sip:999@x", "sip:201@x"))
    hints = read_hints(view(document))
    assert (hints.calling, hints.called) == (None, "201")


# -- BroadWorks ---------------------------------------------------------------------


def broadworks(
    way: str, calling: str, called: str, user: str = "pekka@as.example"
) -> str:
    call = (
        f"<callingPartyNumber>{calling}</callingPartyNumber>"
        f"<calledPartyNumber>{called}</calledPartyNumber>"
    )
    call = f"<{way}>{call}</{way}>" if way else call
    return (
        "<extensiondata><broadWorksRecordingMetadata "
        "xmlns='http://schema.broadsoft.com/broadworksCallRecording'>"
        f"<userID>{user}</userID><callType>{call}</callType>"
        "</broadWorksRecordingMetadata></extensiondata>"
    )


def test_broadworks_names_whom_it_records_and_how_the_call_came() -> None:
    data = broadworks("termCall", "sip:0401234567@x", "sip:900@x")
    document = Document().party("A", "sip:0401234567@x", sends=["1"]).beside(data)
    made = decided(document, labels=["1"])
    assert (made.caller, made.officers) == (CALLER, ("900",))
    assert (made.direction, made.service, made.basis) == ("inbound", "900", "vendor")
    data = broadworks("origCall", "sip:900@x", "sip:0501111111@x;user=phone")
    made = decided(Document().beside(data), labels=["1"])
    assert (made.caller, made.officers) == (OUT, ("900",))
    assert (made.direction, made.service) == ("outbound", OUT)
    # One stream for both.
    assert (made.channels, made.mixed) == ({"1": Channel.BOTH}, True)


@pytest.mark.parametrize(
    "user", ["201@as.example", "+358295550201@as.example", "pekka@as.example"]
)
def test_broadworks_subscriber_whom_somebody_knows(user: str) -> None:
    data = broadworks("termCall", "sip:0401234567@x", "sip:0295550201@x", user=user)
    document = Document().party("A", "sip:0401234567@x", sends=["1"])
    document.party("B", f"sip:{user}", sends=["2"]).beside(data)
    made = decided(document)
    expected = user.partition("@")[0]
    recorded = read_hints(view(document)).recorded
    assert recorded is not None
    assert recorded.number == expected
    assert (made.caller, made.officers) == (CALLER, (expected,))
    assert made.channels == {"1": Channel.CUSTOMER, "2": Channel.OFFICER}


def test_broadworks_of_a_subscriber_alone() -> None:
    data = broadworks("", "", "", user="201@as.example")
    hints = read_hints(view(Document().beside(data)))
    assert hints.direction is None
    assert hints.recorded is not None
    assert hints.recorded.number == "201"
    assert hints.far is None
    # The directory knows them by that number, and not by the one that was rung.
    data = broadworks("termCall", "sip:0401234567@x", "sip:0295550201@x", "201@x")
    alone = Document().party("A", "sip:0401234567@x", sends=["1"]).beside(data)
    recorded = read_hints(view(alone)).recorded
    assert recorded is not None
    assert recorded.number == "201"
    nobody = read_hints(view(Document().beside(broadworks("termCall", "", "", ""))))
    assert nobody.recorded is None
    assert nobody.direction is CallDirection.INBOUND


# -- Microsoft ----------------------------------------------------------------------


def microsoft(role: str) -> str:
    return (
        "<ExtensionParameters xmlns='http://provider.example/siprec'>"
        f"<Parameter name='Role' value='{role}'/></ExtensionParameters>"
    )


def test_microsoft_tells_the_direction_and_not_who_rang() -> None:
    made = decided(two().session(microsoft("inbound")))
    assert (made.direction, made.basis) == ("inbound", "directory")
    made = decided(two().session(microsoft("Outbound")), officers=lambda _: False)
    assert (made.direction, made.basis) == ("outbound", UNDECIDED)
    assert read_hints(view(two().session(microsoft("agent")))) == Hints()


def test_a_told_direction_and_a_rule_for_who_rang() -> None:
    made = decided(
        two().session(microsoft("inbound")),
        rules=entry(calling=("label:1",)),
        officers=lambda _: False,
    )
    assert (made.caller, made.officers, made.basis) == (CALLER, ("201",), "rule")


# -- Cisco's built-in bridge --------------------------------------------------------

NEAR = "x-nearendaddr=201;x-farendaddr=0401234567"


@pytest.mark.parametrize(
    ("end", "channel"),
    [
        ("x-nearend", Channel.OFFICER),
        ("x-farend", Channel.CUSTOMER),
        ("x-other", Channel.BOTH),
    ],
)
def test_a_phones_bridge_sends_each_end_by_itself(end: str, channel: Channel) -> None:
    asking = invite(sender=f"<sip:201@cucm;{end};x-refci=1;{NEAR}>")
    made = decided(asking=asking, labels=[""])
    assert (made.caller, made.officers) == (CALLER, ("201",))
    assert (made.channels, made.basis) == ({"": channel}, "vendor")
    assert made.direction == UNDECIDED


def test_a_phones_bridge_without_a_far_end() -> None:
    asking = invite(sender="<sip:201@cucm;x-nearend;x-nearendaddr=201>")
    made = decided(asking=asking, labels=[""])
    assert (made.caller, made.officers) == (UNDECIDED, ("201",))
