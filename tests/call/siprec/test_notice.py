import pytest

from agent.call.siprec.notice import notice_of
from agent.model.recording import NoticeStatement
from agent.signalling.sip.message import Request
from tests.call.siprec.recorded import Document, invite, known, two
from tests.call.siprec.test_config import entry


def notice(
    rule: str, *documents: Document, asking: Request | None = None
) -> NoticeStatement:
    return notice_of(known(*documents), asking or invite(), entry(notice=rule))


def test_a_statement_of_the_operators_is_evidence_in_their_words() -> None:
    made = notice("statement:The SBC plays it to both.")
    assert made == NoticeStatement(
        basis="statement", given=True, detail="The SBC plays it to both."
    )


@pytest.mark.parametrize(
    ("value", "given"),
    [("played", True), ("Played ", True), ("failed", False), ("", False)],
)
def test_a_header_whose_value_is_as_it_must_be(value: str, given: bool) -> None:
    asking = invite(("X-Notice", "unknown"), ("X-Notice", value))
    made = notice("header:X-Notice=played", asking=asking)
    assert made == NoticeStatement(basis="header", given=given, detail="x-notice")


def test_a_header_that_must_be_there_and_hold_something() -> None:
    assert not notice("header:X-Notice").given
    assert not notice("header:X-Notice", asking=invite(("X-Notice", " "))).given
    assert notice("header:X-Notice", asking=invite(("X-Notice", "x"))).given


def test_extension_data_anywhere_in_the_metadata() -> None:
    rule = "extension:announced=yes"
    said = "<announced xmlns='urn:x'>Yes</announced>"
    assert not notice(rule).given
    assert not notice(rule, two()).given
    assert not notice(rule, two(inside=said.replace("Yes", "no"))).given
    assert notice(rule, two(inside=said)).given
    assert notice(rule, two().session(said)).given
    assert notice(rule, two().group(said)).basis == "metadata"
    # It may come later than the call.
    assert notice(rule, two(), Document(partial=True).session(said)).given
