"""`recording-agent archive init`: a configuration to fill in."""

import os
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.cli.archive.common import DEFAULT
from agent.cli.terminal import console
from agent.common.errors import AgentError
from agent.common.files import create_exclusively, make_private_directory, write_all

TEMPLATE: Final = """\
# What `recording-agent archive …` needs to know. It holds no secret: keys are files.
# Relative paths start at this file's folder.

[[storage]]                                   # as often as there are targets
locked_url = "file:///srv/recordings/locked"  # audio, manifests, log
url = "file:///srv/recordings/state"          # envelopes, index, states
# For buckets: s3://bucket/prefix in both, and
# endpoint = "https://s3.example"
# region = "FI"                               # where it is
# credentials = "s3-credentials"              # yours as a reader: AWS's file format
# ca = ""                                     # who vouches for it; empty: the system's

[person]
id = ""                                       # yours in the roster: p-…
identities = []                               # your secret keys, e.g. ["quality.txt"]
signing_key = ""                              # OpenSSH Ed25519 key: signs sheets

[roster]
path = ""                                     # the signed roster
root = ""                                     # the key that signs it: ssh-ed25519 …

# [gate]                                      # where there is one, it lets nobody by
# url = "https://gate.example:8443"
# certificate = "me.pem"                      # the roster has its key's digest
# key = "me.key"
# ca = "gate-ca.pem"
# region = "FI"                               # where the gate stands

[index]
keys = ""                                     # without a gate: keys, or their root

[identity]                                    # how numbers are dialled here
country_code = "358"
international_prefix = "00"
national_prefix = "0"

[player]
command = []                                  # e.g. ["mpv", "--no-video", "-"]

[region]
here = ""                                     # country of this computer, e.g. "FI"
allowed = ["EU", "EEA"]

[controller]                                  # what a person is told who asks
name = ""
contact = ""
data_protection_officer = ""
legal_basis = ""
purpose = ""
supervisory_authority = ""
"""


class InitError(AgentError):
    """The configuration cannot be written."""

    hint = "Name a file that does not exist yet, in a folder you may write."


def command(
    path: Path | None = None,
    /,
    *,
    show: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a configuration to fill in, every key with its sentence.

    Args:
        path: Where to; your own configuration's place if absent.
        show: Print it instead.
    """
    if show:
        print(TEMPLATE, end="")
        return
    target = Path(DEFAULT).expanduser() if path is None else path
    try:
        if not target.parent.is_dir():
            make_private_directory(target.parent)
        fd = create_exclusively(target)
        try:
            write_all(fd, TEMPLATE.encode())
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise InitError(f"{target} cannot be written: {error.strerror}.") from error
    console().print(target)
