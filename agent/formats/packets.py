"""What a leg's packets say but for their payloads: of all of them, in little room.

A packet is read once, as it comes. Its payload is left where it stands, and the place
kept. What is no RTP, or of a payload type without a meaning, is counted and forgotten.
"""

from array import array
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.codecs.opus import is_wide
from agent.formats.durations import durations
from agent.formats.rtp.headers import parse_headers
from agent.formats.rtp.packet import HEADER_LENGTH, MAX_PACKET
from agent.formats.tables import BATCH, Table

Integers = npt.NDArray[np.int64]

MAX_PACKETS: Final = 3_000_000
"Of a leg: eight hours of 10 ms each. What comes on top of that is a flood, dropped."

_WIDE: Final = np.array([is_wide(first) for first in range(256)])


class Said(IntEnum):
    """The columns of `Packets.table`: a packet's numbers, as on the wire."""

    ARRIVAL = 0
    "Nanoseconds."
    SEQUENCE = 1
    TIMESTAMP = 2
    SSRC = 3
    CODEC = 4
    "Indexes `Packets.names`."
    TICKS = 5
    "How long its audio lasts, at the codec's own clock rate; 0 if it has none."
    PLACE = 6
    "Where its payload stands."
    OCTETS = 7
    "Of payload."
    WIDE = 8
    "1 if it would, as Opus, hold audio above 8 kHz."


class Packets:
    """Takes packets in order of arrival; `table` has a row for each that is one."""

    def __init__(self, codecs: Mapping[int, str]) -> None:
        self.table = Table()
        self.names = [""]
        "Encoding names; the first stands for what is not known."
        self.refused = 0
        "Packets without a row."
        self._forget()
        self._meanings = self._numbers(codecs)

    def add(self, arrival_ns: int, packet: bytes, place: int) -> None:
        """Take one packet as it came off the wire, and where its first octet stands."""
        size = len(packet)
        if not HEADER_LENGTH <= size <= MAX_PACKET or len(self.table) >= MAX_PACKETS:
            self.refused += 1
            return
        self._arrivals.append(arrival_ns)
        self._places.append(place)
        self._sizes.append(size)
        self._data += packet
        if len(self._sizes) == BATCH:
            self.settle()

    def set_codecs(self, codecs: Mapping[int, str]) -> None:
        """Payload types mean this from the next packet on."""
        self.settle()
        self._meanings = self._numbers(codecs)

    def _numbers(self, codecs: Mapping[int, str]) -> Integers:
        numbers = np.zeros(128, np.int64)
        for payload_type, name in codecs.items():
            if name not in self.names:
                self.names.append(name)
            numbers[payload_type] = self.names.index(name)
        return numbers

    def settle(self) -> None:
        """Put into the table what was taken last."""
        headers = parse_headers(self._data, self._sizes)
        size = np.array(self._sizes, np.int64)
        codec = self._meanings[headers.payload_type]
        ticks = durations(self.names, codec, headers, self._data)
        within = headers.payload - (np.cumsum(size) - size)
        # An empty payload may stand at the very end.
        octets = np.frombuffer(self._data + b"\0", np.uint8)
        wide = _WIDE[octets[headers.payload]]
        known = np.flatnonzero(headers.valid & (codec > 0))
        self.refused += len(size) - len(known)
        columns = (
            np.array(self._arrivals, np.int64),
            headers.sequence,
            headers.timestamp,
            headers.ssrc,
            codec,
            ticks,
            np.array(self._places, np.int64) + within,
            headers.length,
            wide,
        )
        self.table.extend(*(column[known] for column in columns))
        self._forget()

    def _forget(self) -> None:
        self._arrivals = array("q")
        self._places = array("q")
        self._sizes = array("H")
        self._data = bytearray()
