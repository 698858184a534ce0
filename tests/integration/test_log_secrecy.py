"""No number, name, password or key is in the log of a whole run, in any form."""

import asyncio
import base64
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from agent.common.log_lines import Told, journal_fields
from agent.common.system_journal import encode
from agent.signalling.phones import PhoneLine, format_phones
from agent.signalling.sip.digest import Algorithm, hash_password
from tests.lab.ceph import Ceph, Keys
from tests.lab.daemon import CALLER, SERVICE, Daemon
from tests.lab.mosquitto import PASSWORDS, Mosquitto
from tests.lab.parties import closed_row, parties
from tests.lab.s3 import s3_client
from tests.lab.subscriber import Subscriber, first_of_each
from tests.lab.told import KINDS

pytestmark = [pytest.mark.integration, pytest.mark.beside]

UNKNOWN = "0299123987"
"Called, and nobody's."
NAME = "Aino Virtanen"
"A caller's, as her phone shows it."
PASSWORD = "word-201-of-officer"  # noqa: S105 - of this test
GUESSED = "f3c1a9d2e8b7465091ab34cd56ef7812"
"A digest's response that somebody has guessed."


def forms(secret: bytes) -> Iterator[bytes]:
    """How a secret may look where somebody has packed it into something else."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield "".join(f"%{byte:02X}" for byte in secret).encode()
    yield "".join(f"%{byte:02x}" for byte in secret).encode()
    yield quote(secret, safe="").encode()
    yield repr(secret)[2:-1].encode()
    for at in range(3):
        # Of base64 the characters that do not depend on what stands beside it.
        text = base64.b64encode(bytes(at) + secret)
        inner = text[(0, 2, 3)[at] : len(text) - 4].rstrip(b"=")
        if len(inner) >= 4:  # two of them are in every log
            yield inner
            yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def found(secrets: dict[str, bytes], text: bytes) -> set[str]:
    """Which of them are in a text, in whatever form."""
    return {
        name
        for name, secret in secrets.items()
        if any(form in text for form in forms(secret))
    }


@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_the_search_finds_a_secret_in_every_form(before: bytes) -> None:
    secret = bytes(range(200, 232))
    packed = [
        secret,
        secret.hex().encode(),
        base64.b64encode(before + secret + b"tail"),
        base64.urlsafe_b64encode(before + secret + b"tail"),
        quote(secret, safe="").encode(),
    ]
    for text in packed:
        assert found({"it": secret}, b"reason=" + text + b";") == {"it"}
    assert found({"it": secret}, bytes(400)) == set()


BUCKETS = ("secrecy-locked", "secrecy-state")


def store_in(daemon: Daemon, ceph: Ceph, keys: Keys) -> None:
    """Have it store in an object store, by the keys of a user."""
    s3 = s3_client(ceph.endpoint, keys)
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
    keys.write(daemon.root / "s3.keys")
    text = daemon.config.read_text()
    daemon.config.write_text(
        text[: text.index("[[storage]]")]
        + f"""[[storage]]
locked_url = "s3://{BUCKETS[0]}"
url = "s3://{BUCKETS[1]}/host"
endpoint = "{ceph.tls_endpoint}"
region = "FI"
ca = "{ceph.ca}"
credentials = "s3.keys"
"""
    )


def tell(daemon: Daemon, broker: Mosquitto) -> None:
    """Have it tell a broker of its calls, with all that an event may hold."""
    with daemon.config.open("a") as file:
        file.write('[mqtt]\nnumbers = "full"\ncommands = []\n')
        for name, value in broker.section().items():
            file.write(f'{name} = "{value}"\n')


@asynccontextmanager
async def broker_at(folder: Path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(folder)
    await broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def secrets_of(daemon: Daemon, numbers: tuple[str, ...]) -> dict[str, bytes]:
    secrets = {f"number {number}": number.encode() for number in numbers}
    # As others write the same numbers.
    secrets |= {
        f"+358 {number}": f"358{number.removeprefix('0')}".encode()
        for number in numbers
    }
    secrets["name"] = NAME.encode()
    secrets["first name"] = NAME.split(maxsplit=1)[0].encode()
    secrets["officer"] = b"Officer One"
    secrets["password"] = PASSWORD.encode()
    secrets["response"] = GUESSED.encode()
    phones = (daemon.root / "phones.csv").read_text()
    for number, digest in enumerate(re.findall(r"[0-9a-f]{32,}", phones)):
        secrets[f"digest {number}"] = digest.encode()
    secrets["ledger key"] = (daemon.spool / "ledger.key").read_bytes()
    for name in daemon.identities:
        text = (daemon.root / f"{name}.txt").read_text()
        [key] = re.findall(r"AGE-SECRET-KEY\S*", text)
        secrets[f"identity {name}"] = key.encode()
    return secrets


def invite(port: int, daemon: Daemon, number: str, more: str = "") -> bytes:
    """An INVITE of somebody with a name, from a port of this host."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.bind(("127.0.0.1", port))
        sender.settimeout(10)
        sender.sendto(
            (
                f"INVITE sip:{number}@127.0.0.1:{daemon.sip} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{os.urandom(8).hex()}"
                "\r\nMax-Forwards: 70\r\n"
                f'From: "{NAME}" <sip:{CALLER}@127.0.0.1>;tag=1\r\n'
                f"To: <sip:{number}@127.0.0.1>\r\n"
                f"Call-ID: {os.urandom(8).hex()}\r\nCSeq: 1 INVITE\r\n"
                f"Contact: <sip:{CALLER}@127.0.0.1:{port}>\r\n{more}"
                "Content-Length: 0\r\n\r\n"
            ).encode(),
            ("127.0.0.1", daemon.sip),
        )
        while (answer := sender.recv(65536)).startswith(b"SIP/2.0 1"):
            pass
        return answer


