import random
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip.authentication import Authenticator, User, Users
from agent.signalling.sip.digest import (
    Algorithm,
    Authorization,
    Challenge,
    digest_response,
    hash_password,
    parse_challenge,
)
from agent.signalling.sip.inspection import Refusal
from agent.signalling.sip.lockout import Lockout
from agent.signalling.sip.message import Request
from agent.signalling.sip.nonces import Nonces
from tests.signalling.sip.transaction.samples import make_request

REALM = "phones"
PASSWORDS = {"201": "one", "202": "two"}
HOME, AWAY = "192.0.2.1", "203.0.113.66"


def user(name: str, *algorithms: Algorithm, realm: str = REALM) -> User:
    ha1 = {
        algorithm: hash_password(algorithm, name, realm, PASSWORDS[name])
        for algorithm in algorithms or Algorithm
    }
    return User(name, ha1, (name,))


USERS = Users(REALM, [user("201"), user("202")])


def new(*, users: int = 3, sources: int = 100) -> Authenticator:
    return Authenticator(
        nonces=Nonces(key=b"k" * 32, rng=random.Random(1)),
        users=Lockout(limit=users),
        sources=Lockout(limit=sources),
    )


def challenges(verdict: User | Refusal) -> list[Challenge]:
    assert isinstance(verdict, Refusal)
    assert verdict.status == 401
    assert {name for name, _ in verdict.headers} == {"WWW-Authenticate"}
    found = [parse_challenge(text) for _, text in verdict.headers]
    assert all(found)
    return [one for one in found if one is not None]


def answer(
    challenge: Challenge,
    name: str = "201",
    word: str | None = None,
    nc: int = 1,
    method: str = "INVITE",
    **changes: object,
) -> Request:
    """A request that answers `challenge`; `changes` are of the credentials."""
    request = make_request(method)
    credentials = Authorization(
        username=name,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=str(request.uri),
        response="",
        algorithm=challenge.algorithm,
        qop="auth",
        cnonce="c",
        nc=nc,
    )
    credentials = replace(credentials, **changes)  # type: ignore[arg-type]
    if word is None:
        word = PASSWORDS.get(name, "")
    ha1 = hash_password(credentials.algorithm, name, REALM, word)
    response = digest_response(ha1, credentials, method)
    if "response" not in changes:
        credentials = replace(credentials, response=response)
    request.headers.add("Authorization", str(credentials))
    return request


def challenged(
    authenticator: Authenticator, source: str = HOME, now: float = 0.0
) -> Challenge:
    """The challenge for MD5, which the tests answer."""
    verdict = authenticator.judge(make_request("INVITE"), USERS, source, now)
    return challenges(verdict)[-1]


def guess(
    authenticator: Authenticator,
    name: str = "201",
    word: str = "wrong",
    source: str = HOME,
    now: float = 0.0,
) -> User | Refusal:
    challenge = challenged(authenticator, source, now)
    return authenticator.judge(answer(challenge, name, word), USERS, source, now)


def status(verdict: User | Refusal) -> int:
    return verdict.status if isinstance(verdict, Refusal) else 200


def test_who_says_nothing_is_challenged_the_strongest_first() -> None:
    authenticator = new()
    found = challenges(authenticator.judge(make_request(), USERS, HOME, 0.0))
    assert [one.algorithm for one in found] == list(Algorithm)
    assert {(one.realm, one.qop, one.stale) for one in found} == {
        (REALM, ("auth",), False)
    }
    assert authenticator.stats.challenged == 1


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_right_password_is_accepted(algorithm: Algorithm) -> None:
    authenticator = new()
    found = challenges(authenticator.judge(make_request(), USERS, HOME, 0.0))
    challenge = next(one for one in found if one.algorithm is algorithm)
    verdict = authenticator.judge(answer(challenge), USERS, HOME, 0.0)
    assert verdict is USERS.get("201")
    assert authenticator.stats.accepted == 1
    again = authenticator.judge(answer(challenge, nc=2), USERS, HOME, 1.0)
    assert again is verdict


