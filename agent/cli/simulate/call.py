"""The test call itself: two telephones of our own, and what each said and heard."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from agent.cli.phone import FRAME, Heard, Phone
from agent.cli.simulate import beeps
from agent.cli.simulate.site import SimulationError, Site, free_port
from agent.common.clock import utc_ahead_ns
from agent.formats.codecs.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    encode_alaw,
    encode_ulaw,
)
from agent.model.media import PCMA, Address

ANSWER: Final = 0.5
"Seconds the officer's telephone rings."
PATIENCE: Final = 15.0
"Seconds beyond the notices until two must be talking."
TAIL: Final = 0.4
"Seconds of quiet after the last beep."
_FRAMES_PER_SECOND: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A call that is over."""

    call_id: str
    notice_seconds: float
    "Of all notices, as they are configured."
    notice_heard: bool
    "Whether the caller heard each octet of them, before any officer."
    said_utc_ns: tuple[tuple[int, ...], tuple[int, ...]]
    "When the caller and the officer sent each of their beeps."
    delays: tuple[tuple[float, ...], tuple[float, ...]]
    "Seconds that those took to the other's ear; those that never came are left out."


@dataclass(frozen=True, slots=True)
class _Party:
    """One of the two, and what it says."""

    phone: Phone
    rising: bool
    speech: bytes

    @classmethod
    def of(cls, site: Site, address: Address, user: str, *, rising: bool) -> Self:
        law = encode_alaw if site.codec is PCMA else encode_ulaw
        speech = law(beeps.pattern(rising=rising))
        phone = Phone(
            address,
            free_port(address.host),
            user,
            codecs=(site.codec,),
            speech={site.codec.name: speech},
        )
        return cls(phone, rising, speech)

    async def start(self) -> None:
        """Open its sockets. Raises SimulationError."""
        try:
            await self.phone.start()
        except OSError as error:
            raise SimulationError(
                f"{self.phone.address} cannot be had for a test call:"
                f" {error.strerror}.",
                hint="Free it, or name another in the peer's match, the route's to.",
            ) from error

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """When the loudest frame of each beep was sent, and its octets."""
        for place in beeps.places(rising=self.rising):
            index = round((place + beeps.LENGTH / 2) * _FRAMES_PER_SECOND)
            if index < len(self.phone.said_ns):
                frame = self.speech[index * FRAME : (index + 1) * FRAME]
                yield self.phone.said_ns[index], frame

    def said(self) -> tuple[int, ...]:
        """When each beep began, in UTC."""
        since_begin = round(beeps.LENGTH / 2 * 1e9) - utc_ahead_ns()
        return tuple(at_ns - since_begin for at_ns, _ in self.frames())

    def delays(self, other: Sequence[Heard]) -> tuple[float, ...]:
        """How long each took to be heard, of those that were."""
        found = []
        for at_ns, frame in self.frames():
            for one in other:
                if one.arrival_ns >= at_ns and one.packet.payload == frame:
                    found.append((one.arrival_ns - at_ns) / 1e9)
                    break
        return tuple(found)


async def place(
    site: Site, telling: Callable[[str], None], call_id_of: Callable[[], str]
) -> Placed:
    """Place the call, beep on both sides, hang up.

    `call_id_of` asks the daemon which call of the route is up. Raises SimulationError.
    """
    one = _Party.of(site, site.caller, "simulate", rising=True)
    two = _Party.of(site, site.officer, site.officer_user, rising=False)
    caller, officer = one.phone, two.phone
    officer.answer_after = ANSWER
    seconds = sum(sound.duration_ms for sound in site.notices) / 1000
    try:
        await one.start()
        await two.start()
        telling(f"the caller hears {seconds:.1f} s of notices …")
        await caller.call(f"sip:{site.route.number}@{site.agent}")
        await _connected(caller, officer, seconds + PATIENCE)
        call_id = await asyncio.to_thread(call_id_of)
        telling(f"both beep, for {beeps.SECONDS:.0f} s …")
        caller.speak()
        officer.speak()
        await asyncio.sleep(beeps.SECONDS + TAIL)
        caller.hang_up()
        async with asyncio.timeout(PATIENCE):
            await officer.ended.wait()
    except TimeoutError as error:
        raise SimulationError(
            "the call did not come to its end in time.",
            hint="See the call's lines in the journal.",
        ) from error
    finally:
        await caller.close()
        await officer.close()
    before = (h for h in caller.heard if h.arrival_ns < officer.connected_ns)
    return Placed(
        call_id=call_id,
        notice_seconds=seconds,
        notice_heard=_notices(site) in b"".join(h.packet.payload for h in before),
        said_utc_ns=(one.said(), two.said()),
        delays=(one.delays(officer.heard), two.delays(caller.heard)),
    )


async def _connected(caller: Phone, officer: Phone, seconds: float) -> None:
    """Wait until both talk. Raises SimulationError, TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (caller.connected.is_set() and officer.connected.is_set()):
            if caller.ended.is_set():
                raise SimulationError(
                    f"the daemon refused the call with {caller.status}.",
                    hint="See the call's lines in the journal, and `status`: is the"
                    " daemon draining, or has it not read the route for tests yet?",
                )
            await asyncio.sleep(0.02)


def _notices(site: Site) -> bytes:
    """What the caller is to hear: each notice in whole frames."""
    alaw = site.codec is PCMA
    whole = b""
    for sound in site.notices:
        data = sound.pcma if alaw else sound.pcmu
        silence = ALAW_SILENCE if alaw else ULAW_SILENCE
        whole += data.ljust(-(-len(data) // FRAME) * FRAME, bytes([silence]))
    return whole
