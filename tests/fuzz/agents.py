"""Two user agents that talk, while the fuzzer rewrites what they say to each other.

The octets are a script: what each user does next, and what becomes of each datagram on
its way. Whatever the script says, no core raises anything but LocalSipError at its own
user, and when all is over nobody remembers anything.
"""

import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from agent.model.media import Address
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.uri import NameAddr, parse_uri

ALICE: Final = Address("192.0.2.1", 5060)
BOB: Final = Address("192.0.2.2", 5060)
OFFER: Final = b"v=0\r\ns=offer\r\n"
ANSWER: Final = b"v=0\r\ns=answer\r\n"
MAX_STEPS: Final = 60

# What messages are made of; the fuzzer finds its place.
PIECES: Final = (
    *(b"", b"\r\n", b"\r\n\r\n", b" ", b";", b",", b"<", b">", b'"', b"=", b"@", b"0"),
    *(b";tag=x", b";lr", b"*", b"\xff", b"4294967295", b"-1", b"<sip:x@192.0.2.9>"),
    *(b"Require: 100rel\r\n", b"Require: x\r\n", b"Supported: timer, 100rel\r\n"),
    *(b"Session-Expires: 90;refresher=uas\r\n", b"Min-SE: 1800\r\n", b"RSeq: 1\r\n"),
    *(b"Contact: *\r\n", b"Route: <sip:192.0.2.9>\r\n", b"Max-Forwards: 0\r\n"),
    *(b"Record-Route: <sip:192.0.2.9;lr>\r\n", b"Content-Length: 0\r\n"),
    *(b"RAck: 1 1 INVITE\r\n", b"Replaces: a;to-tag=b;from-tag=c\r\n"),
    *(b"Refer-To: <sip:9@192.0.2.9>\r\n", b"Event: refer\r\n", b"Expires: 1\r\n"),
)
METHODS: Final = (
    *(b"INVITE", b"ACK", b"BYE", b"CANCEL", b"OPTIONS", b"UPDATE", b"PRACK"),
    *(b"REFER", b"NOTIFY", b"INFO", b"MESSAGE", b"SUBSCRIBE", b"REGISTER", b"X"),
)