def test_wrong_passwords_and_unknown_users_look_the_same() -> None:
    authenticator = new()
    verdicts = [guess(authenticator), guess(authenticator, "unknown", "one")]
    for verdict in verdicts:
        assert not any(one.stale for one in challenges(verdict))
    assert authenticator.stats.failed == 2


def test_an_unknown_user_costs_the_same_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    plain = Algorithm.hash

    def counting(self: Algorithm, text: str) -> str:
        counts[-1] += 1
        return plain(self, text)

    authenticator = new()
    for name in ("201", "unknown"):
        request = answer(challenged(authenticator), name, "wrong")
        counts.append(0)
        monkeypatch.setattr(Algorithm, "hash", counting)
        authenticator.judge(request, USERS, HOME, 0.0)
        monkeypatch.undo()
    assert counts == [2, 2]


def test_no_stand_in_hash_opens_anything() -> None:
    authenticator = new()
    challenge = challenged(authenticator)
    request = make_request("INVITE")
    credentials = Authorization(
        "unknown", REALM, challenge.nonce, str(request.uri), "", qop="auth",
        cnonce="c", nc=1,
    )  # fmt: skip
    response = digest_response("0" * 32, credentials, "INVITE")
    request.headers.add("Authorization", str(replace(credentials, response=response)))
    assert status(authenticator.judge(request, USERS, HOME, 0.0)) == 401


def test_a_replay_is_refused_as_stale() -> None:
    authenticator = new()
    request = answer(challenged(authenticator))
    assert isinstance(authenticator.judge(request, USERS, HOME, 0.0), User)
    for source in (HOME, AWAY):
        found = challenges(authenticator.judge(request, USERS, source, 0.0))
        assert all(one.stale for one in found)
    assert authenticator.stats.replayed == 1
    assert authenticator.stats.stale == 1
    assert authenticator.stats.failed == 0


def test_an_old_or_foreign_nonce_is_stale_and_says_nothing_of_the_password() -> None:
    authenticator = new()
    challenge = challenged(authenticator)
    foreign = replace(challenge, nonce="f" * 60)
    for tried, word, now in (
        (challenge, "one", 301.0),
        (challenge, "wrong", 301.0),
        (foreign, "one", 0.0),
        (foreign, "wrong", 0.0),
    ):
        verdict = authenticator.judge(answer(tried, word=word), USERS, HOME, now)
        assert all(one.stale for one in challenges(verdict))
    assert authenticator.stats.stale == 4
    assert authenticator.stats.failed == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"uri": "sip:someone-else@192.0.2.2"},
        {"uri": "\u00e4"},
        {"qop": "auth-int"},
        {"qop": None, "cnonce": None, "nc": None},
    ],
)
def test_credentials_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    authenticator = new()
    request = answer(challenged(authenticator), **changes)  # type: ignore[arg-type]
    assert status(authenticator.judge(request, USERS, HOME, 0.0)) == 400
    assert authenticator.stats.malformed == 1


def test_a_client_may_hash_another_host_or_no_user() -> None:
    for uri in ("sip:bob@elsewhere.example;transport=tcp", "sip:192.0.2.2:5060"):
        authenticator = new()
        request = answer(challenged(authenticator), uri=uri)
        assert status(authenticator.judge(request, USERS, HOME, 0.0)) == 200


def test_a_changed_method_is_a_wrong_password() -> None:
    authenticator = new()
    request = answer(challenged(authenticator), method="OPTIONS")
    request.method = "INVITE"
    assert status(authenticator.judge(request, USERS, HOME, 0.0)) == 401
    assert authenticator.stats.failed == 1


