"""Main is killed in the middle of a re-INVITE, a REFER or a PRACK, by any transport."""

import asyncio
import math
import os
import random
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.cli.phone import Phone
from agent.formats.container import read_wav
from agent.model.media import Address
from agent.signalling.sip import core as sip
from tests.bench.load import payload
from tests.lab.booted import booted
from tests.lab.daemon import CALLER, SERVICE, Daemon, Recording
from tests.lab.parties import closed_row, until
from tests.lab.secure import secured
from tests.lab.service import FEW, Service
from tests.lab.standing import contexts
from tests.lab.stream_phone import StreamPhone
from tests.ports import free_ports
from tests.soak.clicks import Clicks
from tests.soak.losses import Losses

TRANSPORTS = ("udp", "tcp", "tls")
DEEDS = {"re-INVITE": 0.03, "REFER": 0.08, "PRACK": 0.03}
"What main is killed in the middle of, and within how many seconds of its beginning."
FRAMES = 3000
"Of a phone's speech: a minute, longer than any round."
FRAME_NS = 20_000_000


class Desk:
    """A site whose phones speak one transport, with the certificates they need."""

    def __init__(self, root: Path, transport: str, stack: ExitStack) -> None:
        self.transport = transport
        # What is carried is compared, octet by octet.
        plain = 'srtp = "never"'
        self.daemon = Daemon(
            root / "site",
            notice=b"\x01\x02" * 1600,
            trunk=plain,
            phones=plain,
            sip_section=FEW,
        )
        self.secured = secured(self.daemon, officers=transport)
        system = stack.enter_context(booted(root / "system", self.daemon.root))
        self.service = Service(system, self.daemon)
        self.service.start()
        stack.callback(self.service.stop)

    @property
    def number(self) -> str:
        """Where a phone rings the service."""
        tls = self.transport == "tls"
        port = self.secured.port if tls else self.daemon.sip
        return f"sip:{SERVICE}@127.0.0.1:{port};transport={self.transport}"

    def phone(self, number: int, side: int, port: int, user: str) -> StreamPhone:
        """A phone that says the clicks of one leg of a call."""
        phone = StreamPhone(Address("127.0.0.1", port), free_ports(1)[0], user)
        phone.transport = self.transport
        if self.transport == "tls":
            files = self.secured.officers if side else self.secured.trunk
            phone.tls = contexts(files)
        said = (payload(number, side, index) for index in range(FRAMES))
        phone.speech = {"PCMA": b"".join(said)}
        phone.answer_after = 0.1 if side else None
        return phone

    def officer_port(self, index: int) -> int:
        return self.daemon.officers[index] + (self.transport == "tls")


@dataclass
class Scene:
    """A customer who talks to officer 201, and officer 202, who does not yet."""

    desk: Desk
    customer: StreamPhone
    one: StreamPhone
    two: StreamPhone
    rng: random.Random
    offset: int

    def kill_soon(self, within: float) -> None:
        """kill -9 of main at a random moment."""
        [main] = self.desk.service.processes()["main"]
        wait = self.rng.uniform(0, within)
        asyncio.get_running_loop().call_later(wait, os.kill, main, signal.SIGKILL)

    async def next_main(self) -> None:
        async with asyncio.timeout(40):
            while not self.desk.daemon.log("ready", offset=self.offset):
                await asyncio.sleep(0.02)

    async def reinvite(self, losses: Losses) -> None:
        """The customer's phone offers; what fails with its connection, it repeats."""
        self.kill_soon(DEEDS["re-INVITE"])
        self.customer.reoffer()
        async with asyncio.timeout(40):
            outcome = await self.customer.outcomes.get()
            await self.next_main()
            if isinstance(outcome, sip.OfferRefused):
                assert outcome.status == 503, outcome
                assert self.desk.transport != "udp"
                losses.repeated += 1
                self.customer.reoffer()
                outcome = await self.customer.outcomes.get()
                assert isinstance(outcome, sip.OfferAnswered), outcome

    async def refer(self, losses: Losses) -> bool:
        """Officer 201 transfers to 202; False if 201 was told that it failed."""
        if self.two.reliable:
            self.two.on_ringing = lambda: self.kill_soon(DEEDS["PRACK"])
        else:
            self.kill_soon(DEEDS["REFER"])
        to = f"sip:202@127.0.0.1:{self.desk.daemon.sip}"
        loop = asyncio.get_running_loop()
        self.one.refer(to)
        await self.next_main()
        again = loop.time() + 3.0
        async with asyncio.timeout(20):
            while not self.two.connected.is_set():
                heard = self.one.told or self.two._session
                if loop.time() > again and not heard:
                    # It went with its connection, of which its sender knows.
                    assert self.desk.transport != "udp"
                    losses.repeated += 1
                    self.one.refer(to)
                    again = math.inf
                if self.one.told and int(self.one.told[-1]) >= 300:
                    losses.refused += 1
                    return False
                await asyncio.sleep(0.02)
        return True