async def run(daemon: Daemon, broker: Mosquitto, ceph: Ceph, keys: Keys) -> None:
    """A recorded call and failing ones, while everything fails that may."""
    good = daemon.config.read_text()
    # A call that is recorded, and whose worker dies in the midst of it; broker and
    # storage let the agent in no more.
    async with parties(daemon) as call:
        await call.talk(0.5)
        [worker] = daemon.media_workers()
        os.kill(worker, signal.SIGKILL)
        await daemon.logged("media_worker_ready")
        await asyncio.to_thread(ceph.take_keys, keys)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(0.5)
        await call.hang_up()
        await closed_row(daemon)
    # Calls that fail: of a peer to nobody, and with a wrong password.
    assert b" 404 " in await asyncio.to_thread(invite, daemon.caller, daemon, UNKNOWN)
    officer = daemon.officers[0]
    challenge = await asyncio.to_thread(invite, officer, daemon, UNKNOWN)
    assert b" 401 " in challenge
    [nonce] = re.findall(rb'nonce="([^"]+)"', challenge)
    [realm] = re.findall(rb'realm="([^"]+)"', challenge)
    wrong = (
        f'Authorization: Digest username="201", realm="{realm.decode()}",'
        f' nonce="{nonce.decode()}", uri="sip:{UNKNOWN}@127.0.0.1:{daemon.sip}",'
        f' response="{GUESSED}", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"\r\n'
    )
    refused = await asyncio.to_thread(invite, officer, daemon, UNKNOWN, wrong)
    assert refused.startswith(b"SIP/2.0 4")
    await daemon.logged("password_refused")
    # A configuration that is wrong, by a number; then none that is.
    daemon.config.write_text(
        good.replace(f'number = "{SERVICE}"', f'nmber = "{CALLER}"')
    )
    daemon.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    await daemon.logged("configuration_not_reloaded")
    daemon.config.write_text(good)
    daemon.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    await daemon.logged("configuration_reloaded")
    await daemon.logged("broker_away")
    await daemon.logged("storing_failed")
    await asyncio.to_thread(ceph.give_keys, keys)
    await broker.start()
    await daemon.logged("stored")
    await daemon.logged("broker_back", count=2)


async def test_a_whole_run_leaves_nothing_personal_in_the_log(
    daemon_at: Callable[..., Daemon], ceph: Ceph, tmp_path: Path
) -> None:
    daemon = daemon_at(phones='phones_file = "phones.csv"')
    digest = hash_password(Algorithm.MD5, "201", "agency", PASSWORD)
    phones = daemon.root / "phones.csv"
    phones.write_text(
        format_phones([PhoneLine("201", "agency", Algorithm.MD5, digest)])
    )
    phones.chmod(0o600)
    keys = ceph.user("secrecy")
    store_in(daemon, ceph, keys)
    with daemon.config.open("a") as file:
        file.write('[log]\nlevel = "debug"\n')
    async with broker_at(tmp_path / "broker") as broker:
        tell(daemon, broker)
        async with Subscriber(broker.plain) as reader:
            await asyncio.to_thread(daemon.start)
            await run(daemon, broker, ceph, keys)
            await reader.until(
                lambda: {event["kind"] for event in reader.events()} >= set(KINDS)
            )
            await asyncio.to_thread(daemon.stop)
            told = first_of_each(reader.events())
    # What the broker was told has the caller's number; the log is not to.
    whole = f"+358{CALLER.removeprefix('0')}"
    assert whole in {event.get("caller") for event in told}
    secrets = secrets_of(daemon, (CALLER, SERVICE, UNKNOWN))
    secrets["broker's password"] = PASSWORDS["agent"].encode()
    secrets["storage's key"] = keys.secret.encode()
    secrets["storage's access key"] = keys.access.encode()
    assert len(secrets) >= 17
    written = daemon.log_path.read_bytes()
    assert found(secrets, written) == set()
    lines = daemon.log()
    assert {"call_begun", "media_worker_lost", "no_route"} <= {
        line["event"] for line in lines
    }
    # The journal has the same values, and a sentence made of them.
    for line in lines:
        event, level = line.pop("event"), line.pop("level")
        fields = journal_fields(Told(event, level, line, 0), "recording-agent")
        assert found(secrets, encode(fields)) == set()
