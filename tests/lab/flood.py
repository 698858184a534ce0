"""Throws garbage at a UDP port: `python -m tests.lab.flood PORT COUNT`.

Some of it is nearly SIP. It comes from an address that is no peer's, a few thousand
datagrams a second, from a process of its own.
"""

import random
import socket
import sys
import time

_INVITE = (
    b"INVITE sip:112@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK%d\r\n"
    b"From: <sip:x@127.0.0.2>;tag=%d\r\nTo: <sip:112@127.0.0.1>\r\n"
    b"Call-ID: %d\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def datagram(rng: random.Random) -> bytes:
    """One datagram: noise, a broken message, or one that is well formed."""
    number = rng.getrandbits(40)
    whole = _INVITE % (number, number, number)
    match rng.randrange(8):
        case 0:
            return rng.randbytes(rng.randrange(1, 1400))
        case 1:
            return whole
        case 2:
            return whole[: rng.randrange(len(whole))]
        case 3:
            return whole.replace(b"INVITE", rng.choice([b"BYE", b"CANCEL", b"ACK"]))
        case 4:
            return whole.replace(b": 0\r\n\r\n", b": 99999999\r\n\r\n")
        case 5:
            return b"SIP/2.0 200 OK\r\n" + whole.partition(b"\r\n")[2]
        case 6:
            return whole[:-2] + b"X: y\r\n" * 200 + b"\r\n"
        case _:
            return b"\r\n\r\n" + bytes(rng.randrange(60_000))


def main() -> None:
    """Send them all."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.2", 0))
        for index in range(count):
            sock.sendto(datagram(rng), ("127.0.0.1", port))
            if index % 20 == 19:
                time.sleep(0.004)


if __name__ == "__main__":
    main()
