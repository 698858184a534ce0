"""What one decision goes by: who is there, what was said beside them: sans-IO."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.call.siprec.people import Party, of_number
from agent.identity.addresses import number_in
from agent.identity.numbers import IdentityConfig
from agent.signalling.sip.message import Request
from agent.signalling.siprec.metadata import Extension


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A recording session at one moment."""

    people: tuple[Party, ...]
    extensions: tuple[Extension, ...]
    "Extension data, that of participants apart."
    labels: tuple[str, ...]
    "Of the streams, in the order of their m-lines."
    invite: Request
    identity: IdentityConfig
    is_officer: Callable[[str], bool]

    @property
    def known(self) -> tuple[Party, ...]:
        """Those whom the officers' directory knows."""
        return tuple(p for p in self.people if any(map(self.is_officer, p.numbers)))

    def number_in(self, address: str) -> str:
        """The number in an address that some other system wrote down."""
        return number_in(address, self.identity)

    def of_number(self, number: str) -> Party | None:
        """Who has a number; somebody beside the metadata where it names too few."""
        if not number:
            return None
        known = next((one for one in self.people if one.has(number)), None)
        if known is None and len(self.people) < 2:
            return of_number(number)
        return known
