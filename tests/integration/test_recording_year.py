"""A recording's year, end to end: real calls, a real gate, people at their own desks.

On a directory and on a real object store. Nothing is called that its users do not call,
but for the clock: the days until a key may be destroyed pass by argument.
"""

import base64
import json
import math
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest

from agent.common.clock import utc_ns
from agent.formats.age import AgeError, Identity, decrypt, open_identity_file
from agent.formats.layout import day_of
from agent.gate.config import load
from agent.gate.opening import opened
from agent.gate.targets import open_targets
from agent.signalling.secrets import Secrets
from tests.integration.conftest import tone
from tests.lab.agency import PEOPLE, Agency, buckets, directories
from tests.lab.ceph import Ceph, Keys
from tests.lab.daemon import CALLER, Daemon
from tests.lab.s3 import s3_client
from tests.lab.scenes import CUSTOMER_HZ, OFFICER_HZ, our_phone, talk

pytestmark = [pytest.mark.integration, pytest.mark.beside]

DAY_NS = 24 * 3600 * 1_000_000_000
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass
class Year:
    """The agency, and what stands in its storage."""

    agency: Agency
    copy: Callable[[Path], None]
    "Copies everything that storage holds, all versions, as a thief or a backup would."


@pytest.fixture(params=["directory", "object store"])
def year(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Year]:
    folder = tmp_path / "storage"
    if request.param == "directory":
        storage = directories(folder)
        copy = partial(shutil.copytree, folder)
    else:
        ceph: Ceph = request.getfixturevalue("ceph")
        storage = buckets(ceph, "year", folder)
        copy = partial(
            copy_versions, ceph, folder / "owner", ["year-locked", "year-state"]
        )
    agency = Agency(tmp_path / "agency", [storage])
    yield Year(agency, copy)
    agency.stop_gate()


