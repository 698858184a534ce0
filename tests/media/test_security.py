import random
import struct

import pytest

from agent.media.security import ALARMING, MAX_KEYS, OVERLAP_NS, LegSecurity
from agent.model.media import SrtpKeys, SrtpSuite
from tests.fakes.srtp import Direction

SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80
REPORT = b"\x80\xc9\x00\x01\x00\x00\x00\x4d"
NOW = 10**12


def key(seed: int) -> bytes:
    return random.Random(seed).randbytes(30)


def keys(send: int, receive: int) -> SrtpKeys:
    return SrtpKeys(suite=SUITE, send=key(send), receive=key(receive))


def packet(sequence: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, sequence, 0, 77) + b"audio"


def sealed(sequence: int, seed: int) -> bytes:
    return Direction(SUITE, key(seed)).protect(packet(sequence))


def report(index: int, seed: int) -> bytes:
    return Direction(SUITE, key(seed)).protect_rtcp(REPORT, index)


@pytest.fixture
def security() -> LegSecurity:
    security = LegSecurity()
    assert security.adopt(keys(1, 2), NOW)
    return security


def test_without_keys_there_is_nothing_to_say_or_to_hear() -> None:
    security = LegSecurity()
    assert not security.adopt(None, NOW)
    assert not security.active
    security.join_behind(packet(1), NOW)
    assert security.unprotect(sealed(1, 2), NOW) == b""
    assert security.unprotect_rtcp(report(1, 2), NOW) == b""
    assert security.protecting(len) is None
    assert security.protect_rtcp(REPORT) == b""


def test_both_directions(security: LegSecurity) -> None:
    assert security.active
    assert security.unprotect(sealed(1, 2), NOW) == packet(1)
    assert security.unprotect_rtcp(report(1, 2), NOW) == REPORT
    sent: list[bytes] = []

    def note(data: bytes) -> int:
        sent.append(data)
        return len(data)

    send = security.protecting(note)
    assert send is not None
    assert send(packet(1)) == len(packet(1)) + 10
    judge = Direction(SUITE, key(1))
    assert judge.unprotect(sent[0]) == packet(1)
    assert judge.unprotect_rtcp(security.protect_rtcp(REPORT)) == REPORT


def test_what_is_dropped_is_counted(security: LegSecurity) -> None:
    assert security.unprotect(sealed(1, 3), NOW) == b""
    assert security.unprotect_rtcp(report(1, 3), NOW) == b""
    assert (security.unauthenticated, security.replayed) == (2, 0)
    assert security.unprotect(sealed(1, 2), NOW)
    assert security.unprotect(sealed(1, 2), NOW) == b""
    assert security.unprotect_rtcp(report(1, 2), NOW)
    assert security.unprotect_rtcp(report(1, 2), NOW) == b""
    assert (security.unauthenticated, security.replayed) == (2, 2)


def test_much_of_it_is_told_once_under_each_key(security: LegSecurity) -> None:
    assert not security.look()
    for _ in range(ALARMING):
        assert not security.look()
        security.unprotect(sealed(1, 3), NOW)
    assert security.look()
    security.unprotect(sealed(1, 3), NOW)
    assert not security.look()
    security.adopt(keys(1, 4), NOW)
    assert not security.look()
    for _ in range(ALARMING):
        security.unprotect(sealed(1, 3), NOW)
    assert security.look()


def test_the_peers_former_key_is_believed_a_little_longer(
    security: LegSecurity,
) -> None:
    security.unprotect(sealed(1, 2), NOW)
    assert not security.adopt(keys(1, 3), NOW)
    assert security.unprotect(sealed(2, 2), NOW) == packet(2)
    assert security.unprotect_rtcp(report(1, 2), NOW) == REPORT
    assert security.unprotect(sealed(3, 3), NOW) == packet(3)
    # Neither key makes a replay, or a stranger's packet, welcome.
    assert security.unprotect(sealed(2, 2), NOW) == b""
    assert security.unprotect_rtcp(report(1, 2), NOW) == b""
    assert security.unprotect_rtcp(report(1, 9), NOW) == b""
    later = NOW + OVERLAP_NS
    assert security.unprotect(sealed(4, 2), later) == b""
    assert security.unprotect(sealed(5, 3), later) == packet(5)


def test_a_peer_that_comes_back_to_a_key_cannot_be_replayed(
    security: LegSecurity,
) -> None:
    security.unprotect(sealed(1, 2), NOW)
    security.adopt(keys(1, 3), NOW)
    security.adopt(keys(1, 2), NOW)
    assert security.unprotect(sealed(1, 2), NOW) == b""
    assert security.replayed == 1
    security.adopt(None, NOW)
    security.adopt(keys(1, 2), NOW)
    assert security.unprotect(sealed(1, 2), NOW) == b""


def test_what_a_dead_worker_has_received_counts_as_replayed(
    security: LegSecurity,
) -> None:
    security.join_behind(packet(8), NOW)
    for sequence in (8, 7):
        assert security.unprotect(sealed(sequence, 2), NOW) == b""
    assert security.unprotect(sealed(9, 2), NOW) == packet(9)
    assert (security.replayed, security.unauthenticated) == (2, 0)


def test_only_some_keys_are_remembered_and_the_one_in_use_is(
    security: LegSecurity,
) -> None:
    security.unprotect(sealed(1, 2), NOW)
    for seed in range(10, 10 + 2 * MAX_KEYS):
        security.adopt(keys(1, seed), NOW)
        security.adopt(keys(1, 2), NOW)
    assert len(security._known) == MAX_KEYS
    assert security.unprotect(sealed(1, 2), NOW) == b""


def test_a_key_of_ours_is_new_only_once(security: LegSecurity) -> None:
    assert not security.adopt(keys(1, 2), NOW)
    assert not security.adopt(keys(1, 5), NOW)
    assert security.adopt(keys(4, 5), NOW)
    spent = SrtpKeys(suite=SUITE, send=b"", receive=key(5))
    assert not security.adopt(spent, NOW)
    assert security.protecting(len) is None
    assert security.protect_rtcp(REPORT) == b""
    assert security.adopt(keys(6, 5), NOW)
    assert security.protecting(len) is not None


def test_the_same_bytes_are_tried_again_and_nothing_else(
    security: LegSecurity,
) -> None:
    tried: list[bytes] = []

    def refuse(data: bytes) -> int:
        tried.append(data)
        raise ConnectionRefusedError

    send = security.protecting(refuse)
    assert send is not None
    with pytest.raises(ConnectionRefusedError):
        send(packet(1))
    assert len(tried) == 2
    assert tried[0] == tried[1]
    with pytest.raises(OSError, match="seen before"):
        send(packet(1)[:12] + b"other")
    assert len(tried) == 2
