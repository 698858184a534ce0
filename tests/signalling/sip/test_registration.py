import random

import pytest

from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.registration import (
    BASE_WAIT,
    MAX_EXPIRES,
    MAX_WAIT,
    MIN_INTERVAL,
    SPARE,
    Registration,
    Result,
)
from agent.signalling.sip.uri import parse_uri

CONTACT = parse_uri("sip:agent@192.0.2.1:5060")
OTHER = parse_uri("sip:agent@198.51.100.7:5060")


def new(expires: int = 3600) -> Registration:
    return Registration(
        registrar=parse_uri("sip:anyone@trunk.example:5070"),
        aor=parse_uri("sip:agent@trunk.example"),
        expires=expires,
        call_id="call",
        tag="tag",
        rng=random.Random(1),
    )


def respond(
    request: Request, status: int = 200, *headers: tuple[str, str]
) -> tuple[Request, int, Response]:
    return request, status, response_to(request, status, headers=headers)


def register(registration: Registration, now: float, granted: int) -> None:
    contact = ("Contact", f"<{CONTACT}>;expires={granted}")
    request = registration.next_request(CONTACT)
    answer = respond(request, 200, contact)
    assert registration.answered(*answer, now) is Result.REGISTERED


def test_the_request_is_that_of_section_10_2() -> None:
    registration = new()
    request = registration.next_request(CONTACT)
    assert str(request.uri) == "sip:trunk.example:5070"
    assert list(request.headers) == [
        ("Max-Forwards", "70"),
        ("To", "<sip:agent@trunk.example>"),
        ("From", "<sip:agent@trunk.example>;tag=tag"),
        ("Call-ID", "call"),
        ("CSeq", "1 REGISTER"),
        ("Contact", "<sip:agent@192.0.2.1:5060>"),
        ("Expires", "3600"),
    ]
    assert registration.get_timer() == 0.0
    assert not registration.is_registered(0.0)


def test_what_we_are_stands_in_every_contact() -> None:
    registration = Registration(
        registrar=parse_uri("sip:trunk.example"),
        aor=parse_uri("sip:agent@trunk.example"),
        expires=3600,
        features=("+sip.srs",),
        call_id="call",
        tag="tag",
        rng=random.Random(1),
    )
    for request in (registration.next_request(CONTACT), registration.farewell()):
        value = request.headers.get("Contact")
        assert value == "<sip:agent@192.0.2.1:5060>;+sip.srs"


def test_it_is_renewed_before_its_end_for_ever() -> None:
    registration = new()
    now = 0.0
    for n in range(1, 20):
        register(registration, now, 3600)
        assert registration.is_registered(now + 3599)
        assert not registration.is_registered(now + 3600)
        wait = registration.get_timer() - now
        assert 0.9 * (3600 - SPARE) <= wait <= 3600 - SPARE
        now = registration.get_timer()
        assert registration.stats.registered == n


@pytest.mark.parametrize(
    ("granted", "shortest", "longest"),
    [(90, 40.5, 45.0), (2, MIN_INTERVAL, MIN_INTERVAL), (121, 54.9, 61.0)],
)
def test_a_short_time_is_renewed_at_half(
    granted: int, shortest: float, longest: float
) -> None:
    registration = new()
    register(registration, 10.0, granted)
    assert shortest <= registration.get_timer() - 10.0 <= longest


def test_the_number_of_a_challenged_request_counts() -> None:
    registration = new()
    request = registration.next_request(CONTACT)
    request.headers.set("CSeq", "2 REGISTER")
    registration.answered(*respond(request), 0.0)
    following = registration.next_request(CONTACT)
    assert following.cseq.number == 3
    assert following.call_id == request.call_id


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ([("Contact", f"<{OTHER}>;expires=60, <{CONTACT}>;expires=100")], 100),
        ([("Contact", f"<{OTHER}>;expires=60"), ("Expires", "200")], 200),
        ([("Contact", f"<{CONTACT}>;expires=soon"), ("Expires", "200")], 200),
        ([("Contact", f"<{CONTACT}>"), ("Expires", "never")], 3600),
        ([], 3600),
    ],
)
def test_what_is_granted_is_read_from_our_own_contact(
    headers: list[tuple[str, str]], granted: int
) -> None:
    registration = new()
    answer = respond(registration.next_request(CONTACT), 200, *headers)
    registration.answered(*answer, 0.0)
    assert registration.is_registered(granted - 1)
    assert not registration.is_registered(granted)


