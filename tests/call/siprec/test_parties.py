"""Who is officer and who caller; each vendor's own data is in test_dialects."""

import time

import pytest

from agent.call.siprec.parties import MAX_PARTIES
from agent.model.recording import UNDECIDED, WITHHELD, Channel
from tests.call.siprec.recorded import CALLER, Document, decided, invite, known, two
from tests.call.siprec.test_config import entry

LEFT, RIGHT, BOTH = Channel.CUSTOMER, Channel.OFFICER, Channel.BOTH


def nobody(_number: str) -> bool:
    return False


# -- by the directory ---------------------------------------------------------------


def test_who_is_in_the_directory_is_the_officer() -> None:
    made = decided(two())
    assert (made.caller, made.officers) == (CALLER, ("201",))
    assert made.channels == {"1": LEFT, "2": RIGHT}
    assert (made.basis, made.identified) == ("directory", True)
    assert [one.number for one in made.participants] == [CALLER, "201"]
    assert (made.exempt, made.mixed, made.outsiders_only) == (False, False, False)
    # Nobody said who rang.
    assert (made.direction, made.service) == (UNDECIDED, UNDECIDED)
    assert "201" not in repr(made)


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("tel:+358401234567", CALLER),
        ("sips:+358401234567@10.0.0.1:5061", CALLER),
        ("0401234567", CALLER),
        ("sip:anonymous@anonymous.invalid", WITHHELD),
        ("sip:Restricted@10.0.0.1", WITHHELD),
        ("", WITHHELD),
        ("sip:alice@a.example", "alice"),
        ("sip:ASBCE@asbce.com", UNDECIDED),
    ],
)
def test_a_caller_in_every_form(address: str, caller: str) -> None:
    made = decided(two(address))
    assert (made.caller, made.officers) == (caller, ("201",))


def test_of_several_names_the_officers_counts_then_a_number() -> None:
    document = Document().party("A", "sip:alice@a.example", "tel:+358401234567")
    document.party("B", "sip:pekka@b.example", "sip:201@b.example", name="Pekka")
    made = decided(document)
    assert (made.caller, made.officers) == (CALLER, ("201",))
    assert [(one.number, one.name) for one in made.participants] == [
        (CALLER, ""),
        ("201", "Pekka"),
    ]


def test_a_conference_of_two_officers_and_a_caller() -> None:
    document = two().party("C", "sip:202@b.example", sends=["3"])
    made = decided(document, labels=["1", "2", "3"])
    assert (made.caller, made.officers) == (CALLER, ("201", "202"))
    assert made.channels == {"1": LEFT, "2": RIGHT, "3": RIGHT}


def test_a_conference_of_an_officer_and_two_outsiders() -> None:
    document = two().party("C", "tel:+358501111111", sends=["3"])
    made = decided(document, labels=["1", "2", "3"])
    assert (made.caller, made.officers) == (CALLER, ("201",))
    assert made.channels == {"1": LEFT, "2": RIGHT, "3": LEFT}
    rang = decided(
        document, labels=["1", "2", "3"], rules=entry(calling=("participant:3",))
    )
    assert rang.caller == "+358501111111"
    assert rang.direction == "inbound"


def test_officers_among_themselves_are_all_officers() -> None:
    document = Document().party("A", "sip:201@b.example", sends=["1"])
    document.party("B", "sip:202@b.example", sends=["2"])
    made = decided(document)
    assert (made.caller, made.officers) == (UNDECIDED, ("201", "202"))
    assert made.channels == {"1": LEFT, "2": RIGHT}
    rang = decided(document, rules=entry(calling=("participant:2",)))
    assert (rang.caller, rang.direction, rang.service) == ("202", "outbound", "202")
    assert rang.channels == {"1": RIGHT, "2": LEFT}


