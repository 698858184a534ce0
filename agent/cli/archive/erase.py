"""`recording-agent archive erase`: before its time, by two persons' request."""

from pathlib import Path

from agent.access.desk import Desk, DeskError
from agent.access.gate_client import Executed
from agent.access.requests import MAX_DOCUMENT, RequestError
from agent.cli.archive.common import Config, at_desk
from agent.cli.terminal import console


def command(request: Path, /, *, config: Config = None) -> None:
    """Have a request to erase carried out, which two approvers have signed.

    `recording-agent request new` makes one. Only the gate erases; until every key that
    opens the recordings is gone, it says until when that is pending.

    Args:
        request: The signed request.
        config: See above.
    """
    document = read_request(request)

    async def carry_out(desk: Desk) -> Executed:
        if desk.gate is None:
            raise DeskError(
                "only a gate erases before the time.",
                hint="Without one the sweep deletes envelopes when their year is over.",
            )
        return await desk.gate.execute(await desk.gate.submit(document))

    executed = at_desk(config, carry_out)
    console().print(told(executed))


def told(executed: Executed) -> str:
    """What a person is told: never more than is done."""
    if executed.pending_until is not None:
        return (
            f"{executed.records} recordings are erased; the others are pending until"
            f" {executed.pending_until}, when keys that hosts may still use are gone"
        )
    if executed.result == "pending":
        return (
            f"{executed.records} recordings are erased, not all: something is held, or"
            " a storage did not answer. Ask again."
        )
    if not executed.records:
        return "nothing of the request was there to be erased"
    return f"{executed.records} recordings are erased"


def read_request(path: Path) -> bytes:
    """A signed request's bytes, bounded. Raises RequestError."""
    try:
        with path.open("rb") as file:
            document = file.read(MAX_DOCUMENT + 1)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from error
    if len(document) > MAX_DOCUMENT:
        raise RequestError("The request is longer than any that is believed.")
    return document
