"""The verbs of `recording-agent storage`."""

from typing import Final

import cyclopts

app: Final = cyclopts.App(
    name="storage",
    help="Make and judge the buckets or directories that recordings go to.",
)
_LAZY: Final = {
    "init": "Make buckets or directories as they must be; what is there stays.",
    "check": "Judge them, and what the credentials in use may do there.",
    "policies": "Print who may do what, as policies for the server.",
}
for _verb, _help in _LAZY.items():
    app.command(f"agent.cli.storage.{_verb}:command", name=_verb, help=_help)
