"""Two bridged legs, one encrypted: what each phone hears, and what is tapped."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.formats.rtp.rtcp import ReceiverReport, parse_compound
from agent.media.announcement import Announcement
from agent.media.leg import MediaLeg
from agent.media.playable import Samples
from agent.media.playout import Playout
from agent.media.playouts import send_due
from agent.model.media import Address, Latch, SrtpKeys, SrtpSuite
from tests.media.legs import udp
from tests.media.phones import HOST, Phone, audio_bytes
from tests.media.secure_phone import SecurePhone, new_key

SUITES = list(SrtpSuite)


class Tap:
    """What a journal would get."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def add(self, leg: int, arrival_ns: int, packet: bytes) -> None:
        del leg, arrival_ns
        self.packets.append(packet)

    def add_event(self, leg: int, arrival_ns: int, packet: bytes) -> None:
        self.add(leg, arrival_ns, packet[:12])


class Bench:
    """Leg `a` is encrypted, leg `b` is not."""

    def __init__(self, suite: SrtpSuite, *, mux: bool = False) -> None:
        self.secure, self.plain = SecurePhone(suite=suite, mux=mux), Phone(ssrc=0xB)
        self.a, self.b = self.leg("a"), self.leg("b")
        self.a.partner, self.b.partner = self.b, self.a
        self.tap = Tap()
        self.a.tap = self.b.tap = self.tap  # type: ignore[assignment] # only add is used
        for leg, phone in ((self.a, self.secure), (self.b, self.plain)):
            phone.agent = Address(*leg.rtp.getsockname())
        self.configure()

    @staticmethod
    def leg(name: str) -> MediaLeg:
        return MediaLeg(
            name,
            udp(),
            udp(),
            random.Random(1),
            on_latched=lambda _: None,
            on_source=lambda _: None,
        )

    def configure(self) -> None:
        self.a.configure(self.secure.negotiated(telephone_event=101), Latch.ADDRESS)
        self.b.configure(self.plain.negotiated(telephone_event=101), Latch.ADDRESS)
        self.a.rewire()
        self.b.rewire()

    def talk(self) -> None:
        """Both latched."""
        for n in range(2):
            self.secure.say(audio_bytes(n))
            self.plain.say(audio_bytes(n))
        for _ in range(2):
            self.a.on_rtp()
            self.b.on_rtp()
        assert len(self.plain.heard()) == 2
        self.secure.heard()

    def to_plain(self, *datagrams: bytes) -> list[bytes]:
        """What the plain phone hears of what is sent to the encrypted leg."""
        for data in datagrams:
            self.secure.send(data)
            self.a.on_rtp()
        return [packet.payload for packet in self.plain.heard()]

    def to_secure(self, *datagrams: bytes) -> list[bytes]:
        for data in datagrams:
            self.plain.send(data)
            self.b.on_rtp()
        return [packet.payload for packet in self.secure.heard()]

    def close(self) -> None:
        for leg in (self.a, self.b):
            leg.close()
        for phone in (self.secure, self.plain):
            phone.rtp.close()
            phone.rtcp.close()


