"""Every sample of a vendor and every document of the RFCs, field by field."""

import pytest

from tests.call.siprec.vendors import BARE, CASES, Case
from tests.signalling.siprec import corpus


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{n}-{c.name}" for n, c in enumerate(CASES)]
)
def test_who_is_who_on_which_side_and_what_was_tolerated(case: Case) -> None:
    assert case.seen() == case.expected


def test_no_sample_and_no_document_is_left_out() -> None:
    assert set(BARE) == {*corpus.VENDORS, corpus.WITHOUT_METADATA}
    used = {name for case in CASES for name in case.documents}
    assert used == {*BARE, *corpus.DOCUMENTS}
