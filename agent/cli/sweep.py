"""`recording-agent sweep`: erase what is a year old, where there is no gate.

Runs at central storage, never on a telephony host; a timer calls it every hour.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.archive.audit_log import AuditLog
from agent.archive.states import States
from agent.archive.store import Archive
from agent.cli.terminal import console
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.logs import configure
from agent.common.outgoing import Outgoing
from agent.formats.layout import Folder
from agent.formats.sshsig import SigningKey
from agent.retention.replay import replay as replay_tombstones
from agent.retention.report import SweepReport
from agent.retention.site import Place, Site
from agent.retention.sweep import Sweep
from agent.retention.sweep_file import SweepConfig, read_sweep_file
from agent.signalling.secrets import Secrets
from agent.upload.targets import Target, open_target

WARNING: Final = (
    "Without a gate the key envelopes are deleted, and that is the erasure: a copy of"
    " an envelope that somebody kept still opens for whom it was made, and nobody logs"
    " who opened what."
)


class GateThereError(AgentError):
    """A gate keeps this storage."""

    hint = "Run `recording-agent-gate sweep`: only the gate can destroy the keys."


class IncompleteError(AgentError):
    """Something is left to be erased."""

    permanent = False
    hint = "The next run tries again; the report says what, where and why."


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    dry_run: bool = False,
    replay: bool = False,
) -> None:
    """Mark, wait, and erase the recordings whose time is over; the report is JSON.

    Args:
        config: The sweep's own file; config/retention.toml shows all it may hold.
        dry_run: Change nothing: show what would be erased or kept, and why.
        replay: After a restored backup: erase again what tombstones name.
    """
    configure("warning", sys.stderr)
    console(stderr=True).print(WARNING, style="yellow")
    read = read_sweep_file(config)
    asyncio.run(_run(read, config.resolve().parent, dry_run=dry_run, replay=replay))


async def _run(config: SweepConfig, base: Path, *, dry_run: bool, replay: bool) -> None:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    secrets = Secrets(base, Path(directory) if directory else None)
    targets = [
        open_target(one, base, secrets, Outgoing(config.region), index=index)
        for index, one in enumerate(config.storage)
    ]
    async for _ in targets[0].state.list(Folder.GATE):
        raise GateThereError("a gate has published day keys here.")
    log = await _log(config, targets[0], secrets, dry_run=dry_run)
    archives = [Archive.of(target) for target in targets]
    places = Place.of(archives, [target.name for target in targets])
    states = States(targets[0].state)
    site = Site(tuple(places), states, log, None, who="sweep")
    policy = config.retention.policy()
    sweep = Sweep(site, policy, wait=config.retention.wait)
    try:
        if dry_run:
            due = False
            async for day in sweep.plan(utc_ns()):
                due = True
                _print(day.to_words(policy))
            if not due:
                console(stderr=True).print("no day's time is over")
            return
        if replay:
            replayed = await replay_tombstones(site)
            _print(replayed.to_words())
            left = replayed.left
        else:
            report: SweepReport = await sweep.run(utc_ns())
            _print(report.to_words())
            left = report.left
    finally:
        if log is not None:
            await log.close()
    if left:
        raise IncompleteError(f"{len(left)} erasures are not complete.")


async def _log(
    config: SweepConfig, home: Target, secrets: Secrets, *, dry_run: bool
) -> AuditLog | None:
    if not config.audit.key or dry_run:
        return None
    key = SigningKey.from_private_file(secrets.read(config.audit.key).encode())
    log = AuditLog(home.locked, config.audit.writer, key)
    await log.start()
    return log


def _print(words: dict[str, object]) -> None:
    print(json.dumps(words))
