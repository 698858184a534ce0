import contextlib
import dataclasses

import pytest
from hypothesis import example, given, strategies as st

from agent.signalling.sip.digest import (
    STRENGTH,
    Algorithm,
    AuthenticationInfo,
    Authorization,
    Challenge,
    digest_response,
    hash_password,
    is_quotable,
    parse_authentication_info,
    parse_authorization,
    parse_challenge,
    strongest,
)
from agent.signalling.sip.errors import SipParseError

RFC_7616 = {
    "realm": "http-auth@example.org",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "uri": "/dir/index.html",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "nc": 1,
    "qop": "auth",
}
ALICE = Authorization(
    username="alice",
    realm="example.com",
    nonce="n1",
    uri="sip:bob@example.com",
    response="0" * 32,
)


def respond(user: str, password: str, algorithm: Algorithm, **more: object) -> str:
    credentials = Authorization(
        username=user,
        response="",
        algorithm=algorithm,
        **more,  # type: ignore[arg-type]
    )
    ha1 = hash_password(algorithm, user, credentials.realm, password)
    return digest_response(ha1, credentials, "GET")


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            Algorithm.SHA_256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ],
)
def test_rfc_7616_section_3_9_1(algorithm: Algorithm, expected: str) -> None:
    assert respond("Mufasa", "Circle of Life", algorithm, **RFC_7616) == expected
    assert len(expected) == algorithm.length


def test_rfc_7616_section_3_9_2_as_erratum_4897_corrects_it() -> None:
    response = respond(
        "J\u00e4s\u00f8n Doe",
        "Secret, or not?",
        Algorithm.SHA_512_256,
        realm="api@example.org",
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        uri="/doe.json",
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        nc=1,
        qop="auth",
    )
    assert response == (
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    )


def test_rfc_2617_section_3_5() -> None:
    response = respond(
        "Mufasa",
        "Circle Of Life",
        Algorithm.MD5,
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        uri="/dir/index.html",
        cnonce="0a4f113b",
        nc=1,
        qop="auth",
    )
    assert response == "6629fae49393a05397450978507c4ef1"


def test_rfc_2069_section_2_4_as_erratum_749_corrects_it() -> None:
    response = respond(
        "Mufasa",
        "CircleOfLife",
        Algorithm.MD5,
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        uri="/dir/index.html",
    )
    assert response == "1949323746fe6a43ef61f9606e7febea"