class Script:
    """Choices read from octets; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)

    def choose(self, options: int) -> int:
        """A number below `options`, at most 65,536."""
        size = 1 if options <= 256 else 2
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "big") % options


class Party:
    """One user agent and its user, who reacts as the script says."""

    def __init__(self, address: Address, seed: int, script: Script) -> None:
        self.address = address
        self.core = UserAgentCore(
            rng=random.Random(seed),
            product="fuzz",
            supported=("100rel", "timer", "replaces"),
            session_expires=300,
            pass_up=("INFO",),
            max_sessions=20,
            max_transactions=100,
        )
        self._script = script

    def act(self, other: Address, now: float) -> None:
        """Do something, whether or not it makes sense now."""
        core, session = self.core, f"s{1 + self._script.choose(4)}"
        contact = parse_uri(f"sip:me@{self.address}")
        deeds: tuple[Callable[[], Any], ...] = (
            lambda: self._call(other, OFFER, now),
            lambda: self._call(other, b"", now),
            lambda: core.hang_up(session, now),
            lambda: core.reoffer(session, now, body=OFFER),
            lambda: core.refresh(session, now),
            lambda: core.acknowledge(session, now, body=ANSWER),
            lambda: core.ring(session, now, body=ANSWER, reliable=True),
            lambda: core.ring(session, now, status=183),
            lambda: core.accept(session, now, contact=contact, body=ANSWER),
            lambda: core.refuse(session, now, status=486),
            lambda: core.accept_offer(session, now, body=ANSWER),
            lambda: core.refuse_offer(session, now, status=488),
            lambda: core.transport_failed(Flow("udp", self.address, other), now),
        )
        with suppress(LocalSipError):
            deeds[self._script.choose(len(deeds))]()

    def _call(self, other: Address, body: bytes, now: float) -> None:
        target = parse_uri(f"sip:201@{other}")
        self.core.invite(
            uri=target,
            flow=Flow("udp", self.address, other),
            from_=NameAddr("Me", parse_uri("sip:me@example.com")),
            to=NameAddr(None, target),
            contact=parse_uri(f"sip:me@{self.address}"),
            body=body,
            now=now,
        )

    def react(self, now: float) -> None:
        """Take every event, and answer most of them."""
        while (event := self.core.next_event()) is not None:
            willing = self._script.choose(4)
            with suppress(LocalSipError):
                self._answer(event, willing, now)

    def _answer(self, event: sip.Event, willing: int, now: float) -> None:
        core = self.core
        match event:
            case sip.InviteReceived() if willing:
                core.ring(event.session, now, reliable=willing == 2)
                contact = parse_uri(f"sip:me@{self.address}")
                body = ANSWER if event.request.body else OFFER
                core.accept(event.session, now, contact=contact, body=body)
            case sip.OfferReceived() if willing == 1:
                core.refuse_offer(event.session, now, status=488)
            case sip.OfferReceived():
                body = OFFER if event.body is None else ANSWER
                core.accept_offer(event.session, now, body=body)
            case sip.RequestInDialog():
                core.answer_request(event.session, event.key, now, status=200)
            case sip.ReferReceived() if willing == 1:
                core.refuse_refer(event.session, event.key, now, status=603)
            case sip.ReferReceived():
                core.accept_refer(event.session, event.key, now)
                status = 200 if willing == 2 else 180
                core.notify_refer(event.session, event.key, now, status=status)
            case sip.Accepted() if event.response.body:
                core.acknowledge(event.session, now, body=ANSWER)
            case _:
                pass

    @property
    def forgetful(self) -> bool:
        """Whether nothing is left of any session or transaction."""
        sessions, layer = self.core._sessions, self.core._layer
        return not (len(self.core) or len(sessions) or len(layer))


class Meeting:
    """Alice and Bob, and the datagrams between them."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.now = 0.0
        self.parties = (Party(ALICE, 1, script), Party(BOB, 2, script))
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=64)
        "Datagrams under way, each with who gets it."
        self._seen: deque[tuple[int, bytes]] = deque(maxlen=16)
        "What was delivered last: it may come again, changed."

    def step(self) -> None:
        choice = self.script.choose(16)
        if choice < 4:
            party = self.parties[choice % 2]
            party.act(self.parties[1 - choice % 2].address, self.now)
        elif choice < 6:
            self._pass_time((0.1, 0.6, 5.0, 40.0)[self.script.choose(4)])
        elif choice < 11 and self._sent:
            self._deliver(*self._sent.popleft())
        elif choice < 15 and self._sent:
            place, data = self._sent.popleft()
            self._deliver(place, self._changed(data))
        elif self._seen:
            place, data = self._seen[self.script.choose(len(self._seen))]
            self._deliver(place, self._changed(data))
        self._collect()

    def end(self) -> None:
        """Everybody hangs up, and the network falls silent."""
        for party in self.parties:
            for number in range(party.core.stats.sessions):
                party.core.hang_up(f"s{number + 1}", self.now)
        self._collect()
        # A call may still be arriving whose caller is gone.
        for _ in range(60):
            self._sent.clear()
            self._pass_time(20.0)
            for party in self.parties:
                for number in range(party.core.stats.sessions):
                    party.core.hang_up(f"s{number + 1}", self.now)
            self._collect()
            if all(party.forgetful for party in self.parties):
                return
        raise AssertionError("somebody remembers a call that is over")

    def _collect(self) -> None:
        for place, party in enumerate(self.parties):
            party.react(self.now)
            for data, flow in party.core.data_to_send():
                assert flow.local == party.address
                if flow.remote == self.parties[1 - place].address:
                    self._sent.append((1 - place, data))

    def _deliver(self, place: int, data: bytes) -> None:
        self._seen.append((place, data))
        party, other = self.parties[place], self.parties[1 - place]
        flow = Flow("udp", party.address, other.address)
        party.core.receive(data, flow, self.now)

    def _pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(2000):
            times = [party.core.get_timer() for party in self.parties]
            due = min((at for at in times if at is not None), default=None)
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            for party in self.parties:
                party.core.handle_timer(self.now)
            self._collect()
        else:
            raise AssertionError("timers fire without end")
        self.now = until

    def _changed(self, data: bytes) -> bytes:
        script = self.script
        kind = script.choose(6)
        lines = data.split(b"\r\n")
        line = script.choose(len(lines))
        if kind == 0:
            lines[line] = PIECES[script.choose(len(PIECES))].removesuffix(b"\r\n")
        elif kind == 1:
            lines.insert(line, PIECES[script.choose(len(PIECES))].removesuffix(b"\r\n"))
        elif kind == 2:
            method = METHODS[script.choose(len(METHODS))]
            word = lines[0].split(b" ", 1)[0]
            if not word.startswith(b"SIP/"):
                return data.replace(word, method)
            return data.replace(b" 200 ", b" %d " % (100 + script.choose(600)), 1)
        elif kind == 3:
            del lines[line]
        else:
            at = script.choose(len(lines[line]) + 1)
            cut = script.choose(4)
            piece = PIECES[script.choose(len(PIECES))]
            old = lines[line]
            lines[line] = old[:at] + piece + old[at + cut :]
        return b"\r\n".join(lines)


def user_agents(data: bytes) -> None:
    """Let two user agents meet under this script."""
    script = Script(data)
    meeting = Meeting(script)
    for _ in range(MAX_STEPS):
        if script.over:
            break
        meeting.step()
    meeting.end()
