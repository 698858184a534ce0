"""Reception statistics of one source, RFC 3550 appendix A.1, A.3 and A.8."""

from typing import Final

from agent.formats.rtp.rtcp import ReportBlock

MIN_SEQUENTIAL: Final = 2
"In-order packets before a source is valid (A.1)."
MAX_DROPOUT: Final = 3000
"A gap of fewer packets is loss; a larger jump needs a second packet to be believed."
MAX_MISORDER: Final = 100
"A packet fewer than these behind is late or a duplicate."

_SEQUENCE_MODULUS: Final = 1 << 16
_TIMESTAMP_MODULUS: Final = 1 << 32


class ReceptionStatistics:
    """What one SSRC sent, as far as it arrived."""

    __slots__ = (
        "_bad_sequence",
        "_base",
        "_cycles",
        "_expected_before",
        "_jitter",
        "_max_sequence",
        "_probation",
        "_received",
        "_received_before",
        "_transit",
        "resyncs",
    )

    def __init__(self) -> None:
        self._probation = MIN_SEQUENTIAL
        self._max_sequence = -1
        self._bad_sequence = -1
        self._base = 0
        self._cycles = 0
        self._received = 0
        self._expected_before = 0
        self._received_before = 0
        self._transit: float | None = None
        self._jitter = 0.0
        self.resyncs = 0
        "How often the sequence numbers jumped and were taken up anew."

    @property
    def valid(self) -> bool:
        """Whether the source has left probation."""
        return self._probation == 0

    @property
    def received(self) -> int:
        """Packets since the source is valid, late and duplicate ones included."""
        return self._received

    @property
    def highest_sequence(self) -> int:
        """The extended highest sequence number; 0 before the source is valid."""
        return self._cycles + self._max_sequence if self.valid else 0

    @property
    def expected(self) -> int:
        """Packets the source must have sent."""
        return self.highest_sequence - self._base + 1 if self.valid else 0

    @property
    def lost(self) -> int:
        """Expected less received; negative where duplicates outweigh loss (A.3)."""
        return self.expected - self._received

    @property
    def jitter(self) -> float:
        """Interarrival jitter in timestamp units (A.8)."""
        return self._jitter

    def update(
        self, sequence: int, timestamp: int, arrival_s: float, clock_rate: int
    ) -> bool:
        """Count one packet; whether it belongs to a valid source.

        `arrival_s` is in seconds of any steady clock.
        """
        if not self._update_sequence(sequence):
            return False
        transit = arrival_s * clock_rate - timestamp
        if self._transit is not None:
            step = (transit - self._transit) % _TIMESTAMP_MODULUS
            if step > _TIMESTAMP_MODULUS / 2:
                step = _TIMESTAMP_MODULUS - step
            self._jitter += (step - self._jitter) / 16
        self._transit = transit
        return True

    def report_block(
        self, ssrc: int, *, last_sr: int = 0, delay_since_last_sr: int = 0
    ) -> ReportBlock:
        """The block for the next report; the fraction lost is since the last one."""
        expected = self.expected
        interval = expected - self._expected_before
        lost = interval - (self._received - self._received_before)
        self._expected_before = expected
        self._received_before = self._received
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=min((lost << 8) // interval, 255) if lost > 0 else 0,
            cumulative_lost=self.lost,
            highest_sequence=self.highest_sequence & 0xFFFFFFFF,
            jitter=min(int(self._jitter), 0xFFFFFFFF),
            last_sr=last_sr,
            delay_since_last_sr=delay_since_last_sr,
        )

    def _update_sequence(self, sequence: int) -> bool:
        if self._probation:
            if sequence == (self._max_sequence + 1) % _SEQUENCE_MODULUS:
                self._probation -= 1
            else:
                # The first packet of a run counts towards MIN_SEQUENTIAL.
                self._probation = MIN_SEQUENTIAL - 1
            self._max_sequence = sequence
            if self._probation:
                return False
            self._start(sequence)
            self._received += 1
            return True
        step = (sequence - self._max_sequence) % _SEQUENCE_MODULUS
        if step < MAX_DROPOUT:
            if sequence < self._max_sequence:
                self._cycles += _SEQUENCE_MODULUS
            self._max_sequence = sequence
        elif step <= _SEQUENCE_MODULUS - MAX_MISORDER:
            if sequence != self._bad_sequence:
                self._bad_sequence = (sequence + 1) % _SEQUENCE_MODULUS
                return False
            # Two in a row: the other side restarted without saying so.
            self._start(sequence)
            self.resyncs += 1
        self._received += 1
        return True

    def _start(self, sequence: int) -> None:
        self._base = self._max_sequence = sequence
        self._bad_sequence = -1
        self._cycles = 0
        self._received = 0
        self._expected_before = 0
        self._received_before = 0
