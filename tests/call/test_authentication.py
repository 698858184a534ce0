import random
from dataclasses import replace

import pytest
import structlog

from agent.call.authentication import PhoneAuthentication, phone_authentication
from agent.call.config import PeerConfig, RouteConfig
from agent.call.routing import RouteTable
from agent.identity.numbers import IdentityConfig
from agent.model.media import Address
from agent.signalling.config import SipConfig
from agent.signalling.guard import Guard
from agent.signalling.sip.authentication import Authenticator, User, Users
from agent.signalling.sip.core import DROP, Beginning
from agent.signalling.sip.digest import (
    Algorithm,
    Authorization,
    digest_response,
    hash_password,
    parse_challenge,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.inspection import Refusal
from agent.signalling.sip.lockout import Lockout
from agent.signalling.sip.message import Request
from agent.signalling.sip.nonces import Nonces
from agent.signalling.sip.uri import parse_uri
from tests.signalling.sip.transaction.samples import make_request

US = Address("127.0.0.1", 5060)
PHONE = Flow("udp", US, Address("192.0.2.7", 5060))
TRUNK = Flow("udp", US, Address("192.0.2.1", 5060))
STRANGER = Flow("udp", US, Address("203.0.113.66", 5060))
IDENTITY = IdentityConfig()
NUMBERS = {
    "201": ("201", "0295 000 201"),
    "202": ("202",),
    "desk": ("*",),
}


def users() -> Users:
    return Users(
        "phones",
        [
            User(
                name,
                {Algorithm.MD5: hash_password(Algorithm.MD5, name, "phones", "right")},
                numbers,
            )
            for name, numbers in NUMBERS.items()
        ],
    )


def new(*, rate: float = 100.0, limit: int = 5) -> PhoneAuthentication:
    peers = (
        PeerConfig(name="trunk", match=("192.0.2.1",), uri="sip:192.0.2.1"),
        PeerConfig(name="phones", match=("192.0.2.7",)),
    )
    route = RouteConfig(
        name="out",
        from_="phones",
        number="*",
        direction="outbound",
        to=("trunk",),
        notice=("fi.wav",),
    )
    return PhoneAuthentication(
        users={"phones": users()},
        authenticator=Authenticator(
            nonces=Nonces(key=b"k" * 32, rng=random.Random(1)),
            users=Lockout(limit=limit),
            sources=Lockout(limit=5 * limit),
        ),
        routes=RouteTable(
            peers, (route,), emergency=("112",), exempt=(), identity=IDENTITY
        ),
        guard=Guard(rate=rate, burst=int(rate), max_sources=10),
        identity=IDENTITY,
    )


def request(
    method: str = "INVITE",
    *,
    called: str = "0401234567",
    caller: str = "sip:201@192.0.2.7",
    asserted: str | None = None,
    privacy: str | None = None,
) -> Request:
    made = make_request(method)
    made.uri = parse_uri(f"sip:{called}@127.0.0.1")
    made.headers.set("From", f"<{caller}>;tag=f")
    if asserted is not None:
        made.headers.set("P-Asserted-Identity", asserted)
    if privacy is not None:
        made.headers.set("Privacy", privacy)
    return made


def authorised(
    phones: PhoneAuthentication,
    made: Request,
    user: str = "201",
    *,
    word: str = "right",
    beginning: Beginning | None = None,
    flow: Flow = PHONE,
) -> Refusal | None:
    """What becomes of `made` once its sender has answered the challenge."""
    refusal = phones.judge(made, flow, beginning, 0.0)
    assert refusal is not None
    assert refusal.status == 401
    challenge = parse_challenge(refusal.headers[0][1])
    assert challenge is not None
    credentials = Authorization(
        username=user,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=str(made.uri),
        response="",
        qop="auth",
        cnonce="c",
        nc=1,
    )
    ha1 = hash_password(Algorithm.MD5, user, "phones", word)
    response = digest_response(ha1, credentials, made.method)
    made.headers.set("Authorization", str(replace(credentials, response=response)))
    return phones.judge(made, flow, beginning, 0.0)


def test_only_peers_with_users_are_asked() -> None:
    phones = new()
    for flow in (TRUNK, STRANGER):
        assert phones.judge(request(), flow, None, 0.0) is None
    assert phones.authenticator.stats.challenged == 0
    assert authorised(phones, request()) is None
    assert phones.authenticator.stats.accepted == 1


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE"])
def test_every_request_outside_dialogs_is_asked(method: str) -> None:
    assert authorised(new(), request(method)) is None


@pytest.mark.parametrize("called", ["112", "1-1-2", "112;phone-context=x"])
def test_an_emergency_call_is_never_asked(called: str) -> None:
    phones = new(rate=1.0, limit=1)
    # Not even of a source that is locked out and has used up its refusals.
    for _ in range(9):
        phones.judge(request(), PHONE, None, 0.0)
    for _ in range(5):
        phones.authenticator._source_lock.failed(PHONE.remote.host, 0.0)
    emergency = request(called=called, caller="sip:anyone@anywhere")
    assert phones.judge(emergency, PHONE, None, 0.0) is None
    assert phones.stats.emergencies == 1
    for method in ("INVITE", "UPDATE", "BYE"):
        beginning = Beginning(emergency, PHONE)
        assert phones.judge(request(method), PHONE, beginning, 0.0) is None
    assert phones.stats.emergencies == 1


def test_dialling_112_opens_nothing_else() -> None:
    phones = new()
    emergency = Beginning(request(called="112"), PHONE)
    assert phones.judge(request("REFER"), PHONE, emergency, 0.0) is not None
    taking_over = request(called="112")
    taking_over.headers.add("Replaces", "x;to-tag=a;from-tag=b")
    assert phones.judge(taking_over, PHONE, None, 0.0) is not None
    assert phones.judge(request("OPTIONS", called="112"), PHONE, None, 0.0) is not None


def test_in_a_dialog_only_what_could_turn_it_elsewhere_is_asked() -> None:
    phones = new()
    beginning = Beginning(request(), PHONE)
    for method in ("INVITE", "UPDATE", "REFER"):
        assert authorised(phones, request(method), beginning=beginning) is None
    for method in ("BYE", "INFO", "PRACK", "OPTIONS", "NOTIFY"):
        assert phones.judge(request(method), PHONE, beginning, 0.0) is None
    described = request("PRACK")
    described.body = b"v=0\r\n"
    assert authorised(phones, described, beginning=beginning) is None


def test_over_tls_the_connection_vouches_for_the_dialog() -> None:
    phones = new()
    tls = replace(PHONE, transport="tls")
    assert authorised(phones, request(), flow=tls) is None
    assert phones.judge(request("REFER"), tls, Beginning(request(), tls), 0.0) is None


def test_tls_vouches_for_no_dialog_that_began_in_the_clear() -> None:
    phones = new()
    tls = replace(PHONE, transport="tls")
    begun = Beginning(request(), PHONE)
    assert phones.judge(request("REFER"), tls, begun, 0.0) is not None
    assert authorised(phones, request("REFER"), flow=tls, beginning=begun) is None


@pytest.mark.parametrize("flow", [TRUNK, STRANGER])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "REFER"])
def test_who_overheard_a_dialog_is_asked_wherever_it_is(
    flow: Flow, method: str
) -> None:
    phones = new()
    begun = Beginning(request(), PHONE)
    assert phones.judge(request(method), flow, begun, 0.0) is not None
    assert phones.judge(request(method), PHONE, Beginning(request(), TRUNK), 0) is None


