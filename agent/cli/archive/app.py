"""The verbs of `recording-agent archive`."""

from typing import Final

import cyclopts

app: Final = cyclopts.App(
    name="archive",
    help="Find, hear and copy recordings, and what the people in them may ask for.",
)
_LAZY: Final = {
    "init": "Write a configuration to fill in.",
    "find": "Find recordings: by number, officer or days.",
    "show": "Show a recording's tags, quality, state and annotations.",
    "play": "Play a recording through a pipe; no file is made.",
    "export": "Copy recordings for a case, with a sheet of digests.",
    "annotate": "Add a statement to a recording; its audio stays as it is.",
    "restrict": "Let nobody but case handlers open a recording.",
    "unrestrict": "Lift a restriction.",
    "hold": "Keep a recording beyond its year.",
    "release": "End a hold.",
    "erase": "Have a request to erase carried out that two persons signed.",
    "rewrap": "Make envelopes for today's keys, by a request that two persons signed.",
    "subject": "Answer a person's request: everything that is found for a number.",
    "audit": "Verify the log, or tell when and why a recording was used.",
    "verify": "Hold what is stored against what the hosts have signed.",
    "reconcile": "Hold the object store's own access log against the gate's.",
    "index-keys": "Print the index keys for a host, where there is no gate.",
    "facts": "Report what law asks to be told, from the live configuration.",
    "drill": "Try whether each key that opens everything still does.",
}
for _verb, _help in _LAZY.items():
    app.command(
        f"agent.cli.archive.{_verb.replace('-', '_')}:command", name=_verb, help=_help
    )
