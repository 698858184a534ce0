"""What is known of a recording session at one moment: sans-IO."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import msgspec

from agent.call.siprec.parties import Basis, Parties
from agent.model.recording import UNDECIDED, Channel

Who = tuple[str, frozenset[str]]
"Caller and officers: while they are the same it is one segment."


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """One audio stream of the session, as SDP has it."""

    name: str
    "Ours; the client's label may change on a stream, and be anything."
    label: str
    active: bool
    "Whether the client may send on it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Who is heard on which stream, and whether that may be recorded."""

    streams: tuple[StreamView, ...]
    "Those there are, in the order of the m-lines."
    parties: Parties
    held: frozenset[str] = frozenset()
    "Labels on which whoever was heard before is on hold."
    going_on: bool = True
    "Whether there is a call to be recorded: a session may outlast many."
    told: bool = True
    "Whether the client has told who talks, in metadata that is whole."
    announced: bool = True
    "Whether the notice counts as given."
    awaits_officer: bool = False
    "Whether nothing is to be recorded before an officer is known to be there."
    exempt_before: bool = False
    "Whether who must never be recorded was there before that was known."
    incomplete: bool = False
    "Whether the metadata is but a part of what the client knows."
    behind: bool = False
    "Whether that is because there was no time to read it: not at once again."

    @property
    def of_nobody(self) -> "Situation":
        """The same, of people whom nobody can tell: no officer has a key to it."""
        parties = msgspec.structs.replace(
            self.parties, caller=UNDECIDED, officers=(), basis=Basis.UNDECIDED
        )
        return replace(self, parties=parties)

    @property
    def who(self) -> Who:
        """Who talks."""
        return self.parties.caller, frozenset(self.parties.officers)

    def channel(self, label: str) -> Channel:
        """On which channel a stream belongs: on both, if nobody can tell."""
        return self.parties.channels.get(label, Channel.BOTH)

    def inactive(self, legs: Collection[str]) -> frozenset[str]:
        """Those of `legs` on which nothing comes, or which are no more."""
        return frozenset(legs) - {one.name for one in self.streams if one.active}

    def on_hold(self, legs: Collection[str]) -> frozenset[str]:
        """Those of `legs` on which somebody is on hold."""
        held = (one.name for one in self.streams if one.label in self.held)
        return frozenset(held).intersection(legs)