def test_an_officer_of_whom_alone_is_known() -> None:
    document = Document().party("B", "sip:201@b.example", sends=["2"])
    made = decided(document)
    assert (made.caller, made.officers) == (UNDECIDED, ("201",))
    # The other stream is that of whom the metadata does not name.
    assert made.channels == {"2": RIGHT, "1": LEFT}
    assert made.basis == "directory"


# -- by rules -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        "participant:2",
        "label:2",
        "aor:*@B.example",
        "extension:role=agent",
        "named:agentId",
        "header:X-Agent",
        "header:X-Agent=*900*",
    ],
)
def test_an_officer_by_each_rule_though_the_directory_lacks_them(rule: str) -> None:
    document = (
        Document()
        .session("<agentId xmlns='urn:x'>900</agentId>")
        .party("A", "sip:0401234567@a.example", sends=["1"])
        .party(
            "B",
            "sip:900@b.example",
            sends=["2"],
            inside="<p xmlns='urn:x' role='Agent'/>",
        )
    )
    asking = invite(("X-Agent", '"A, B" <sip:900@x.example>'))
    made = decided(document, rules=entry(officer=(rule,)), asking=asking)
    assert (made.caller, made.officers) == (CALLER, ("900",))
    assert made.channels == {"1": LEFT, "2": RIGHT}
    assert (made.basis, made.identified) == ("rule", True)


def test_the_first_rule_that_picks_anybody_counts() -> None:
    rules = entry(officer=("participant:9", "directory", "participant:1"))
    made = decided(two(), rules=rules)
    assert made.officers == ("201",)
    made = decided(two(), rules=rules, officers=nobody)
    assert (made.caller, made.officers) == ("201", (CALLER,))


def test_who_is_no_outside_party_is_an_officer() -> None:
    rules = entry(officer=("participant:9",), caller=("aor:*@a.example",))
    document = two().party("C", "sip:900@c.example", sends=["3"])
    made = decided(document, rules=rules, labels=["1", "2", "3"], officers=nobody)
    assert (made.caller, made.officers) == (CALLER, ("201", "900"))


def test_without_metadata_headers_name_the_parties() -> None:
    asking = invite(("X-Agent", "201"), ("P-Asserted-Identity", "<tel:+358401234567>"))
    rules = entry(
        officer=("header:X-Agent",),
        caller=("header:P-Asserted-Identity",),
        calling=("header:P-Asserted-Identity",),
        service="0295419600",
    )
    made = decided(rules=rules, asking=asking)
    assert (made.caller, made.officers) == (CALLER, ("201",))
    assert (made.direction, made.service) == ("inbound", "0295419600")
    assert [one.number for one in made.participants] == ["201", CALLER]
    # Which stream is whose only their order says.
    assert made.basis == "rule-by-order"


# -- by the direction ---------------------------------------------------------------


def test_the_configured_direction_takes_the_first_for_who_rang() -> None:
    made = decided(two(), rules=entry(direction="inbound"), officers=nobody)
    assert (made.caller, made.officers) == (CALLER, ("201",))
    assert (made.direction, made.basis) == ("inbound", "direction")
    assert not made.identified
    made = decided(two(), rules=entry(direction="outbound"), officers=nobody)
    assert (made.caller, made.officers) == ("201", (CALLER,))
    assert (made.direction, made.service) == ("outbound", "201")
    assert made.channels == {"1": RIGHT, "2": LEFT}


def test_a_rule_says_better_who_rang() -> None:
    rules = entry(direction="inbound", calling=("participant:2",))
    made = decided(two(), rules=rules, officers=nobody)
    assert (made.caller, made.officers, made.basis) == ("201", (CALLER,), "rule")


def test_the_direction_of_one_alone() -> None:
    document = Document().party("A", "tel:+358401234567", sends=["1"])
    made = decided(document, rules=entry(direction="inbound"))
    assert (made.caller, made.officers) == (CALLER, ())
    made = decided(document, rules=entry(direction="outbound"))
    assert (made.caller, made.officers) == (UNDECIDED, (CALLER,))


