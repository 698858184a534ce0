"""A user agent whose process is killed again and again, while it is in a call.

    python -m tests.crash.undying TRANSPORT PORT SEED

What a service manager keeps is kept by the process above: memory, and descriptors. Each
life writes a line when it begins. The first one ends once there is a line to read, and
the others follow until the input ends.
"""

import array
import asyncio
import mmap
import os
import random
import select
import signal
import socket
import sys
import time
from typing import Any, Final

from agent.formats.checkpoint import HEADER_SIZE, Checkpoint
from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.kept import STORED, Given, KeptConnections, decode_connection
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.limits import PeerLimits
from agent.signalling.sip.state import decode_state, encode_state
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import parse_uri
from agent.signalling.useragent import UserAgent

BOOT: Final = bytes(16)
SESSION, CONNECTION = "session/", "connection/"
LISTENER: Final = "sip-0"
TIMERS: Final = Timers(t1=0.2, t2=0.4)
"A call without an ACK ends after 64*T1: long enough for some life to take one in."


class Store:
    """The way to who keeps descriptors."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def put(self, name: str, fd: int) -> None:
        rights = array.array("i", [fd]).tobytes()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
        self._channel.sendmsg([name.encode()], ancillary)

    def remove(self, name: str) -> None:
        self._channel.send(name.encode())


class Life:
    """One process."""

    def __init__(self, memory: mmap.mmap, store: Store, listener: Listener) -> None:
        self.checkpoint = Checkpoint.open(memory, BOOT)
        self.kept = KeptConnections(store)
        self.core = UserAgentCore(
            rng=random.SystemRandom(), timers=TIMERS, product="undying"
        )
        self.core.track()
        self.store = store
        self.listener = listener

    async def run(self, held: dict[str, int]) -> None:
        given, sessions = {}, []
        for key, value in list(self.checkpoint.items()):
            if key.startswith(SESSION):
                sessions.append(decode_state(value))
            name = key.removeprefix(CONNECTION)
            if (fd := held.pop(STORED + name, None)) is not None:
                sock = socket.socket(fileno=os.dup(fd))
                given[name] = Given(decode_connection(value), sock)
        self.agent = UserAgent(
            self.core,
            [self.listener],
            self._on_event,
            limits_of=lambda _: PeerLimits("peer", messages=0.0),
            sockets={n: socket.socket(fileno=os.dup(fd)) for n, fd in held.items()},
            kept=self.kept,
            connections=given,
        )
        self.agent.before_sending = self._note
        self.core.resume(sessions, self.agent.now)
        await self.agent.start()
        if LISTENER not in held:
            self.store.put(LISTENER, self.agent.sockets()[LISTENER].fileno())
        sys.stdout.write(f"life with {len(sessions)} sessions\n")
        sys.stdout.flush()
        self.agent.flush()
        await asyncio.Event().wait()

    def _on_event(self, event: Any) -> None:
        now = self.agent.now
        transport, address = self.listener.transport, self.listener.address
        if isinstance(event, sip.InviteReceived):
            contact = parse_uri(f"sip:me@{address};transport={transport}")
            self.core.accept(event.session, now, contact=contact, body=b"answer")
        elif isinstance(event, sip.OfferReceived):
            self.core.accept_offer(event.session, now, body=b"answer")

    def _note(self, touched: set[str]) -> None:
        for session in touched:
            state = self.core.state_of(session)
            self._put(SESSION + session, None if state is None else encode_state(state))
        for name, record in self.kept.changed().items():
            self._put(CONNECTION + name, record)

    def _put(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.checkpoint.remove(key)
        else:
            self.checkpoint.put(key, value)


def hear(channel: socket.socket, held: dict[str, int]) -> None:
    """Keep, or let go of, what the life that is over has said last."""
    while select.select([channel], [], [], 0)[0]:
        data, ancillary, _, _ = channel.recvmsg(100, socket.CMSG_SPACE(4))
        name = data.decode()
        if ancillary:
            (held[name],) = array.array("i", ancillary[0][2])
        elif (fd := held.pop(name, None)) is not None:
            os.close(fd)


def main(transport: str, port: str, seed: str) -> None:
    """Let one process live after the other."""
    rng = random.Random(int(seed))
    listener = Listener(transport, Address("127.0.0.1", int(port)))
    memory = mmap.mmap(-1, HEADER_SIZE + 2 * 1024 * 1024)
    Checkpoint.create(memory, BOOT)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    held: dict[str, int] = {}
    while not select.select([sys.stdin], [], [], 0)[0]:
        pid = os.fork()
        if pid == 0:
            asyncio.run(Life(memory, Store(theirs), listener).run(dict(held)))
        try:
            if not held:
                os.read(sys.stdin.fileno(), 1)
            time.sleep(rng.uniform(0.03, 0.3))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        hear(ours, held)


if __name__ == "__main__":
    main(*sys.argv[1:])