@pytest.fixture(params=SUITES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(request.param)
    yield bench
    bench.close()


@pytest.fixture(params=[SUITES[0], SUITES[3]])
def muxed(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(request.param, mux=True)
    yield bench
    bench.close()


def test_each_phone_hears_the_other_and_the_tap_hears_both(bench: Bench) -> None:
    said = [bench.secure.say(audio_bytes(n)) for n in range(4)]
    answered = [bench.plain.say(audio_bytes(10 + n)) for n in range(4)]
    for _ in range(4):
        bench.a.on_rtp()
        bench.b.on_rtp()
    assert [x.payload for x in bench.plain.heard()] == [p[12:] for p in said]
    heard = bench.secure.heard()
    assert [x.payload for x in heard] == [p[12:] for p in answered]
    assert bench.secure.unauthentic == 0
    assert sorted(bench.tap.packets) == sorted(said + answered)


def test_nothing_but_authentic_packets_has_any_effect(bench: Bench) -> None:
    stranger = SecurePhone(suite=bench.secure.suite, seed=50)
    good = bench.secure.sealed(bench.secure.next_packet(b"good"))
    wrong_key = stranger.sealed(stranger.next_packet(b"wrong"))
    plain = bench.plain.next_packet(b"plain")
    tampered = good[:14] + bytes([good[14] ^ 1]) + good[15:]
    bad = (plain, plain, wrong_key, tampered, good[:-1], good[:11], b"", b"\x80")
    before = bench.a.reception.latched
    assert bench.to_plain(*bad) == []
    assert bench.a.reception.latched is before is None
    assert bench.tap.packets == []
    stats = bench.a.stats
    assert stats.received == 0
    assert stats.unauthenticated == len(bad)
    two = bench.secure.sealed(bench.secure.next_packet(b"two"))
    assert bench.to_plain(good, two) == [b"good", b"two"]
    stranger.rtp.close()
    stranger.rtcp.close()


def test_a_replay_is_heard_once(bench: Bench) -> None:
    bench.talk()
    sealed = bench.secure.sealed(bench.secure.next_packet(b"once"))
    tapped = len(bench.tap.packets)
    assert bench.to_plain(sealed, sealed, sealed) == [b"once"]
    assert len(bench.tap.packets) == tapped + 1
    assert bench.a.stats.replayed == 2


def test_two_packets_under_one_number_are_not_both_encrypted(bench: Bench) -> None:
    bench.talk()
    packet = bench.plain.next_packet(b"first")
    twice = packet[:12] + b"twice"
    assert bench.to_secure(packet, twice) == [b"first"]
    assert bench.secure.unauthentic == 0
    assert bench.b.stats.late == 1
    assert bench.a.stats.send_errors == 1


def test_the_rollover_counter_of_the_peer_turns(bench: Bench) -> None:
    bench.secure.sequence = 0xFFFC
    for n in range(10):
        sealed = bench.secure.sealed(bench.secure.next_packet(audio_bytes(n)))
        bench.to_plain(sealed)
    assert bench.a.stats.received == 10
    assert bench.a.stats.unauthenticated == 0


def test_our_own_rollover_counter_turns(bench: Bench) -> None:
    bench.a.sender.sequence = 0xFFFA
    bench.plain.sequence = 100
    payloads = [audio_bytes(n) for n in range(12)]
    for payload in payloads:
        bench.plain.say(payload)
        bench.b.on_rtp()
    heard = []
    for _ in payloads:
        data = bench.secure.rtp.recv(2000)
        # By then the numbers have begun anew, under the next rollover count.
        rollovers = int(int.from_bytes(data[2:4], "big") < 0x8000)
        heard.append(bench.secure.inward.unprotect(data, rollovers)[12:])
    assert heard == payloads


def test_a_new_key_of_the_peer_overlaps_with_its_old_one(bench: Bench) -> None:
    bench.talk()
    under_old = bench.secure.sealed(bench.secure.next_packet(b"old"))
    source = bench.a.sender.ssrc
    bench.secure.rekey(key=new_key(77, bench.secure.suite))
    bench.configure()
    under_new = bench.secure.sealed(bench.secure.next_packet(b"new"))
    assert bench.to_plain(under_old, under_new) == [b"old", b"new"]
    # Our own key goes on, and so does our source.
    assert bench.a.sender.ssrc == source
    assert bench.to_secure(bench.plain.next_packet(b"on")) == [b"on"]


def test_a_new_key_of_ours_begins_a_new_source(bench: Bench) -> None:
    bench.talk()
    bench.plain.say(b"before")
    bench.b.on_rtp()
    (before,) = bench.secure.heard()
    sent = bench.a.stats.sent
    bench.secure.rekey(agents_key=new_key(78, bench.secure.suite))
    bench.configure()
    bench.plain.say(b"after")
    bench.b.on_rtp()
    (after,) = bench.secure.heard()
    assert after.payload == b"after"
    assert after.ssrc != before.ssrc
    assert after.sequence_number < 1 << 15
    assert bench.secure.unauthentic == 0
    assert bench.a.stats.sent == sent + 1


def test_a_spent_key_silences_us_but_not_the_peer(bench: Bench) -> None:
    bench.talk()
    audio = bench.secure.negotiated(telephone_event=101)
    assert audio.srtp is not None
    spent = replace(audio, srtp=replace(audio.srtp, send=b""))
    bench.a.configure(spent, Latch.ADDRESS)
    assert not bench.a.may_send
    assert bench.to_secure(bench.plain.next_packet(b"unsaid")) == []
    bench.a.send_report(0)
    with pytest.raises(BlockingIOError):
        bench.secure.rtcp.recv(2000)
    sealed = bench.secure.sealed(bench.secure.next_packet(b"heard"))
    assert bench.to_plain(sealed) == [b"heard"]
    bench.secure.rekey(agents_key=new_key(79, bench.secure.suite))
    bench.configure()
    assert bench.to_secure(bench.plain.next_packet(b"again")) == [b"again"]


def test_a_leg_may_become_encrypted_and_plain_again(bench: Bench) -> None:
    bench.talk()
    audio = bench.secure.negotiated(telephone_event=101)
    bench.a.configure(replace(audio, srtp=None), Latch.ADDRESS)
    assert bench.to_plain(bench.secure.next_packet(b"plain")) == [b"plain"]
    bench.plain.say(b"plain too")
    bench.b.on_rtp()
    assert bench.secure.rtp.recv(2000)[12:] == b"plain too"
    keys = SrtpKeys(
        suite=bench.secure.suite,
        send=new_key(90, bench.secure.suite),
        receive=new_key(91, bench.secure.suite),
    )
    bench.secure.rekey(key=keys.receive, agents_key=keys.send)
    bench.a.configure(replace(audio, srtp=keys), Latch.ADDRESS)
    assert bench.to_plain(bench.secure.next_packet(b"no longer")) == []
    assert bench.to_secure(bench.plain.next_packet(b"sealed")) == [b"sealed"]


def test_a_notice_is_encrypted_too(bench: Bench) -> None:
    playable = {"PCMA": Samples(b"\xd5" * 480, 0, 480)}
    playout = Playout(1, Announcement([playable], loop=False, start_ns=0))
    for n in range(4):
        send_due(bench.a, playout, n * 20_000_000)
    assert [packet.payload for packet in bench.secure.heard()] == [b"\xd5" * 160] * 3
    assert not playout.failed
    assert bench.secure.unauthentic == 0


# -- RTCP ------------------------------------------------------------------------


def report_of(phone: SecurePhone, index: int = 1) -> bytes:
    plain = ReceiverReport(phone.ssrc, ()).to_bytes()
    return phone.outward.protect_rtcp(plain, index)


def test_reports_are_sealed_and_must_be(bench: Bench) -> None:
    bench.talk()
    bench.a.send_report(0)
    data = bench.secure.inward.unprotect_rtcp(bench.secure.rtcp.recv(2000))
    assert parse_compound(data)
    port = bench.a.rtcp.channel.getsockname()[1]
    stranger = SecurePhone(suite=bench.secure.suite, seed=60)
    plain = ReceiverReport(bench.secure.ssrc, ()).to_bytes()
    for sent in (plain, report_of(stranger), report_of(bench.secure)):
        bench.secure.rtcp.sendto(sent, (HOST, port))
        bench.a.on_rtcp()
    assert bench.a.stats.unauthenticated == 2
    assert bench.a.stats.invalid == 0
    bench.secure.rtcp.sendto(report_of(bench.secure), (HOST, port))
    bench.a.on_rtcp()
    assert bench.a.stats.replayed == 1
    stranger.rtp.close()
    stranger.rtcp.close()


def test_rtcp_shares_the_port_of_rtp(muxed: Bench) -> None:
    muxed.talk()
    muxed.a.send_report(0)
    sealed = muxed.secure.rtp.recv(2000)
    assert sealed[1] in range(192, 224)
    assert parse_compound(muxed.secure.inward.unprotect_rtcp(sealed))
    sealed = muxed.secure.sealed(muxed.secure.next_packet(b"audio"))
    assert muxed.to_plain(report_of(muxed.secure), sealed) == [b"audio"]
    assert muxed.a.stats.invalid == muxed.a.stats.unauthenticated == 0
    assert muxed.to_plain(report_of(muxed.secure)) == []
    assert muxed.a.stats.replayed == 1


def test_before_the_latch_there_is_a_place_for_reports(muxed: Bench) -> None:
    muxed.a.send_report(0)
    assert muxed.secure.rtp.recv(2000)[1] in range(192, 224)
    nowhere = replace(muxed.secure.negotiated(), remote=Address("0.0.0.0", 9))  # noqa: S104
    muxed.a.configure(nowhere, Latch.ADDRESS)
    muxed.a.send_report(0)
    with pytest.raises(BlockingIOError):
        muxed.secure.rtp.recv(2000)


def test_plain_rtcp_shares_the_port_of_plain_rtp() -> None:
    bench = Bench(SUITES[0])
    audio = bench.plain.negotiated()
    bench.b.configure(
        replace(audio, rtcp_mux=True, remote_rtcp=audio.remote), Latch.ADDRESS
    )
    bench.a.rewire()
    bench.talk()
    bench.b.send_report(0)
    assert parse_compound(bench.plain.rtp.recv(2000))
    for data in (ReceiverReport(5, ()).to_bytes(), b"\x80\xc9 broken", b"\x80", b""):
        bench.plain.send(data)
        bench.b.on_rtp()
    assert bench.b.stats.invalid == 2
    assert bench.to_secure(bench.plain.next_packet(b"audio")) == [b"audio"]
    bench.close()
