from agent.signalling.not_acceptable import (
    INCOMPATIBLE_PROTOCOL,
    MISCELLANEOUS,
    NotAcceptableError,
)


def test_the_warning_says_why_and_who_says_so() -> None:
    error = NotAcceptableError("No such protocol.", warn_code=INCOMPATIBLE_PROTOCOL)
    assert error.status == 488
    assert error.warning("host-a") == ("Warning", '300 host-a "No such protocol."')


def test_crossing_offers_have_a_status_of_their_own() -> None:
    error = NotAcceptableError("Offers have crossed.", status=491)
    assert (error.status, error.warn_code) == (491, MISCELLANEOUS)
