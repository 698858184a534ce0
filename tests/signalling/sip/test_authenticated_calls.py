"""Our user agent client against our user agent server, with passwords between them."""

import random

import pytest

from agent.model.media import Address
from agent.signalling.sip import core as sip
from agent.signalling.sip.authentication import Authenticator, User, Users
from agent.signalling.sip.authorization import ClientCredentials
from agent.signalling.sip.digest import Algorithm, hash_password
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.inspection import Refusal
from agent.signalling.sip.lockout import Lockout
from agent.signalling.sip.message import Request
from agent.signalling.sip.nonces import Nonces
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.reception import DROP, MAX_GAIN
from agent.signalling.sip.uri import NameAddr, parse_uri
from tests.fakes.wire import Fate, lose, perfect, unreliable
from tests.signalling.sip.pair import (
    ALICE,
    BOB,
    OFFER,
    Pair,
    Peer,
    called_by_peer,
)

REALM = "phones"
STRANGER = Address("192.0.2.99", 5060)


def ha1(algorithm: Algorithm) -> str:
    return hash_password(algorithm, "201", REALM, "right")


class Site(Pair):
    """Bob asks everybody for a password; Alice has one, right or wrong."""

    def __init__(
        self,
        *,
        word: str = "right",
        algorithms: tuple[Algorithm, ...] = tuple(Algorithm),
        fate: Fate = perfect,
    ) -> None:
        self.users = Users(
            REALM, [User("201", {each: ha1(each) for each in algorithms})]
        )
        self.authenticator = Authenticator(
            nonces=Nonces(key=b"k" * 32, rng=random.Random(9)),
            users=Lockout(limit=3),
            sources=Lockout(limit=10),
        )
        self.beginnings: list[sip.Beginning | None] = []
        credentials = ClientCredentials("201", word)
        super().__init__(
            fate=fate,
            alice={"credentials_for": lambda _flow: credentials},
            bob={"authenticate": self.authenticate},
        )

    def authenticate(
        self, request: Request, flow: Flow, beginning: sip.Beginning | None, now: float
    ) -> Refusal | None:
        self.beginnings.append(beginning)
        verdict = self.authenticator.judge(request, self.users, flow.remote.host, now)
        return verdict if isinstance(verdict, Refusal) else None

    @property
    def names(self) -> list[str]:
        return [packet.name for packet in self.wire.log]

    def call(self) -> str:
        self.wire.log.clear()
        session = self.alice.call(BOB)
        self.run(0.4)
        return session


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_call_is_challenged_and_comes_about(algorithm: Algorithm) -> None:
    site = Site(algorithms=(algorithm,))
    session = site.call()
    assert site.alice.names == ["Progressed", "Accepted"]
    assert site.bob.names == ["InviteReceived", "Acknowledged"]
    assert site.names == [
        "INVITE", "401", "ACK", "INVITE", "100", "180", "200", "ACK",
    ]  # fmt: skip
    invite = parse_message(site.wire.log[3].data)
    assert f"algorithm={algorithm}," in (invite.headers.get("Authorization") or "")
    site.alice.hang_up(session)
    site.run(40.0)
    assert site.is_clean()
    assert site.authenticator.stats.accepted == 2  # the INVITE and the BYE


def test_the_strongest_of_three_is_used() -> None:
    site = Site()
    site.call()
    invite = parse_message(site.wire.log[3].data)
    assert "SHA-512-256" in (invite.headers.get("Authorization") or "")


def test_what_follows_needs_no_second_challenge() -> None:
    site = Site()
    session = site.call()
    site.alice.core.reoffer(session, site.wire.now, body=OFFER)
    site.run(0.1)
    site.alice.hang_up(session)
    site.run(0.1)
    site.call()
    assert site.names[:3] == ["INVITE", "100", "180"]
    stats = site.authenticator.stats
    assert (stats.challenged, stats.accepted) == (1, 4)
    # Each request in the dialog came with the INVITE that began it.
    assert [one is None for one in site.beginnings] == [True, True, False, False, True]
    assert {one.flow.remote for one in site.beginnings if one is not None} == {ALICE}


def test_an_old_nonce_is_replaced_without_a_word() -> None:
    site = Site()
    session = site.call()
    site.run(400.0)
    site.alice.core.reoffer(session, site.wire.now, body=OFFER)
    site.run(0.1)
    assert site.names[-7:] == ["INVITE", "401", "ACK", "INVITE", "100", "200", "ACK"]
    assert site.alice.names[-1] == "OfferAnswered"
    stats = site.authenticator.stats
    assert (stats.stale, stats.failed) == (1, 0)


def test_a_bye_with_an_old_nonce_ends_the_call_all_the_same() -> None:
    site = Site()
    session = site.call()
    site.run(400.0)
    site.alice.hang_up(session)
    site.run(0.1)
    assert site.bob.last.reason is sip.EndReason.BYE
    site.run(40.0)
    assert site.is_clean()


def test_a_wrong_password_fails_and_locks_out() -> None:
    site = Site(word="wrong")
    for _ in range(3):
        site.call()
        assert site.alice.last.status == 401
        assert site.names == ["INVITE", "401", "ACK", "INVITE", "401", "ACK"]
    stats = site.authenticator.stats
    assert (stats.failed, stats.locked) == (3, 0)
    site.call()
    assert stats.locked == 1
    for _ in range(10):
        site.authenticator._source_lock.failed(ALICE.host, site.wire.now)
    site.call()
    assert site.names == ["INVITE", "403", "ACK"]
    assert site.bob.events == []
    assert len(site.bob.core._layer) == 0
    site.run(40.0)
    assert site.is_clean()