def test_a_registrar_that_grants_nothing_has_refused() -> None:
    registration = new()
    request = registration.next_request(CONTACT)
    answer = respond(request, 200, ("Contact", f"<{CONTACT}>;expires=0"))
    assert registration.answered(*answer, 0.0) is Result.FAILED
    assert registration.stats.failed == 1


def test_too_brief_an_interval_is_raised_at_once() -> None:
    registration = new(60)
    request = registration.next_request(CONTACT)
    answer = respond(request, 423, ("Min-Expires", "1800"))
    assert registration.answered(*answer, 5.0) is Result.AGAIN
    assert registration.get_timer() == 5.0
    again = registration.next_request(CONTACT)
    assert again.headers.get("Expires") == "1800"
    assert again.cseq.number == 2
    # And never in a circle.
    answer = respond(again, 423, ("Min-Expires", "3600"))
    assert registration.answered(*answer, 5.0) is Result.FAILED
    # What was learnt is kept.
    assert registration.next_request(CONTACT).headers.get("Expires") == "1800"


@pytest.mark.parametrize("minimum", ["60", "0", "soon", str(MAX_EXPIRES + 1), None])
def test_an_absurd_minimum_is_a_failure(minimum: str | None) -> None:
    registration = new(60)
    headers = [] if minimum is None else [("Min-Expires", minimum)]
    answer = respond(registration.next_request(CONTACT), 423, *headers)
    assert registration.answered(*answer, 0.0) is Result.FAILED
    assert registration.next_request(CONTACT).headers.get("Expires") == "60"


def test_failures_wait_longer_and_longer() -> None:
    registration = new()
    now, waits = 0.0, []
    for status in [503, 403, 408, *[500] * 20]:
        request = registration.next_request(CONTACT)
        assert registration.answered(request, status, None, now) is Result.FAILED
        waits.append(registration.get_timer() - now)
        now = registration.get_timer()
    for n, wait in enumerate(waits):
        most = min(MAX_WAIT, BASE_WAIT * 2**n)
        assert most / 2 <= wait <= most
    assert registration.stats.failed == 23
    register(registration, now, 3600)
    registration.failed(now)
    assert registration.get_timer() - now <= BASE_WAIT


@pytest.mark.parametrize(
    ("text", "least"),
    [("120", 120.0), ("120 (busy);duration=9", 120.0), ("9999999", MAX_WAIT), ("x", 0)],
)
def test_a_registrar_may_ask_to_be_left_alone(text: str, least: float) -> None:
    registration = new()
    answer = respond(registration.next_request(CONTACT), 503, ("Retry-After", text))
    registration.answered(*answer, 0.0)
    assert max(least, BASE_WAIT / 2) <= registration.get_timer() <= MAX_WAIT


def test_a_failed_renewal_does_not_end_it_before_its_time() -> None:
    registration = new()
    register(registration, 0.0, 3600)
    request = registration.next_request(CONTACT)
    registration.answered(request, 408, None, 3500.0)
    assert registration.is_registered(3599.0)
    assert not registration.is_registered(3600.0)


def test_a_farewell_takes_it_back() -> None:
    registration = new()
    register(registration, 0.0, 3600)
    request = registration.farewell()
    assert request.headers.get("Expires") == "0"
    assert request.headers.get("Contact") == f"<{CONTACT}>"
    assert request.cseq.number == 2
    assert not registration.is_registered(0.0)
