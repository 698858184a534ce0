"""The command line: verbs and exit codes.

0: done; 1: it failed, and the message says whose fault it is; 2: wrong usage.
"""

import sys
from typing import Final

import cyclopts

from agent import __version__
from agent.cli.terminal import console
from agent.common.dumps import forbid_dumps
from agent.common.errors import AgentError

app: Final = cyclopts.App(
    name="recording-agent",
    version=__version__,
    help="Records a call centre's calls: announces, captures, seals and stores them.",
)
_LAZY: Final = {
    "run": "Run the daemon in the foreground.",
    "check-config": "Name every mistake of a configuration file.",
    "keygen": "Make a key pair in age's own file format.",
    "phone-password": "Set a phone's password in a phones file.",
    "roster": "Make, sign, check and show the list of who is who.",
    "request": "Ask for an act that two people must sign, and sign it.",
    "open": "Decrypt a recording to WAV and manifest.",
    "top": "Show calls, their quality, the queue and the peers, live on one screen.",
    "status": "Show the calls that are up, and whether they are recorded.",
    "pause": "Keep what is said out of a call's recording for a while.",
    "resume": "Record a paused call again.",
    "command": "Give a host a signed command over MQTT.",
    "drain": "Take no new calls, before maintenance.",
    "undrain": "Take calls again.",
    "calls": "Show what became of every call.",
    "reconcile": "Name calls of a PBX's records that have no recording, and why.",
    "notice": "Judge what callers are told, and make any audio fit for it.",
    "sweep": "Erase what is a year old, where there is no gate.",
    "completion": "Print what a shell needs to complete its command lines.",
    "demo": "Show the main job: one call, from the notice to the opened recording.",
}
for _verb, _help in _LAZY.items():
    # Imported when asked for: `keygen` needs no telephony.
    app.command(f"agent.cli.{_verb.replace('-', '_')}:command", name=_verb, help=_help)
app.command(
    "agent.cli.doctor.command:command",
    name="doctor",
    help="Look for what is wrong with a host, and say what to do.",
)
app.command(
    "agent.cli.simulate.command:command",
    name="simulate",
    help="Place a test call through the running agent, and judge its recording.",
)
app.command(
    "agent.cli.storage.app:app",
    name="storage",
    help="Make and judge the buckets or directories that recordings go to.",
)
app.command(
    "agent.cli.archive.app:app",
    name="archive",
    help="Find, hear and copy recordings; what the people in them may ask for.",
)


def main() -> None:
    """Entry point of the console script."""
    # Before there is a key, whatever the verb.
    forbid_dumps()
    try:
        app(sys.argv[1:])
    except AgentError as error:
        errors = console(stderr=True)
        errors.print(f"recording-agent: {error}", style="red")
        sys.exit(1)
