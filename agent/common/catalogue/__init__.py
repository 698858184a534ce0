"""What needs a human: every event of level error or above, and some warnings.

One truth for the journal's catalogue, for alarms, and for the metrics of them. Who adds
such an event adds its entry, with a message id from `uuidgen -r | tr -d -`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.common.catalogue.broker import BROKER
from agent.common.catalogue.calls import CALLS
from agent.common.catalogue.entry import Entry
from agent.common.catalogue.gate import GATE
from agent.common.catalogue.host import HOST
from agent.common.catalogue.media import MEDIA
from agent.common.catalogue.recordings import RECORDINGS

CATALOGUE: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        entry.event: entry
        for entry in (*CALLS, *MEDIA, *RECORDINGS, *HOST, *BROKER, *GATE)
    }
)

__all__ = ["CATALOGUE", "Entry"]
