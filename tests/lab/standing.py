"""Two calls that stand while something happens: one over TLS, one over UDP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from agent.cli.phone import Phone
from agent.formats.container import read_wav
from agent.model.media import Address
from agent.signalling.config import TlsConfig
from agent.signalling.tls import TlsContexts
from tests.lab.certificates import Certificate
from tests.lab.daemon import CALLER, SERVICE, Daemon, Recording
from tests.lab.parties import audio_of, noise, until
from tests.lab.secure import Site
from tests.lab.secure_phone import SecurePhone
from tests.ports import free_ports

SECONDS = 60.0
"Longer than any test: what everybody says is never at its end."
BEGUN = 160
"A first frame may have begun a sample before the recording does, which cuts it."
_UNHEARD = 50
"Frames that may still be under way when it ends."


def contexts(own: Certificate) -> TlsContexts:
    """What a phone with that certificate shows and believes."""
    files = TlsConfig(
        certificate=str(own.certificate), key=str(own.key), ca=str(own.ca)
    )
    return TlsContexts(files, Path("/"))


def trunk_phone(site: Site, user: str, seed: int) -> SecurePhone:
    """A phone at the trunk that calls over TLS, with SRTP."""
    return SecurePhone(
        Address("127.0.0.1", free_ports(1)[0]),
        free_ports(1)[0],
        user,
        speech=_speech(seed),
        tls=contexts(site.trunk),
    )


def udp_phone(port: int, user: str, seed: int, *, answers: bool) -> Phone:
    """A phone that speaks a noise of its own."""
    phone = Phone(Address("127.0.0.1", port), free_ports(1)[0], user)
    phone.speech = _speech(seed)
    phone.answer_after = 0.05 if answers else None
    return phone


def _speech(seed: int) -> dict[str, bytes | tuple[bytes, ...]]:
    return {"PCMA": noise(SECONDS, seed)}


@asynccontextmanager
async def started(*phones: Phone) -> AsyncIterator[None]:
    """Have phones up, and close them."""
    async with AsyncExitStack() as stack:
        for phone in phones:
            await phone.start()
            stack.push_async_callback(phone.close)
        yield
    # A transport lets its port go in the loop's next turn.
    await asyncio.sleep(0.01)


@asynccontextmanager
async def standing(site: Site, *, more: int = 0) -> AsyncIterator[None]:
    """The two calls, which the body must not harm.

    A customer calls officer 201 over TLS with SRTP; officer 202 calls a customer over
    UDP. All four speak from the first moment to the last. Afterwards every frame of
    each is where it belongs: at the other end, and in the recording, with no gap.
    `more`: recordings that the body makes.
    """
    daemon = site.daemon
    secure = trunk_phone(site, CALLER, 1)
    answering = udp_phone(daemon.officers[0], "201", 2, answers=True)
    calling = udp_phone(daemon.officers[1], "202", 3, answers=False)
    plain = udp_phone(daemon.caller, "customer", 4, answers=True)
    pairs = [(secure, answering), (plain, calling)]
    async with started(secure, answering, calling, plain):
        await secure.call(f"sip:{SERVICE}@127.0.0.1:{site.port};transport=tls")
        await until(answering.connected)
        await calling.call(daemon.number("0409876543"))
        await until(plain.connected)
        await daemon.logged("recording_begun", count=2)
        for pair in pairs:
            for phone in pair:
                phone.speak()
        await asyncio.sleep(0.3)
        before = secure.connections
        yield
        await asyncio.sleep(1.5)
        assert secure.connections == before
        assert not any(phone.ended.is_set() for pair in pairs for phone in pair)
        secure.hang_up()
        calling.hang_up()
        await until(answering.ended)
        await until(plain.ended)
        await daemon.logged("stored", count=more + 2)
    recordings = list(daemon.recordings())
    for customer, officer in pairs:
        assert said(customer) in audio_of(officer)
        assert said(officer) in audio_of(customer)
        assert len([r for r in recordings if is_whole(r, customer, officer)]) == 1
    assert secure.unauthentic == secure.plain == 0
    assert_well(daemon)


def said(phone: Phone) -> bytes:
    """What must have arrived of what a phone has said: A-law."""
    frames = (phone._spoken or 0) - _UNHEARD
    assert frames > 0
    speech = phone.speech["PCMA"]
    assert isinstance(speech, bytes)
    return speech[: frames * 160]


def is_whole(recording: Recording, customer: Phone, officer: Phone) -> bool:
    """Whether it is the recording of these two; if so, it lacks nothing."""
    samples = read_wav(recording.wav).samples
    sides = samples[0::2], samples[1::2]
    if said(customer)[BEGUN:1600] not in sides[0]:
        return False
    assert said(customer)[BEGUN:] in sides[0]
    assert said(officer)[BEGUN:] in sides[1]
    manifest = recording.manifest
    assert manifest.outcome == "recorded"
    assert [leg.lost for leg in manifest.legs] == [0, 0]
    assert "lost" not in {gap.reason for gap in manifest.gaps}
    return True


def assert_well(daemon: Daemon) -> None:
    """Nothing of its own has failed."""
    bad = {"task_failed", "call_failed", "call_stuck", "part_failed", "invite_failed"}
    assert [entry for entry in daemon.log() if entry["event"] in bad] == []
