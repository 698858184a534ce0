"""What the verbs of storage share: whose storage it is, and who uses it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.common.errors import AgentError
from agent.formats.layout import audit_prefix
from agent.upload.policies import Dialect, Users

_ARN: Final = "arn:"
Named = Annotated[tuple[str, ...], Parameter(negative="")]


class HostUserError(AgentError):
    """It is not said which host signs as which user."""

    hint = "Name both, as in --host host-a=arn:aws:iam:::user/host-a."


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A storage, and its users."""

    config: Annotated[Path, Parameter(name=["--config", "-c"])]
    "A host's configuration file, or the gate's."
    host: Named = ()
    "Each host's name and ARN, NAME=ARN: a host may write no other's log."
    gate: Named = ()
    "ARN of the gate."
    reader: Named = ()
    "ARNs of readers."
    dialect: Dialect | None = None
    "What the server understands of conditions; else as its name tells."

    def users(self) -> Users:
        """Who was named. Raises HostUserError, LayoutError for a name that is none."""
        hosts = {}
        for one in self.host:
            name, _, arn = one.partition("=")
            if not arn.startswith(_ARN):
                raise HostUserError(f"--host {one}: which host's ARN is not said.")
            hosts[host_name(name)] = arn
        return Users(hosts=hosts, gate=self.gate, readers=self.reader)


def host_name(name: str) -> str:
    """A name that a host's log may bear. Raises LayoutError."""
    audit_prefix(f"{name}.00000000")
    return name
