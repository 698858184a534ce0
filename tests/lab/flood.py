"""Throws garbage at UDP ports: `python -m tests.lab.flood COUNT --sip PORT …`.

Some of it is nearly SIP or RTP. It comes from addresses that are no peer's, and with
`--peer` in part from a port that is one's, a few thousand datagrams a second, from a
process of its own.
"""

import argparse
import random
import socket
import time
from collections.abc import Callable

from agent.formats.rtp.packet import RtpPacket
from tests.fuzz.seeds import seeds

STRANGERS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
BURST = 20
"Datagrams between two pauses."

_INVITE = (
    b"INVITE sip:5551234@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK%d\r\n"
    b"From: <sip:x@127.0.0.2>;tag=%d\r\nTo: <sip:5551234@127.0.0.1>\r\n"
    b"Call-ID: %d\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_SEEDS = {name: [s for s in seeds(name) if s] for name in ("sip", "rtcp")}


def sip_datagram(rng: random.Random) -> bytes:
    """One datagram: noise, a broken message, or one that is well formed."""
    number = rng.getrandbits(40)
    whole = _INVITE % (number, number, number)
    match rng.randrange(12):
        case 0:
            return rng.randbytes(rng.randrange(1, 1400))
        case 1:
            # Without Contact: refused, whoever sends it.
            return whole
        case 2:
            return whole[: rng.randrange(len(whole))]
        case 3:
            method = rng.choice([b"BYE", b"CANCEL", b"ACK", b"OPTIONS", b"REGISTER"])
            return whole.replace(b"INVITE", method)
        case 4:
            return whole.replace(b": 0\r\n\r\n", b": 99999999\r\n\r\n")
        case 5:
            return b"SIP/2.0 200 OK\r\n" + whole.partition(b"\r\n")[2]
        case 6:
            return whole[:-2] + b"X: y\r\n" * 200 + b"\r\n"
        case 7:
            return b"\r\n\r\n" + bytes(rng.randrange(60_000))
        case _:
            return changed(rng, rng.choice(_SEEDS["sip"]))


def media_datagram(rng: random.Random) -> bytes:
    """One datagram for an RTP or RTCP port."""
    packet = RtpPacket(
        payload_type=rng.choice((0, 8, 13, 101, rng.randrange(128))),
        marker=bool(rng.getrandbits(1)),
        sequence_number=rng.getrandbits(16),
        timestamp=rng.getrandbits(32),
        ssrc=rng.getrandbits(32),
        payload=b"\x2a" * 160,
    ).to_bytes()
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(1, 1500))
        case 1:
            return packet
        case 2:
            return changed(rng, packet)
        case _:
            return changed(rng, rng.choice(_SEEDS["rtcp"]))


def changed(rng: random.Random, data: bytes) -> bytes:
    """`data` with a few octets written over, put in or taken out."""
    octets = bytearray(data[:60_000])
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(octets) + 1)
        match rng.randrange(3):
            case 0:
                octets[at : at + 1] = rng.randbytes(1)
            case 1:
                octets[at:at] = rng.choice((b"\r\n", b";", b",", b"\0", b"9" * 40))
            case _:
                del octets[at : at + rng.randrange(1, 12)]
    return bytes(octets) or b"\r\n"


def main() -> None:
    """Send them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--sip", type=int, required=True)
    parser.add_argument("--peer", type=int, help="a port that is a peer's")
    parser.add_argument("--media", type=int, nargs="*", default=[])
    parser.add_argument("--rate", type=float, default=5000.0)
    arguments = parser.parse_args()
    rng = random.Random(1)
    strangers = [_bound(host, 0) for host in STRANGERS]
    senders: list[Callable[[], None]] = [
        lambda: _send(rng.choice(strangers), sip_datagram(rng), arguments.sip)
    ]
    if arguments.media:
        senders.append(
            lambda: _send(
                rng.choice(strangers), media_datagram(rng), rng.choice(arguments.media)
            )
        )
    if arguments.peer:
        peer = _bound("127.0.0.1", arguments.peer)
        # An eighth of the SIP: the rest is what anybody may send.
        senders = senders * 4 + [lambda: _send(peer, sip_datagram(rng), arguments.sip)]
    start = time.monotonic()
    for index in range(arguments.count):
        rng.choice(senders)()
        if index % BURST == 0:
            due = start + index / arguments.rate
            time.sleep(max(0.0005, due - time.monotonic()))


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, port))
    return sock


def _send(sock: socket.socket, data: bytes, port: int) -> None:
    try:
        sock.sendto(data, ("127.0.0.1", port))
    except (BlockingIOError, ConnectionRefusedError):
        # Its buffer is full, or an earlier one was refused: one is lost.
        return


if __name__ == "__main__":
    main()