@pytest.mark.parametrize(
    "made",
    [
        request(),
        request(caller="sip:0295000201@x"),
        request(caller="sip:+358295000201@x"),
        request(caller="tel:+358295000201"),
        request(asserted="<sip:201@x>, <tel:+358295000201>"),
        request(caller="sip:anonymous@anonymous.invalid", privacy="id"),
    ],
)
def test_an_officer_calls_in_its_own_name(made: Request) -> None:
    assert authorised(new(), made) is None


@pytest.mark.parametrize(
    "made",
    [
        request(caller="sip:202@192.0.2.7"),
        request(caller="sip:202@192.0.2.7", privacy="id"),
        request(asserted="<sip:202@x>"),
        request(asserted="<sip:201@x>, <tel:+358295000202>"),
        request(caller="sip:anonymous@anonymous.invalid", asserted="<sip:202@x>"),
        request(asserted="<sip:202@x>", privacy="id"),
    ],
)
def test_an_officer_does_not_call_in_another_one_s_name(made: Request) -> None:
    phones = new()
    with structlog.testing.capture_logs() as logs:
        assert authorised(phones, made) == Refusal(403)
    assert phones.stats.impostors == 1
    assert [entry["event"] for entry in logs] == ["identity_refused"]
    assert "201" not in str(logs)
    assert "202" not in str(logs)