async def kill_midway(
    desk: Desk, deed: str, number: int, rng: random.Random, losses: Losses
) -> None:
    """One call, one death; what came of it is counted in `losses`."""
    daemon = desk.daemon
    known = set(daemon.stored(".key.age"))
    scene = Scene(
        desk,
        desk.phone(number, 0, daemon.caller, CALLER),
        desk.phone(number, 1, desk.officer_port(0), "201"),
        desk.phone(number, 2, desk.officer_port(1), "202"),
        rng,
        desk.service.log_size,
    )
    scene.two.reliable = deed == "PRACK"
    phones = (scene.customer, scene.one, scene.two)
    transferred = False
    async with AsyncExitStack() as stack:
        for phone in phones:
            await phone.start()
            stack.push_async_callback(phone.close)
        await scene.customer.call(desk.number)
        await until(scene.one.connected)
        for phone in phones:
            phone.speak()
        await asyncio.sleep(0.5)
        if deed == "re-INVITE":
            await scene.reinvite(losses)
        else:
            transferred = await scene.refer(losses)
        await asyncio.sleep(0.7)
        last = scene.two if transferred else scene.one
        dropped = scene.customer.ended.is_set() or last.ended.is_set()
        scene.customer.hang_up()
        if not dropped:
            await until(last.ended)
        row = await closed_row(daemon)
        async with asyncio.timeout(30):
            while daemon.waiting():
                await asyncio.sleep(0.05)
    await asyncio.sleep(0.01)
    losses.kills += 1
    losses.calls += 1
    if dropped:
        losses.dropped.append(f"{row.outcome}, {row.cause}")
    recordings = list(daemon.recordings(but=known))
    losses.recordings += len(recordings)
    if len(recordings) != 1 + transferred:
        losses.unopened.append(f"{len(recordings)} recordings of a call")
    losses.worst_ms.append(
        max((examine(one, number, phones, losses) for one in recordings), default=0)
    )


def examine(
    recording: Recording, number: int, phones: Sequence[Phone], losses: Losses
) -> int:
    """Look up the clicks of a segment; ms that the leg that lost most has lost.

    Whose officer it was, its tag says. It lacks nothing between the first and the last
    that is there.
    """
    track = read_wav(recording.wav)
    [officer] = recording.manifest.officers
    losses.partial += recording.manifest.outcome == "partial"
    clicks = Clicks()
    for side, leg in enumerate((0, 1 if officer.number == "201" else 2)):
        samples = track.samples[side::2]
        there = [n for n in range(FRAMES) if payload(number, leg, n) in samples]
        assert there, f"nothing of leg {leg} in {recording.manifest}"
        frames = range(there[0], there[-1] + 1)
        clicks.look(number, leg, samples, frames, said_late(phones[leg]))
    losses.add(clicks)
    return max(clicks.lost_ms)


def said_late(phone: Phone) -> set[int]:
    """Frames that a phone has said a frame or more after their turn."""
    turns = [said - index * FRAME_NS for index, said in enumerate(phone.said_ns)]
    first = min(turns, default=0)
    return {index for index, turn in enumerate(turns) if turn - first > FRAME_NS}