def test_the_direction_of_nobody() -> None:
    made = decided(rules=entry(direction="inbound", service="0295419600"))
    assert (made.caller, made.officers) == (UNDECIDED, ())
    assert (made.direction, made.service) == ("inbound", "0295419600")
    assert made.basis == UNDECIDED
    assert made.channels == {"1": LEFT, "2": RIGHT}


# -- undecided ----------------------------------------------------------------------


def test_what_nobody_can_tell_is_said_to_be_so() -> None:
    made = decided(two(), officers=nobody)
    assert (made.caller, made.officers) == (UNDECIDED, ())
    assert (made.basis, made.direction) == (UNDECIDED, UNDECIDED)
    assert made.channels == {"1": LEFT, "2": RIGHT}
    assert [one.number for one in made.participants] == [CALLER, "201"]
    assert not made.identified


def test_the_first_streams_party_is_left_whoever_is_named_first() -> None:
    document = Document().party("A", "sip:a@a.example", sends=["2"])
    document.party("B", "sip:b@b.example", sends=["1"])
    document.party("C", "sip:c@c.example", sends=["3"])
    document.party("D", "sip:d@d.example")
    made = decided(document, labels=["1", "2", "3"])
    assert made.channels == {"1": LEFT, "2": RIGHT, "3": BOTH}


def test_one_undecided_stream_of_two_is_on_both_sides() -> None:
    document = Document().party("A", "sip:a@a.example", sends=["1"])
    document.party("B", "sip:b@b.example", sends=["1"])
    made = decided(document, labels=["1"])
    assert made.channels == {"1": BOTH}
    assert made.mixed


def test_hold_moves_nobody_of_whom_nothing_is_known() -> None:
    before = decided(two(), officers=nobody)
    for document in (
        Document(partial=True).party("A", "sip:0401234567@a.example"),
        Document(partial=True).party("B", "sip:201@b.example"),
    ):
        after = decided(state=known(two(), document), before=before, officers=nobody)
        assert after == before
    third = Document(partial=True).party("C", "sip:900@c.example", sends=["3"])
    state = known(two(), third)
    after = decided(state=state, before=before, labels=["1", "2", "3"], officers=nobody)
    assert after.channels == {"1": LEFT, "2": RIGHT, "3": BOTH}


def test_metadata_that_comes_late_says_whose_the_streams_are() -> None:
    before = decided()
    assert before.channels == {"1": LEFT, "2": RIGHT}
    document = Document().party("B", "sip:201@b.example")
    document.party("A", "sip:0401234567@a.example")
    after = decided(document, before=before)
    assert after.channels == {"1": RIGHT, "2": LEFT}
    assert after.basis == "directory-by-order"
    # And it is told by order for as long as nothing else tells it.
    assert decided(document, before=after) == after
    told = Document().party("B", "sip:201@b.example", sends=["2"])
    told.party("A", "sip:0401234567@a.example", sends=["1"])
    after = decided(told, before=after)
    assert after.channels == {"1": LEFT, "2": RIGHT}
    assert after.basis == "directory"


# -- exempt -------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["+358999999999", "112"])
def test_any_party_may_be_exempt(number: str) -> None:
    assert decided(two(f"tel:{number}")).exempt
    assert decided(two().party("C", "sip:x@y", f"sip:{number}@z")).exempt


def test_whoever_left_is_not_and_a_service_may_be() -> None:
    assert decided(two().party("C", "urn:service:sos.police")).exempt
    here = two().party("C", "tel:112")
    gone = Document(partial=True).leaves("C")
    assert not decided(here, gone).exempt
    assert decided(two(), rules=entry(service="112")).exempt


# -- officers who leave -------------------------------------------------------------