def test_other_realms_and_unoffered_algorithms_are_passed_over() -> None:
    authenticator = new()
    old = Users(REALM, [user("201", Algorithm.MD5)])
    assert [
        one.algorithm
        for one in challenges(authenticator.judge(make_request(), old, HOME, 0.0))
    ] == [Algorithm.MD5]
    challenge = challenged(authenticator)
    request = answer(replace(challenge, algorithm=Algorithm.SHA_256))
    assert status(authenticator.judge(request, old, HOME, 0.0)) == 401
    request = answer(replace(challenge, realm="other"))
    assert status(authenticator.judge(request, USERS, HOME, 0.0)) == 401
    assert authenticator.stats.failed == 0
    # The right one may come last.
    request = answer(challenge)
    request.headers.prepend("Authorization", 'Basic realm="x"')
    assert status(authenticator.judge(request, USERS, HOME, 0.0)) == 200


def test_broken_credentials_are_refused() -> None:
    authenticator = new()
    request = make_request("INVITE")
    request.headers.add("Authorization", "Digest broken")
    assert status(authenticator.judge(request, USERS, HOME, 0.0)) == 400


def test_a_user_is_locked_out_but_where_it_was_proven() -> None:
    authenticator = new(users=3)
    assert status(guess(authenticator, word="one", source=HOME)) == 200
    for _ in range(3):
        assert status(guess(authenticator, source=AWAY)) == 401
    # The right password does not help from there, and looks as wrong as any.
    locked = guess(authenticator, word="one", source=AWAY)
    assert not any(one.stale for one in challenges(locked))
    assert authenticator.stats.locked == 1
    assert status(guess(authenticator, word="one", source=HOME)) == 200
    assert status(guess(authenticator, "202", "two", source=AWAY)) == 200
    assert status(guess(authenticator, word="one", source=AWAY, now=60.0)) == 200


def test_a_source_is_locked_out() -> None:
    authenticator = new(users=1000, sources=5)
    for n in range(5):
        assert status(guess(authenticator, f"unknown{n}", source=AWAY)) == 401
    verdict = authenticator.judge(make_request(), USERS, AWAY, 0.0)
    assert verdict == Refusal(403)
    assert authenticator.stats.locked == 1
    assert authenticator.lockouts == 1
    assert status(guess(authenticator, word="one", source=HOME)) == 200
    assert status(guess(authenticator, word="one", source=AWAY, now=60.0)) == 200


def test_who_cannot_hear_us_locks_out_nobody() -> None:
    """A forged source address never sees a nonce of ours."""
    authenticator = new(users=1, sources=1)
    blind = Challenge(REALM, "0" * 60)
    for _ in range(20):
        authenticator.judge(answer(blind, word="wrong"), USERS, HOME, 0.0)
        # One that was given to where the sender really is helps no more.
        elsewhere = challenged(authenticator, AWAY)
        authenticator.judge(answer(elsewhere, word="wrong"), USERS, HOME, 0.0)
    assert status(guess(authenticator, word="one", source=HOME)) == 200


def test_users_need_one_algorithm_in_common() -> None:
    mixed = [user("201", Algorithm.MD5), user("202", Algorithm.SHA_256)]
    for bad in (mixed, []):
        with pytest.raises(ValueError, match="algorithm"):
            Users(REALM, bad)
    some = Users(REALM, [user("201"), user("202", Algorithm.SHA_256, Algorithm.MD5)])
    assert some.algorithms == (Algorithm.SHA_256, Algorithm.MD5)
    assert len(some) == 2
    assert some.get("203") is None


def test_nothing_secret_is_shown() -> None:
    shown = repr(USERS) + repr(USERS.get("201"))
    assert shown == "Users(2 of phones)User()"


@given(st.text())
def test_garbage_is_judged_too(text: str) -> None:
    request = make_request("INVITE")
    if not set("\r\n\0") & set(text):
        request.headers.add("Authorization", f"Digest {text}")
    assert isinstance(new().judge(request, USERS, HOME, 0.0), Refusal)
