"""`recording-agent archive rewrap`: envelopes for today's keys."""

import sys
from pathlib import Path

from agent.access.desk import Desk, DeskError
from agent.access.requests import verify_request
from agent.access.rewrapping import Progress, Rewrapped, rewrap
from agent.cli.archive.common import Config, Identities, at_desk
from agent.cli.archive.erase import read_request
from agent.cli.archive.live import progress
from agent.cli.terminal import console
from agent.common.clock import utc_now


def command(
    request: Path,
    /,
    *,
    state: Path | None = None,
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Make a request's envelopes anew, for those whom the roster names today.

    For a new member, a leaver, a lost key, a rotation. Two approvers have signed the
    request. It may be stopped and begun again. Exit code 1 if a recording failed.

    Args:
        request: The signed request, made by `recording-agent request new`.
        state: File of the ids that are done; beside the request if absent.
        config: See above.
        identity: Files with a key that opens the recordings now.
    """
    document = read_request(request)
    done = request.with_suffix(".done") if state is None else state

    async def make(desk: Desk) -> Rewrapped:
        if desk.roster is None:
            raise DeskError("without a roster nobody approves a request.")
        approved = verify_request(document, desk.roster, utc_now())
        if desk.gate is not None:
            await desk.gate.submit(document)
        with progress("envelopes") as step:
            kept = Progress(done, approved.request.id)
            return await rewrap(desk, approved, kept, on_progress=step)

    report = at_desk(config, make, identities=identity)
    console().print(
        f"{report.done} envelopes were made anew, {report.before} were before"
    )
    for recording_id, reason in report.failed.items():
        console(stderr=True).print(f"{recording_id}: {reason}", style="red")
    if report.failed:
        sys.exit(1)