def test_outsiders_alone_are_said_to_be_so() -> None:
    with_officer = two().party("C", "tel:+358501111111")
    state = known(with_officer)
    before = decided(state=state)
    assert not before.outsiders_only
    state = known(with_officer, Document(partial=True).leaves("B"))
    after = decided(state=state, before=before)
    assert after.outsiders_only
    assert after.officers == ()
    assert after.identified
    # Also where all calls go one way: whoever is left is no officer for that.
    after = decided(state=state, before=before, rules=entry(direction="inbound"))
    assert after.outsiders_only
    # Nor where nobody looks again until another officer comes.
    again = decided(state=state, before=after)
    assert again.outsiders_only
    back = Document(partial=True).party("D", "sip:202@b.example")
    state = known(with_officer, Document(partial=True).leaves("B"), back)
    then = decided(state=state, before=again)
    assert (then.outsiders_only, then.officers) == (False, ("202",))


def test_one_outsider_alone_is_among_outsiders_and_nobody_is_not() -> None:
    before = decided(two())
    alone = known(two(), Document(partial=True).leaves("B"))
    assert decided(state=alone, before=before).outsiders_only
    empty = known(two(), Document(partial=True).leaves("B").leaves("A"))
    assert not decided(state=empty, before=before).outsiders_only


def test_who_was_an_officer_by_direction_alone_may_be_followed_by_another() -> None:
    rules = entry(direction="inbound")
    before = decided(two(), rules=rules, officers=nobody)
    state = known(
        two(),
        Document(partial=True).leaves("B").party("C", "sip:900@b.example", sends=["2"]),
    )
    after = decided(state=state, before=before, rules=rules, officers=nobody)
    assert (after.outsiders_only, after.officers) == (False, ("900",))


def test_a_transfer_to_another_officer_keeps_the_caller_where_they_were() -> None:
    before = decided(two())
    state = known(
        two(),
        Document(partial=True).leaves("B").party("C", "sip:202@b.example", sends=["2"]),
    )
    after = decided(state=state, before=before)
    assert (after.caller, after.officers) == (CALLER, ("202",))
    assert after.channels == before.channels


def test_hold_moves_nobody() -> None:
    before = decided(two())
    held = Document(partial=True).party("A", "sip:0401234567@a.example", hears=["2"])
    held.party("B", "sip:201@b.example")
    after = decided(state=known(two(), held), before=before)
    assert after == before


# -- bounds -------------------------------------------------------------------------


def test_a_crowd_is_decided_on_whole_and_named_in_part() -> None:
    document = Document()
    for number in range(MAX_PARTIES + 20):
        document.party(f"P{number}", f"tel:+3585000000{number:02}", name="n" * 500)
    document.party("O", "sip:201@b.example")
    document.party("E", "tel:112")
    made = decided(document)
    assert made.officers == ("201",)
    assert made.exempt
    assert len(made.participants) == MAX_PARTIES
    assert len(made.participants[0].name) == 128


def test_what_a_crowd_costs_grows_with_it_and_not_with_its_square() -> None:
    def cost(size: int) -> float:
        document = Document()
        for number in range(size):
            document.party(f"P{number}", f"tel:+35850{number:07}", sends=["1"])
        state, rules = known(document), entry(officer=("label:1",))
        best = float("inf")
        for _ in range(3):
            begun = time.process_time()
            decided(state=state, rules=rules)
            best = min(best, time.process_time() - begun)
        return best

    assert cost(490) < 18 * cost(70)


def test_an_officer_is_known_by_rule_vendor_or_directory_and_not_by_direction() -> None:
    assert decided(two()).officer_known
    stranger = (
        Document()
        .party("A", "sip:0401234567@a.example", sends=["1"], hears=["2"])
        .party("B", "sip:900@b.example", sends=["2"], hears=["1"])
    )
    by_direction = decided(stranger, rules=entry(direction="inbound"))
    assert by_direction.officers == ("900",)
    assert not by_direction.officer_known
    assert decided(stranger, rules=entry(officer=("aor:sip:900@*",))).officer_known
    # One who has left is there no more.
    before = decided(two())
    alone = known(two(), Document(partial=True).leaves("B"))
    assert not decided(state=alone, before=before).officer_known