def test_nothing_is_kept_for_who_does_not_answer() -> None:
    site = Site()
    stranger = Peer(site.wire, STRANGER)
    stranger.send(stranger.new_request("INVITE", body=OFFER), BOB)
    stranger.send(stranger.new_request("OPTIONS"), BOB)
    assert stranger.names == ["401", "401"]
    assert stranger.response(401).to.tag is not None
    assert len(site.bob.core._layer) == 0
    assert len(site.authenticator._nonces) == 0
    assert site.bob.core.stats.rejected == 2


def test_a_request_sent_again_gets_the_same_refusal() -> None:
    site = Site()
    stranger = Peer(site.wire, STRANGER)
    invite = stranger.new_request("INVITE", body=OFFER)
    for request in (invite, invite, stranger.new_request("INVITE", cseq=2)):
        stranger.send(request, BOB)
    tags = [response.to.tag for response in stranger.received]
    assert tags[0] == tags[1] != tags[2]


def test_a_captured_invite_opens_nothing() -> None:
    site = Site()
    site.call()
    captured = parse_message(site.wire.log[3].data)
    assert isinstance(captured, Request)
    thief = Peer(site.wire, STRANGER)
    replay = thief.new_request(
        "INVITE", body=OFFER, headers=[
            ("Authorization", captured.headers.get("Authorization") or "")
        ], uri=str(captured.uri),
    )  # fmt: skip
    thief.send(replay, BOB)
    assert thief.names == ["401"]
    assert site.authenticator.stats.accepted == 1
    assert site.authenticator.stats.stale == 1
    assert len(site.bob.core) == 1


def test_a_request_in_a_dialog_is_asked_too() -> None:
    site = Site()
    session = site.call()
    site.alice.core._authorizer._spaces.clear()  # type: ignore[union-attr]
    site.alice.core.reoffer(session, site.wire.now, body=OFFER)
    site.run(0.1)
    assert site.alice.names[-1] == "OfferAnswered"
    assert site.authenticator.stats.challenged == 2


def test_who_is_not_admitted_is_not_even_asked() -> None:
    def never(*_: object) -> Refusal:
        raise AssertionError

    _, peer = called_by_peer(admit=lambda *_: 403, authenticate=never)
    peer.send(peer.new_request("INVITE", body=OFFER), BOB)
    peer.send(peer.new_request("BYE", to="<sip:x@y>;tag=unknown"), BOB)
    assert peer.names == ["403", "403"]
    _, peer = called_by_peer(authenticate=never)
    peer.send(peer.new_request("BYE", to="<sip:x@y>;tag=unknown"), BOB)
    assert peer.names == ["481"]


TINY = (
    b"INVITE sip:1@h SIP/2.0\r\nv:SIP/2.0/%s h;branch=z9hG4bK1\r\nf:<sip:1@h>;tag=1\r\n"
    b"t:<sip:1@h>\r\ni:1\r\nCSeq:1 INVITE\r\n%s\r\n"
)


@pytest.mark.parametrize("padding", range(0, 300, 50))
def test_a_forged_source_gains_little_by_a_challenge(padding: int) -> None:
    bob = Site().bob
    more = b"x:" + b"x" * padding + b"\r\n" if padding else b""
    data = TINY % (b"UDP", more)
    bob.core.receive(data, Flow("udp", BOB, ALICE), 0.0)
    sent = [answer for answer, _ in bob.core.data_to_send()]
    assert all(len(answer) <= MAX_GAIN * len(data) for answer in sent)
    assert bob.core.stats.larger_challenges == 1 - len(sent)
    if padding in {0, 250}:
        assert bool(sent) == bool(padding)
    # Who has a connection is who it says.
    data = TINY % (b"TCP", b"l:0\r\n")
    bob.core.receive(data, Flow("tcp", BOB, ALICE, inbound=True), 0.0)
    assert len(bob.core.data_to_send()) == 1


def test_a_refusal_may_be_silence() -> None:
    bob, peer = called_by_peer(authenticate=lambda *_: Refusal(DROP))
    peer.send(peer.new_request("INVITE", body=OFFER), BOB)
    assert peer.names == []
    assert bob.core.stats.rejected == 1


@pytest.mark.parametrize("which", ["401", "ACK", "INVITE", "200"])
def test_any_one_datagram_may_be_lost(which: str) -> None:
    site = Site(fate=lose(which))
    site.call()
    site.run(4.0)
    assert site.alice.names == ["Progressed", "Accepted"]
    assert site.bob.names == ["InviteReceived", "Acknowledged"]


@pytest.mark.parametrize("seed", range(8))
def test_heavy_loss_hurts_no_call(seed: int) -> None:
    site = Site(fate=unreliable(seed=seed, loss=0.2, duplicate=0.1, jitter=0.2))
    session = site.call()
    site.run(20.0)
    assert site.alice.names[-1] == "Accepted"
    site.alice.hang_up(session)
    site.run(100.0)
    assert site.is_clean()
    assert site.authenticator.stats.failed == 0


def test_a_registration_of_a_phone_is_no_business_of_ours() -> None:
    site = Site()
    uri = parse_uri(f"sip:{BOB}")
    party = NameAddr(None, uri)
    request = new_request(
        "REGISTER", uri, from_=party.with_tag("t"), to=party, call_id="r", cseq=1
    )
    site.alice.core.request(request, site.wire.flow(ALICE, BOB), 0.0)
    site.run(0.1)
    assert site.alice.last.status == 405
