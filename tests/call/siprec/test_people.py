from agent.call.siprec.people import of_number, people_of, said
from agent.identity.numbers import FINLAND
from agent.model.recording import UNDECIDED, WITHHELD
from agent.signalling.siprec.metadata import Extension
from tests.call.siprec.recorded import CALLER, Document, is_officer, known, two


def test_who_is_present_once_each_in_their_order() -> None:
    state = known(two(name="Virtanen"))
    caller, officer = people_of(state, FINLAND, is_officer)
    assert (caller.number, caller.name) == (CALLER, "Virtanen")
    assert caller.sends == {"1"}
    assert officer.addresses == ("sip:201@b.example",)
    assert officer.has("201")
    assert not officer.has("")
    assert repr(officer) == "Party(…)"


def test_in_two_sessions_somebody_is_still_one() -> None:
    document = two().beside(
        '<session session_id="T"/>'
        '<participantsessionassoc participant_id="B" session_id="T"/>'
    )
    assert len(people_of(known(document), FINLAND, is_officer)) == 2


def test_a_number_that_stands_in_the_name_alone() -> None:
    document = Document().beside(
        '<participant participant_id="A"><nameID><name>0401234567</name></nameID>'
        '</participant><participantsessionassoc participant_id="A" session_id="S"/>'
        '<participant participant_id="B"><nameID><name>Alice</name></nameID>'
        '</participant><participantsessionassoc participant_id="B" session_id="S"/>'
    )
    first, second = people_of(known(document), FINLAND, is_officer)
    assert (first.number, second.number) == (CALLER, WITHHELD)


def test_a_client_that_stands_in_for_somebody_is_nobody() -> None:
    document = Document().party("A", "sip:ASBCE@asbce.com")
    [one] = people_of(known(document), FINLAND, is_officer)
    assert (one.number, one.numbers) == (UNDECIDED, ())


def test_what_extension_data_says() -> None:
    data = [
        Extension(
            "urn:x", "data", {"Role": "a"}, "", (Extension("", "role", {}, "b"),)
        ),
        Extension("urn:x", "Parameter", {"name": "Role", "value": "c"}),
        Extension("urn:x", "Parameter", {"name": "Role"}, "d"),
        Extension("urn:x", "other", {"name": "x"}, "e"),
    ]
    assert list(said(data, "ROLE")) == ["a", "b", "c", "d"]


def test_somebody_of_whom_only_the_number_is_known() -> None:
    assert of_number("201") == of_number("201", frozenset({"1"}))
    assert of_number("201").numbers == ("201",)