def test_in_a_dialog_the_from_is_whatever_began_it() -> None:
    phones = new()
    made = request("UPDATE", caller="sip:service@agency")
    assert authorised(phones, made, beginning=Beginning(request(), PHONE)) is None
    made = request("UPDATE", asserted="<sip:202@x>")
    assert authorised(phones, made, beginning=Beginning(request(), PHONE)) == Refusal(
        403
    )


def test_a_user_may_be_let_call_as_anybody() -> None:
    assert authorised(new(), request(caller="sip:299@x"), "desk") is None


def test_a_wrong_password_is_logged_without_a_name() -> None:
    phones = new()
    with structlog.testing.capture_logs() as logs:
        refusal = authorised(phones, request(), word="wrong")
    assert refusal is not None
    assert refusal.status == 401
    assert [entry["event"] for entry in logs] == ["password_refused"]
    assert "201" not in str(logs)


def test_refusals_are_limited_for_the_source_may_be_forged() -> None:
    phones = new(rate=3.0)
    verdicts = [phones.judge(request(), PHONE, None, 0.0) for _ in range(5)]
    assert [v.status for v in verdicts if v is not None] == [401, 401, 401, DROP, DROP]
    assert phones.stats.silenced == 2


def test_it_is_made_as_the_configuration_says() -> None:
    routes = new()._routes
    config = SipConfig(
        listen=("udp:127.0.0.1:5060",), challenge_rate=1.0, lockout_failures=1
    )
    rng = random.Random(1)
    assert phone_authentication({}, routes, config, IDENTITY, rng) is None
    phones = phone_authentication({"phones": users()}, routes, config, IDENTITY, rng)
    assert phones is not None
    refusal = authorised(phones, request(), word="wrong")
    assert refusal is not None
    verdict = phones.judge(request(), PHONE, None, 0.0)
    assert verdict == Refusal(DROP)
    assert phones.authenticator.stats.failed == 1


def test_a_proven_caller_has_a_number() -> None:
    phones = new()
    for user, number in (("201", "201"), ("202", "202"), ("desk", None)):
        made = request(caller="sip:anonymous@anonymous.invalid")
        assert phones.proven_number(made, PHONE) is None
        assert authorised(phones, made, user) is None
        assert phones.proven_number(made, PHONE) == number
        assert phones.proven_number(made, TRUNK) is None
        made.uri = parse_uri("sip:112@127.0.0.1")
        assert phones.proven_number(made, PHONE) is None
    assert phones.stats.emergencies == 0


def test_a_lockout_is_logged() -> None:
    phones = new(limit=2)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            authorised(phones, request(), word="wrong")
    assert [(e["event"], e["log_level"]) for e in logs] == [
        ("password_refused", "warning"),
        ("password_refused", "warning"),
        ("locked_out", "error"),
    ]