def test_the_example_of_rfc_3261_section_22_4() -> None:
    text = (
        'Digest realm="biloxi.com",\tqop="auth, auth-int",'
        ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    challenge = parse_challenge(text)
    assert challenge == Challenge(
        realm="biloxi.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        named=False,
        qop=("auth", "auth-int"),
        opaque="5ccc069c403ebaf9f0171e9517f40e41",
    )
    credentials = parse_authorization(
        'Digest username="bob",realm="biloxi.com",'
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",uri="sip:bob@biloxi.com",'
        'qop=auth,nc=00000001,cnonce="0a4f113b",'
        'response="6629fae49393a05397450978507c4ef1",'
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    assert credentials is not None
    assert (credentials.username, credentials.qop, credentials.nc) == ("bob", "auth", 1)
    # The response there is one of RFC 2617's; draft-smith-sipping-auth-examples
    # has those of this INVITE, with qop and without.
    ha1 = hash_password(Algorithm.MD5, "bob", "biloxi.com", "zanzibar")
    assert digest_response(ha1, credentials, "INVITE") == (
        "89eb0059246c02b2f6ee02c7961d5ea3"
    )
    old = dataclasses.replace(credentials, qop=None, nc=None, cnonce=None)
    assert digest_response(ha1, old, "INVITE") == "bf57e4e0d0bffc0fbaedce64d59add5e"


NAMES = st.text(
    st.characters(exclude_characters='"\\', exclude_categories=["C"]), min_size=1
)
TEXTS = NAMES | st.none()
COUNTS = st.none() | st.integers(0, 2**32 - 1)


@given(
    st.builds(
        Challenge,
        realm=NAMES,
        nonce=NAMES,
        algorithm=st.sampled_from(Algorithm),
        qop=st.lists(st.sampled_from(["auth", "auth-int"])).map(tuple),
        opaque=TEXTS,
        stale=st.booleans(),
    )
)
def test_a_challenge_survives_the_wire(challenge: Challenge) -> None:
    assert parse_challenge(str(challenge)) == challenge


@given(
    st.builds(
        Authorization,
        username=NAMES,
        realm=NAMES,
        nonce=NAMES,
        uri=NAMES,
        response=NAMES,
        algorithm=st.sampled_from(Algorithm),
        opaque=TEXTS,
        qop=st.just("auth"),
        cnonce=NAMES,
        nc=st.integers(0, 2**32 - 1),
    )
)
def test_credentials_survive_the_wire(credentials: Authorization) -> None:
    assert parse_authorization(str(credentials)) == credentials


@given(
    st.builds(
        AuthenticationInfo,
        nextnonce=TEXTS,
        qop=st.sampled_from(["auth", None]),
        rspauth=TEXTS,
        cnonce=TEXTS,
        nc=COUNTS,
    )
)
def test_an_authentication_info_survives_the_wire(found: AuthenticationInfo) -> None:
    assert parse_authentication_info(str(found)) == found


def test_a_peer_of_rfc_2069_does_not_hear_of_algorithms() -> None:
    old = dataclasses.replace(ALICE, named=False)
    assert "algorithm" not in str(old)
    assert parse_authorization(str(old)) == old
    assert "algorithm" not in str(Challenge("r", "n", named=False))
    assert parse_challenge('Digest realm="r",nonce="n"') == Challenge(
        "r", "n", named=False
    )


@pytest.mark.parametrize(
    "text",
    [
        'Basic realm="r"',
        "",
        "Digest",
        'Digest realm="r",nonce="n",algorithm=MD5-sess,username="u",uri="x"',
        'Digest realm="r",nonce="n",algorithm=SHA-3,username="u",uri="x",response="y"',
    ],
)
def test_what_we_do_not_know_is_ignored(text: str) -> None:
    assert parse_challenge(text) is None
    assert parse_authorization(text) is None


@pytest.mark.parametrize(
    "text",
    [
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r" nonce="n"',
        'Digest realm="r",realm="r",nonce="n"',
        'Digest realm="r,nonce="n"',
        'Digest ,realm="r",nonce="n"',
        "Digest " + ",".join(f"p{n}=1" for n in range(33)),
    ],
)
def test_broken_digests_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_challenge(text)


@pytest.mark.parametrize(
    "more",
    ["qop=auth", 'qop=auth,cnonce="c"', "qop=auth,nc=00000001", "nc=1", "nc=0000000g"],
)
def test_broken_credentials_are_refused(more: str) -> None:
    text = 'Digest username="u",realm="r",nonce="n",uri="sip:x",response="y",'
    assert parse_authorization(text[:-1]) is not None
    with pytest.raises(SipParseError):
        parse_authorization(text + more)


def test_leniency_where_nobody_can_be_misled() -> None:
    challenge = parse_challenge(
        '  dIgEsT  Realm = r , nonce="", stale=TRUE,opaque="",algorithm="md5", x='
    )
    assert challenge == Challenge("r", "", stale=True, opaque="")
    with_uri = parse_authorization(
        'Digest username="u",realm="r",nonce="n",uri=sip:b@c;x=1,response=y,qop="AUTH"'
        ",nc=0000000A,cnonce=c"
    )
    assert with_uri is not None
    assert (with_uri.uri, with_uri.qop, with_uri.nc) == ("sip:b@c;x=1", "auth", 10)


def test_escapes_are_part_of_what_is_hashed() -> None:
    challenge = parse_challenge(r'Digest realm="a\"b",nonce="n"')
    assert challenge is not None
    assert challenge.realm == r"a\"b"
    assert r'realm="a\"b"' in str(challenge)


def test_the_strongest_that_can_be_answered_is_chosen() -> None:
    md5 = Challenge("r", "1")
    sha = Challenge("r", "2", Algorithm.SHA_256, qop=("auth",))
    best = Challenge("r", "3", Algorithm.SHA_512_256, qop=("auth-int",))
    assert strongest([md5, sha, best]) is sha
    assert strongest([md5, Challenge("r", "4")]) is md5
    assert strongest([best]) is None
    assert strongest([]) is None
    assert STRENGTH == (Algorithm.SHA_512_256, Algorithm.SHA_256, Algorithm.MD5)


def test_nothing_secret_is_shown() -> None:
    values = [
        dataclasses.replace(ALICE, cnonce="c-secret", opaque="o-secret"),
        Challenge("example.com", "n-secret", opaque="o-secret"),
        AuthenticationInfo("n-secret", rspauth="r-secret", cnonce="c-secret"),
    ]
    for value in values:
        shown = repr(value)
        for hidden in ("secret", "alice", "bob", "0000", "n1"):
            assert hidden not in shown


def test_what_may_stand_in_quotes() -> None:
    assert is_quotable("trunk 1 \u00e4")
    for bad in ("", 'a"b', "a\\b", "a\nb", "\x7f"):
        assert not is_quotable(bad)


@given(st.text())
@example('Digest realm="')
@example("Digest " + "a" * 8000)
@example("Digest " + 'a="\\' * 2000)
def test_garbage_parses_or_is_refused(text: str) -> None:
    for parse in (parse_challenge, parse_authorization, parse_authentication_info):
        for tried in (text, f"Digest {text}"):
            with contextlib.suppress(SipParseError):
                parse(tried)
