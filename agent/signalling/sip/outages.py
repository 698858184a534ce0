"""Which places did not answer lately, so that they are tried last."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from agent.model.media import Address
from agent.signalling.sip.flow import Flow

OUT_SECONDS: Final = 60.0
"After that a place is tried in its turn again, and one caller pays for it."
MAX_OUT_SECONDS: Final = 600.0
"Nor may a place have itself passed over for longer than that at once."
MAX_PLACES: Final = 1000


class Outages:
    """Transports and addresses that failed, the longest ago forgotten first."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, Address], float] = OrderedDict()

    def failed(self, flow: Flow, now: float, seconds: float = OUT_SECONDS) -> None:
        """Nothing answers there, or it asks to be left alone for `seconds`."""
        place = flow.transport, flow.remote
        self._until[place] = now + min(seconds, MAX_OUT_SECONDS)
        self._until.move_to_end(place)
        if len(self._until) > MAX_PLACES:
            self._until.popitem(last=False)

    def is_out(self, flow: Flow, now: float) -> bool:
        """Whether it failed in the last minute, or asks for no more requests yet."""
        return now < self._until.get((flow.transport, flow.remote), now)

    def order(self, flows: Iterable[Flow], now: float) -> list[Flow]:
        """The same flows, those that failed lately last."""
        return sorted(flows, key=lambda flow: self.is_out(flow, now))
