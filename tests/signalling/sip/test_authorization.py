import random

import pytest

from agent.model.media import Address
from agent.signalling.sip.authorization import (
    MAX_CHALLENGES,
    MAX_REALMS,
    Authorizer,
    ClientCredentials,
    Realm,
    credentials_of,
)
from agent.signalling.sip.digest import (
    Algorithm,
    Authorization,
    digest_response,
    hash_password,
    parse_authorization,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response, response_to
from tests.signalling.sip.transaction.samples import make_request

TRUNK = Flow("udp", Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
OTHER = Flow("udp", Address("192.0.2.1", 5060), Address("203.0.113.66", 5060))
US = ClientCredentials("agent", "s3cret")
MD5 = 'Digest realm="trunk",nonce="n1",qop="auth",opaque="o",algorithm=MD5'
SHA = 'Digest realm="trunk",nonce="n2",qop="auth",algorithm=SHA-256'
SHA_512 = 'Digest realm="trunk",nonce="n3",qop="auth,auth-int",algorithm=SHA-512-256'
OLD = 'Digest realm="trunk",nonce="n4"'


def new(credentials: ClientCredentials = US) -> Authorizer:
    def credentials_for(flow: Flow) -> ClientCredentials | None:
        return credentials if flow == TRUNK else None

    return Authorizer(credentials_for, random.Random(1))


def challenge(*texts: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    request = make_request(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa")
    return response_to(request, status, headers=[(name, text) for text in texts])


def applied(
    authorizer: Authorizer, flow: Flow = TRUNK, name: str = "Authorization"
) -> list[Authorization]:
    """The credentials that a request gets; each is proven right."""
    request = make_request("INVITE")
    authorizer.apply(request, flow)
    found = []
    for text in request.headers.get_all(name):
        credentials = parse_authorization(text)
        assert credentials is not None
        assert is_right(credentials, request)
        found.append(credentials)
    return found


def is_right(credentials: Authorization, request: Request) -> bool:
    ha1 = hash_password(
        credentials.algorithm, US.username, credentials.realm, US.password
    )
    expected = digest_response(ha1, credentials, request.method)
    return (
        credentials.response == expected
        and credentials.username == US.username
        and credentials.uri == str(request.uri)
    )


def learn(
    authorizer: Authorizer, response: Response, answered: set[Realm] | None = None
) -> bool:
    return authorizer.learn_challenges(
        response, TRUNK, set() if answered is None else answered
    )


def test_nothing_is_told_before_it_is_asked_for() -> None:
    authorizer = new()
    assert applied(authorizer) == []
    assert authorizer.knows(TRUNK)


def test_a_challenge_is_answered_and_its_nonce_used_on() -> None:
    authorizer = new()
    assert learn(authorizer, challenge(MD5))
    [first] = applied(authorizer)
    assert (first.realm, first.nonce, first.opaque) == ("trunk", "n1", "o")
    assert (first.algorithm, first.named, first.qop) == (Algorithm.MD5, True, "auth")
    [second] = applied(authorizer)
    assert (first.nc, second.nc) == (1, 2)
    assert first.cnonce == second.cnonce
    assert first.response != second.response
    assert applied(authorizer, name="Proxy-Authorization") == []


def test_credentials_of_an_earlier_use_are_replaced() -> None:
    authorizer = new()
    learn(authorizer, challenge(MD5))
    request = make_request("INVITE")
    authorizer.apply(request, TRUNK)
    authorizer.apply(request, TRUNK)
    assert [name for name, _ in credentials_of(request)] == ["Authorization"]
    [(_, text)] = credentials_of(request)
    assert "nc=00000002" in text


@pytest.mark.parametrize(
    ("texts", "algorithm"),
    [
        ((MD5, SHA, SHA_512), Algorithm.SHA_512_256),
        ((SHA_512, SHA, MD5), Algorithm.SHA_512_256),
        ((MD5, SHA), Algorithm.SHA_256),
        ((MD5, 'Digest realm="trunk",nonce="n",algorithm=NEW'), Algorithm.MD5),
        ((MD5, 'Basic realm="trunk"', "Digest broken"), Algorithm.MD5),
        ((MD5, SHA.replace('"auth"', '"auth-int"')), Algorithm.MD5),
    ],
)
def test_the_strongest_challenge_is_answered(
    texts: tuple[str, ...], algorithm: Algorithm
) -> None:
    authorizer = new()
    assert learn(authorizer, challenge(*texts))
    assert [one.algorithm for one in applied(authorizer)] == [algorithm]
    assert authorizer.stats.malformed == ("Digest broken" in texts)


def test_a_peer_of_rfc_2069_is_answered_in_its_words() -> None:
    authorizer = new()
    assert learn(authorizer, challenge(OLD))
    [credentials] = applied(authorizer)
    assert (credentials.qop, credentials.nc, credentials.cnonce) == (None, None, None)
    assert not credentials.named


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ('Digest realm="trunk",nonce="n",qop="auth-int"',),
        ('Digest realm="trunk",nonce="n",algorithm=MD5-sess',),
        ('Basic realm="trunk"',),
    ],
)
def test_what_cannot_be_answered_is_given_up(texts: tuple[str, ...]) -> None:
    authorizer = new()
    assert not learn(authorizer, challenge(*texts))
    assert applied(authorizer) == []
    assert (authorizer.stats.challenged, authorizer.stats.answered) == (1, 0)


def test_only_the_peer_that_knows_us_is_told() -> None:
    authorizer = new()
    assert not authorizer.knows(OTHER)
    assert not authorizer.learn_challenges(challenge(MD5), OTHER, set())
    learn(authorizer, challenge(MD5))
    assert applied(authorizer, OTHER) == []
    authorizer.learn_next_nonce(
        response_to(make_request(), 200, headers=[("Authentication-Info", "x=y")]),
        OTHER,
    )
    assert authorizer.stats.malformed == 0


def test_only_the_configured_realm_is_told() -> None:
    authorizer = new(ClientCredentials("agent", "s3cret", "trunk"))
    assert not learn(authorizer, challenge('Digest realm="bait",nonce="n"'))
    assert learn(authorizer, challenge('Digest realm="bait",nonce="n"', MD5))
    assert [one.realm for one in applied(authorizer)] == ["trunk"]


def test_a_proxy_and_the_peer_behind_it_each_get_their_own() -> None:
    authorizer = new()
    answered: set[Realm] = set()
    assert learn(authorizer, challenge(SHA, status=407), answered)
    assert learn(authorizer, challenge(MD5), answered)
    request = make_request("INVITE")
    authorizer.apply(request, TRUNK)
    assert [name for name, _ in credentials_of(request)] == [
        "Authorization",
        "Proxy-Authorization",
    ]
    [proxy] = applied(authorizer, name="Proxy-Authorization")
    assert (proxy.nonce, proxy.nc) == ("n2", 2)


def test_a_fork_may_want_several_realms_at_once() -> None:
    authorizer = new()
    both = challenge(MD5, MD5.replace("trunk", "branch"))
    assert learn(authorizer, both)
    assert [one.realm for one in applied(authorizer)] == ["trunk", "branch"]


def test_a_wrong_password_is_tried_once() -> None:
    authorizer = new()
    answered: set[Realm] = set()
    assert learn(authorizer, challenge(MD5), answered)
    assert not learn(authorizer, challenge(MD5.replace("n1", "n9")), answered)
    assert authorizer.stats.refused == 1
    assert applied(authorizer) == []
    # The next request tries again: the password may have been set right there.
    assert learn(authorizer, challenge(MD5))


def test_a_stale_nonce_is_no_wrong_password() -> None:
    authorizer = new()
    answered: set[Realm] = set()
    learn(authorizer, challenge(MD5), answered)
    fresh = challenge(MD5.replace("n1", "n9") + ",stale=true")
    assert learn(authorizer, fresh, answered)
    [credentials] = applied(authorizer)
    assert (credentials.nonce, credentials.nc) == ("n9", 1)
    assert authorizer.stats.refused == 0


def test_a_flood_of_realms_is_bounded() -> None:
    authorizer = new()
    texts = [MD5.replace("trunk", f"r{n}") for n in range(40)]
    assert learn(authorizer, challenge(*texts))
    assert [one.realm for one in applied(authorizer)] == [
        f"r{n}" for n in range(MAX_CHALLENGES - MAX_REALMS, MAX_CHALLENGES)
    ]


def info(text: str, name: str = "Authentication-Info") -> Response:
    return response_to(make_request(), 200, headers=[(name, text)])


def test_the_next_nonce_is_taken() -> None:
    authorizer = new()
    learn(authorizer, challenge(MD5))
    applied(authorizer)
    authorizer.learn_next_nonce(
        info('nextnonce="n7"', "Proxy-Authentication-Info"), TRUNK
    )
    authorizer.learn_next_nonce(info("qop=auth"), TRUNK)
    authorizer.learn_next_nonce(info("broken"), TRUNK)
    authorizer.learn_next_nonce(info('nextnonce=""'), TRUNK)
    assert [(one.nonce, one.nc) for one in applied(authorizer)] == [("n1", 2)]
    authorizer.learn_next_nonce(info('nextnonce="n7"'), TRUNK)
    assert [(one.nonce, one.nc) for one in applied(authorizer)] == [("n7", 1)]
    assert authorizer.stats.malformed == 1


def test_a_next_nonce_of_nobody_knows_which_realm_is_left() -> None:
    authorizer = new()
    authorizer.learn_next_nonce(info('nextnonce="n7"'), TRUNK)
    assert applied(authorizer) == []
    learn(authorizer, challenge(MD5, MD5.replace("trunk", "branch")))
    authorizer.learn_next_nonce(info('nextnonce="n7"'), TRUNK)
    assert {one.nonce for one in applied(authorizer)} == {"n1"}


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(US)
    assert (
        "agent" not in repr(ClientCredentials("agent", "x"))[len("ClientCredentials") :]
    )
