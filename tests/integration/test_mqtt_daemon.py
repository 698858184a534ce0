"""A daemon, a call and a broker: what is told of the call, and what is commanded."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest

from agent.events.describing import described
from agent.formats.roster import Role
from agent.service.topics_document import ANSWER, files
from tests.formats.rosters import ROOT, person, roster, signed, signing_key
from tests.lab.daemon import CALLER, ROOT as CHECKOUT, SERVICE, Daemon
from tests.lab.mosquitto import ACL, Mosquitto
from tests.lab.parties import parties, sine
from tests.lab.subscriber import Subscriber, first_of_each

pytestmark = [pytest.mark.integration, pytest.mark.beside]

HOST = "test"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker", acl=ACL.replace("host-a", HOST))
    await made.start()
    yield made
    made.stop()


def commanded(folder: Path, broker: Mosquitto) -> Daemon:
    """A daemon with a roster, that takes every command of its broker."""
    daemon = Daemon(folder, notice=sine(800, 0.2), route="max_pause = 60.0")
    keys = {name: str(one.recipient()) for name, one in daemon.identities.items()}
    people = (
        person("quinn", Role.QUALITY, recipient=keys["quality"], approver=True),
        person("dan", Role.DPO, recipient="", approver=True),
        person("ada", Role.ADMIN, recipient=""),
        *(
            person(
                f"officer-{number}",
                Role.OFFICER,
                name=f"Officer {word}",
                numbers=(number,),
                recipient=keys[f"officer-{number}"],
            )
            for number, word in (("201", "One"), ("202", "Two"))
        ),
    )
    file = folder / "roster.signed"
    file.write_bytes(signed(roster(people=people, recovery=(keys["recovery"],))))
    taken = ["pause", "resume", "status", "stop-recording", "drain"]
    lines = [
        "[roster]",
        f'path = "{file}"',
        f'root = "{ROOT.public}"',
        *section(broker, "agent"),
        f"commands = {json.dumps(taken)}",
    ]
    with daemon.config.open("a") as config:
        config.write("\n".join(lines) + "\n")
    return daemon


def section(broker: Mosquitto, user: str) -> list[str]:
    given = broker.section()
    given |= {"user": user, "password": str(broker.folder / f"{user}.password")}
    return ["[mqtt]", *(f'{name} = "{value}"' for name, value in given.items())]


class Operator:
    """Gives commands as people do, with a configuration of their own."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self._folder = folder
        self._config = folder / "operator.toml"
        self._config.write_text("\n".join(section(broker, "operator")) + "\n")

    async def command(self, who: str, *words: str) -> subprocess.CompletedProcess[str]:
        key = self._folder / f"{who}.key"
        key.write_bytes(signing_key(who).to_private_file())
        key.chmod(0o600)
        given = ["-c", self._config, "--host", HOST, "--key", key, "--json"]
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "agent", "command", *words, *map(str, given)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def validate(reader: Subscriber) -> set[str]:
    """Hold every message to its schema; the names of those there were."""
    made = files()
    names = {one.topic.split("/")[0]: one.name for one in [*described(), ANSWER]}
    found = set()
    for topic, payload, _ in reader.messages:
        level = topic.split("/")[2]
        if level == "commands":
            continue
        name = payload["kind"] if level == "calls" else names[level]
        found.add(name)
        schema = json.loads(made[f"schemas/{name}.json"])
        jsonschema.Draft202012Validator(schema).validate(payload)
    return found


async def test_a_call_is_told_and_commanded(tmp_path: Path, broker: Mosquitto) -> None:
    daemon = commanded(tmp_path / "site", broker)
    operator = Operator(tmp_path, broker)

    def kinds() -> list[str]:
        return [event["kind"] for event in first_of_each(reader.events())]

    async with Subscriber(broker.plain) as reader:
        daemon.start()
        try:
            async with parties(daemon) as call:
                await call.connect()
                await reader.until(lambda: "opened" in kinds())
                call_id = reader.events()[0]["call_id"]

                status, refused = await asyncio.gather(
                    operator.command("ada", "status"),
                    operator.command("quinn", "resume", "0" * 36),
                )
                assert status.returncode == 0, status.stderr
                shown = [json.loads(line) for line in status.stdout.splitlines()]
                assert shown[0]["call_id"] == call_id

                paused = await operator.command(
                    "quinn", "pause", call_id, "--reason", "card", "--seconds", "30"
                )
                assert paused.returncode == 0, paused.stderr
                assert refused.returncode == 1
                assert "No call that is up has this id" in refused.stderr
                # Storage goes, so that there is an alarm, and comes again.
                storage = daemon.root / "storage"
                storage.rename(daemon.root / "gone")
                stopped = await operator.command("quinn", "stop-recording", call_id)
                assert stopped.returncode == 0, stopped.stderr
                assert json.loads(stopped.stdout)["recording"] == "off"
                await call.hang_up()
                await reader.until(lambda: alarms(reader), 30)
                (daemon.root / "gone").rename(storage)
            await reader.until(lambda: "purged" in kinds(), 30)
            await reader.until(lambda: not any(alarms(reader).values()), 30)
        finally:
            daemon.stop()
        await reader.until(lambda: (reader.last("status") or {})["state"] == "stopped")
    check(reader, daemon, kinds())


def alarms(reader: Subscriber) -> dict[str, bool]:
    """Which alarms there were, and whether they are on."""
    return {
        topic.rpartition("/")[2]: payload["active"]
        for topic, payload, _ in reader.messages
        if "/alarms/" in topic
    }


def check(reader: Subscriber, daemon: Daemon, kinds: list[str]) -> None:
    told = {event["kind"]: event for event in reader.events()}
    events = first_of_each(reader.events())
    assert kinds[:4] == ["offered", "notice-played", "answered", "opened"]
    assert set(kinds) >= {"paused", "stopped", "closed", "ended", "sealed", "stored"}
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert told["paused"]["by"] == told["stopped"]["by"] == "mqtt:p-quinn"
    [row] = daemon.rows()
    assert (told["ended"]["outcome"], row.outcome) == ("partial", "partial")
    assert row.answered_utc_ns is not None
    [recording] = daemon.recordings()
    assert recording.manifest.outcome == "partial"
    assert validate(reader) >= {*kinds, "status", "answer", "alarm"}
    said = json.dumps(reader.messages)
    for number in (CALLER, CALLER[1:], SERVICE, SERVICE[1:], "Officer One"):
        assert number not in said
    assert told["offered"]["caller"] == "+35840***67"
    log = daemon.log_path.read_text()
    assert "p-quinn" in log
    assert any("command_done" in line for line in log.splitlines())
