"""RTP and RTCP port pairs: bound in the main process, drained before reuse."""

import contextlib
import socket
from collections import deque
from dataclasses import dataclass
from typing import Final

from agent.media.errors import NoPortsError
from agent.media.sockets import discard

MAX_ROUNDS: Final = 30
"A peer that goes on sending for this many periods does not keep its port for ever."
_EXPEDITED_FORWARDING: Final = 46 << 2
"DSCP EF (RFC 3246) in the octet that also holds ECN."


@dataclass(slots=True, eq=False)
class PortPair:
    """An even port for RTP and the odd one above it for RTCP, both bound."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket

    @property
    def host(self) -> str:
        """The IP address they are bound to."""
        host: str = self.rtp.getsockname()[0]
        return host

    def close(self) -> None:
        """Give both ports back to the kernel."""
        self.rtp.close()
        self.rtcp.close()


@dataclass(slots=True)
class _Draining:
    due: float
    pair: PortPair
    rounds: int = 0


class PortPool:
    """All ports of this host's calls; the longest unused is taken first.

    A closed call's peer may go on sending. Its ports stay bound, and are emptied,
    until nothing has come for a whole period: the next call on them must not hear it.
    """

    def __init__(self, first: int, last: int, *, drain: float) -> None:
        self._free = deque(range(first + first % 2, last, 2))
        self._drain = drain
        self._draining: deque[_Draining] = deque()
        self._in_use = 0

    @property
    def free(self) -> int:
        """Pairs that may be allocated now."""
        return len(self._free)

    @property
    def draining(self) -> int:
        """Pairs held after use."""
        return len(self._draining)

    @property
    def in_use(self) -> int:
        """Pairs allocated."""
        return self._in_use

    def allocate(self, address: str) -> PortPair:
        """Bind a pair on a local address.

        Raises NoPortsError if none is free, or the address is not of this host.
        """
        refusal = ""
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                pair = _bind(address, port)
            except OSError as error:
                # Somebody else's, for now; it may be free when its turn comes again.
                self._free.append(port)
                refusal = f" ({error.strerror})"
                continue
            self._in_use += 1
            return pair
        raise NoPortsError(f"No RTP port is free on {address}{refusal}.")

    def adopt(self, pair: PortPair) -> None:
        """Count a pair in that is bound already."""
        with contextlib.suppress(ValueError):
            # Another range may be configured by now.
            self._free.remove(pair.port)
        self._in_use += 1

    def release(self, pair: PortPair, now: float) -> None:
        """Begin to drain a pair nobody else reads any more."""
        self._in_use -= 1
        _empty(pair)
        self._draining.append(_Draining(now + self._drain, pair))

    def sweep(self, now: float) -> None:
        """Free the pairs whose time has come and that have fallen silent."""
        while self._draining and self._draining[0].due <= now:
            draining = self._draining.popleft()
            if _empty(draining.pair) and draining.rounds < MAX_ROUNDS:
                draining.rounds += 1
                draining.due = now + self._drain
                self._draining.append(draining)
            else:
                draining.pair.close()
                self._free.append(draining.pair.port)

    def get_timer(self) -> float | None:
        """When `sweep` has something to do."""
        return self._draining[0].due if self._draining else None

    def close(self) -> None:
        """Let go of what is being drained."""
        for draining in self._draining:
            draining.pair.close()
        self._draining.clear()


def bound(address: str, port: int) -> PortPair:
    """A certain pair, which an earlier process had. Raises NoPortsError."""
    try:
        return _bind(address, port)
    except OSError as error:
        raise NoPortsError(
            f"RTP port {port} is not free on {address} ({error.strerror})."
        ) from error


def adopted(rtp: int, rtcp: int) -> PortPair:
    """A pair that another process has bound, from its descriptors."""
    channels = socket.socket(fileno=rtp), socket.socket(fileno=rtcp)
    return PortPair(channels[0].getsockname()[1], *channels)


def _empty(pair: PortPair) -> int:
    return discard(pair.rtp) + discard(pair.rtcp)


def _bind(address: str, port: int) -> PortPair:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        rtp, rtcp = (
            stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            for _ in range(2)
        )
        for channel, number in ((rtp, port), (rtcp, port + 1)):
            channel.settimeout(0)
            if family == socket.AF_INET6:
                channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                channel.setsockopt(
                    socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED_FORWARDING
                )
            else:
                channel.setsockopt(
                    socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING
                )
            channel.bind((address, number))
        stack.pop_all()
    return PortPair(port, rtp, rtcp)
