"""The roster as a root holder edits it: TOML, with the reasons beside the keys."""

import json
from typing import Final

import msgspec

from agent.formats.roster import Roster

HEAD: Final = """\
# Who is who: people, hosts, the gate, offline recovery. Fill it, then:
#
#   recording-agent roster encode roster.toml -o roster.json
#   ssh-keygen -Y sign -f ROOT_KEY -n recording-agent-roster roster.json
#   recording-agent roster join roster.json roster.json.sig -o roster.signed
#   recording-agent roster check roster.signed --root ROOT_KEY.pub
#
# The next roster begins with `recording-agent roster new --from roster.signed`.
"""
_EXAMPLE: Final = """\
[[people]]               # Once for each.
id = "p-quality-1"       # What the audit log says: a-z, 0-9 and -; never a name.
name = ""                # As recordings and lists show it.
roles = ["quality"]      # Or "officer", "admin", "case-handler", "dpo".
numbers = []             # An officer's: E.164, or extensions as dialled.
recipient = "age1pq1…"   # As `recording-agent keygen` prints it.
certificates = []        # "sha256:…": of their certificate's public key (SPKI).
signing_key = ""         # "ssh-ed25519 AAAA…", without a comment: signs requests.
approver = false         # Whether that is one of the two signatures of a request.
since = ""               # ISO date of their first day, or "".
until = ""               # Of their last day, or "": then no access any more.

[[hosts]]                # Once for each key a telephony host has, or had.
name = "host-a"          # As `[agent] name`.
key = "ssh-ed25519 …"    # Signs what the host stores.
certificates = []
since = ""               # ISO date of the first day on which it signs, or "".
until = ""               # Of the last: an old key has one, and stays here.

[[gate]]                 # Once for each key the gate has, or had.
key = "ssh-ed25519 …"
since = ""
until = ""               # As of hosts.
"""
_KINDS: Final = ("people", "hosts", "gate")


def template(issued: str) -> str:
    """A roster that is still to be filled."""
    return f"{HEAD}\n{_top(1, issued, ('age1pq1…',))}\n{_EXAMPLE}"


def to_toml(roster: Roster, issued: str) -> str:
    """What a roster says, as the beginning of the next one."""
    tables = msgspec.to_builtins(roster)
    parts = [HEAD, _top(roster.serial + 1, issued, roster.recovery)]
    for kind in _KINDS:
        for entry in tables[kind]:
            lines = [f"{key} = {_value(value)}" for key, value in entry.items()]
            parts.append("\n".join([f"[[{kind}]]", *lines, ""]))
    return "\n".join(parts)


def _top(serial: int, issued: str, recovery: tuple[str, ...]) -> str:
    return (
        f"serial = {serial}\n"
        f'issued = "{issued}"\n'
        f"recovery = {_value(recovery)}  # Offline recovery: opens every recording.\n"
    )


def _value(value: object) -> str:
    """JSON's strings, lists and truth values are TOML's as well.

    But for DEL, which TOML wants escaped and JSON leaves; no roster holds one.
    """
    return json.dumps(value, ensure_ascii=False)
