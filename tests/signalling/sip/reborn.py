"""User agents whose process dies, and whose successor goes on where they stood."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.signalling.sip.state import decode_state, encode_state
from tests.fakes.wire import Wire
from tests.signalling.sip.pair import Phone, new_core

Dies = Callable[[int], bool | None]
"""Asked before each sending, with its number: None to live on.

Else whether what was to be sent has gone out before the death.
"""


@dataclass(eq=False)
class Keeper:
    """What outlives the processes of one phone: a record for each of its sessions."""

    phone: Phone
    options: dict[str, Any]
    "Of its core."
    records: dict[str, bytes] = field(default_factory=dict)
    deaths: int = 0

    def __post_init__(self) -> None:
        self.phone.core.track()

    def write(self) -> None:
        """Note what has changed, as is done before anything is sent."""
        core = self.phone.core
        for session in core.touched():
            state = core.state_of(session)
            if state is None:
                self.records.pop(session, None)
            else:
                self.records[session] = encode_state(state)

    def kill(self, *, sent: bool) -> None:
        """The process dies, after or before it has `sent` what it wanted to."""
        wire, old = self.phone.wire, self.phone.core
        if sent:
            for data, flow in old.data_to_send():
                wire.inject(data, flow.local, flow.remote)
        self.deaths += 1
        seed = 1000 * self.deaths + self.phone.address.port
        core = new_core(seed, **self.options)
        core.track()
        core.resume([decode_state(one) for one in self.records.values()], wire.now)
        core.stats.sessions = old.stats.sessions
        # Names never come again: the service draws anew how they begin.
        core._user.keep_free(f"s{old.stats.sessions}")
        self.phone.core = core
        self.phone.attach()


@dataclass(eq=False)
class Reaper:
    """Lets the processes of phones die on a wire."""

    wire: Wire
    dies: Dies
    keepers: Sequence[Keeper]
    sendings: int = 0

    def __post_init__(self) -> None:
        self.wire.before_sending = self._before_sending

    def _before_sending(self) -> None:
        for keeper in self.keepers:
            keeper.write()
        sent = self.dies(self.sendings)
        self.sendings += 1
        if sent is not None:
            for keeper in self.keepers:
                keeper.kill(sent=sent)