def copy_versions(ceph: Ceph, keys: Path, names: list[str], to: Path) -> None:
    """Every version of every object, each a file of its own."""
    found = re.findall(r"= (\S+)", keys.read_text())
    client = s3_client(ceph.endpoint, Keys("owner", *found[:2]))
    for bucket in names:
        for page in client.get_paginator("list_object_versions").paginate(
            Bucket=bucket
        ):
            for one in page.get("Versions", []):
                got = client.get_object(
                    Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"]
                )
                path = to / bucket / one["VersionId"] / one["Key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(got["Body"].read())


async def record_two_calls(daemon: Daemon) -> list[str]:
    """Officer 201 is called by the customer, and 202 calls them; the two ids."""
    async with our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as customer:
        async with our_phone(daemon.officers[0], "201", OFFICER_HZ) as officer:
            await customer.call(daemon.number())
            await talk(daemon, customer, officer)
            customer.hang_up()
            await daemon.logged("stored")
        async with our_phone(daemon.officers[1], "202", OFFICER_HZ) as officer:
            await officer.call(daemon.number(CALLER))
            await talk(daemon, customer, officer, segment=2)
            officer.hang_up()
            await daemon.logged("stored", count=2)
    return [line["recording_id"] for line in daemon.log("stored")]


async def test_a_year(year: Year, tmp_path: Path) -> None:
    agency = year.agency
    daemon = agency.daemon(tone(600, 0.4)).start()
    try:
        stored = await record_two_calls(daemon)
    finally:
        daemon.stop()
    of_otso, of_meri = stored
    agency.start_gate()
    desk = Desk(agency)

    # Found by number by who may, an officer's own alone by the officer.
    assert desk.find("quinn") == {of_otso, of_meri}
    assert desk.find("otso") == {of_otso}
    assert desk.find("meri") == {of_meri}

    # Opened: one's own; quality staff all.
    desk.opens("otso", of_otso)
    desk.opens("meri", of_meri)
    for one in stored:
        desk.opens("quinn", one)
    desk.refused("otso", of_meri, "")
    desk.refused("meri", of_otso, "")
    desk.refused("dan", of_otso, "")

    # The raw objects do an officer no good, not even with another's released envelope.
    before = tmp_path / "before"
    year.copy(before)
    raw = next(before.rglob(f"{of_otso}.key.age")).read_bytes()
    for name in PEOPLE:
        assert not opens_with(raw, agency.identity(name))
    inner = desk.release("quinn", of_otso)
    assert opens_with(inner, agency.identity("otso"))
    assert opens_with(inner, agency.identity("quinn"))
    assert not opens_with(inner, agency.identity("meri"))

    # The same answer whether it is another's or nobody's.
    answers = {desk.asked("meri", one) for one in (of_otso, UNKNOWN)}
    assert len(answers) == 1

    # Restricted: case handlers alone; lifted: as before.
    desk.run("cara", "restrict", of_otso)
    desk.refused("quinn", of_otso, "restricted")
    desk.refused("otso", of_otso, "restricted")
    desk.opens("cara", of_otso, "subject-request", "--reference", "A-1")
    desk.run("cara", "unrestrict", of_otso)
    desk.opens("otso", of_otso)

    # A leaver: nothing opens for her from the next roster on, nor in what is stored.
    agency.left["meri"] = (day_of(utc_ns()) - timedelta(1)).isoformat()
    agency.sign_roster()
    agency.reload_gate()
    desk.refused("meri", of_meri, "")
    assert opens_with(desk.release("quinn", of_meri), agency.identity("meri"))
    asked = agency.request(
        "rewrap", "--reason", "leaver", "--loses", "p-meri", "--id", of_meri
    )
    desk.run("quinn", "rewrap", str(asked))
    assert not opens_with(desk.release("quinn", of_meri), agency.identity("meri"))
    desk.opens("quinn", of_meri)

    # Held by one, so that nobody erases it.
    held = desk.run(
        "cara", "hold", of_otso, "--kind", "legal-claim", "--review", "2099-01-01"
    ).strip()
    asked = agency.request("erase", "--reason", "unlawful", "--id", of_otso)
    assert agency.archive("cara", "erase", str(asked)).returncode != 0
    desk.run("cara", "release", of_otso, held)

    # A person's whole request: both recordings, and nobody's id who used them.
    out = tmp_path / "subject"
    arguments = ("--reference", "A-2", "--out", str(out))
    desk.run("cara", "subject", *arguments, typed=f"{CALLER}\n")
    assert {path.stem[:36] for path in out.rglob("*.wav")} == set(stored)
    told = b"".join(path.read_bytes() for path in out.rglob("*.*"))
    assert not any(f"p-{name}".encode() in told for name in PEOPLE if name != "cara")

    # Erased by two persons; complete when the keys may go that hosts still use.
    keyring_before = tmp_path / "keyring-before"
    shutil.copytree(agency.folder / "keyring", keyring_before)
    assert "pending until" in desk.run("cara", "erase", str(asked))
    desk.refused("quinn", of_otso, "erased")
    desk.run("dan", "audit")
    agency.stop_gate()
    settings = load(agency.gate_config)
    secrets = Secrets(agency.folder, None)
    targets = open_targets(settings, agency.folder, secrets)
    async with opened(settings, agency.folder, secrets, targets) as gate:
        erasure = gate.schedule._works.erasure
        erasure._skew = math.inf  # the storage's clock shows today
        outcome = await erasure.run(utc_ns() + 9 * DAY_NS)
    assert outcome.erased == [of_otso]

    # Nothing opens it any more: everybody's keys, the keyring as it is, copies of all
    # that was ever stored. Only who copied the keyring before could: it is said so.
    after = tmp_path / "after"
    year.copy(after)
    files = [agency.identity(name) for name in PEOPLE]
    files.append(agency.folder / "recovery.txt")
    people = [one for path in files for one in open_identity_file(path.read_bytes())]
    assert not list(after.rglob(f"{of_otso}.key.age"))
    [sealed] = before.rglob(f"{of_otso}.key.age")
    envelope = sealed.read_bytes()
    gate_keys = agency.folder / "gate-identity.txt"
    now = secrets_of(agency.folder / "keyring", gate_keys)
    assert now
    for path in before.rglob(f"{of_otso}.*.age"):
        assert not opens(path.read_bytes(), [*people, *now])
    assert opens(envelope, secrets_of(keyring_before, gate_keys))

    # The other is as it was, and the log is whole.
    agency.start_gate()
    desk.opens("quinn", of_meri)
    desk.run("dan", "audit")


class Desk:
    """What people do at theirs."""

    def __init__(self, agency: Agency) -> None:
        self._agency = agency
        self._copies = 0

    def run(self, name: str, *arguments: str, typed: str = "") -> str:
        ran = self._agency.archive(name, *arguments, typed=typed)
        assert ran.returncode == 0, f"{arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def find(self, name: str) -> set[str]:
        told = self.run(
            name, "find", "--purpose", "quality", "--json", typed=f"{CALLER}\n"
        )
        return {json.loads(line)["id"] for line in told.splitlines()}

    def _export(
        self, name: str, recording_id: str, purpose: str, *more: str
    ) -> tuple["subprocess.CompletedProcess[str]", Path]:
        self._copies += 1
        out = self._agency.home(name) / f"copy-{self._copies}"
        ran = self._agency.archive(
            name, "export", recording_id, "--purpose", purpose, "--out", str(out), *more
        )
        return ran, out

    def opens(
        self, name: str, recording_id: str, purpose: str = "quality", *more: str
    ) -> Path:
        ran, out = self._export(name, recording_id, purpose, *more)
        assert ran.returncode == 0, ran.stderr
        [audio] = out.rglob(f"{recording_id}*.wav")
        assert audio.stat().st_size > 8000
        return out

    def refused(self, name: str, recording_id: str, word: str) -> None:
        ran, out = self._export(name, recording_id, "quality")
        assert ran.returncode != 0
        assert word in ran.stderr
        assert not list(out.rglob("*"))

    def _client(self, name: str) -> httpx.Client:
        mine = self._agency.certificates[name]
        context = ssl.create_default_context(cafile=str(self._agency.authority.pem))
        context.load_cert_chain(mine.certificate, mine.key)
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self._agency.port}", verify=context
        )

    def _release(self, name: str, recording_id: str) -> httpx.Response:
        with self._client(name) as client:
            asked = {"id": recording_id, "purpose": "quality"}
            return client.post("/releases", json=asked)

    def release(self, name: str, recording_id: str) -> bytes:
        answer = self._release(name, recording_id)
        assert answer.status_code == 200, answer.text
        return base64.b64decode(answer.json()["envelope"])

    def asked(self, name: str, recording_id: str) -> tuple[int, str]:
        answer = self._release(name, recording_id)
        return answer.status_code, answer.text


def secrets_of(keyring: Path, gate: Path) -> list[Identity]:
    """Every secret key that a keyring holds, whatever it is for."""
    own = open_identity_file(gate.read_bytes())
    texts = [decrypt(path.read_bytes(), own) for path in keyring.rglob("*.age")]
    return [
        identity
        for text in texts
        if b"AGE-SECRET-KEY" in text
        for identity in open_identity_file(text)
    ]


def opens_with(data: bytes, identity: Path) -> bool:
    return opens(data, open_identity_file(identity.read_bytes()))


def opens(data: bytes, identities: list[Identity]) -> bool:
    try:
        decrypt(data, identities)
    except AgeError:
        return False
    return True
