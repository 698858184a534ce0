"""The timers of RFC 3261 table 4 and RFC 6026 section 7, in seconds."""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Timers:
    """All timers follow from three; `reliable` is a property of the transport.

    Timers A, E and G are where the retransmission intervals begin: A and G double
    from T1, E doubles from T1 up to T2, as does G.
    """

    t1: float = 0.5
    "Estimate of the round trip."
    t2: float = 4.0
    "Longest interval between retransmissions of a non-INVITE or of a response."
    t4: float = 5.0
    "How long a message may linger in the network."

    patience: int = 64
    "Times T1 that a request waits for its first response."

    def with_(self, patience: int) -> "Timers":
        """The same, but for how long a request waits."""
        return replace(self, patience=patience)

    @property
    def a(self) -> float:
        """First interval between INVITEs; doubles without limit."""
        return self.t1

    @property
    def b(self) -> float:
        """How long an INVITE waits for any response."""
        return self.patience * self.t1

    def d(self, *, reliable: bool) -> float:
        """How long an INVITE client absorbs retransmitted final responses.

        At least 32 s by section 17.1.1.2, because it must outlast the server's
        timer H, which scales with T1; so does this.
        """
        return 0.0 if reliable else self.h

    @property
    def e(self) -> float:
        """First interval between non-INVITE requests; doubles up to T2."""
        return self.t1

    @property
    def f(self) -> float:
        """How long a non-INVITE waits for its final response."""
        return self.patience * self.t1

    @property
    def g(self) -> float:
        """First interval between final responses to an INVITE; doubles up to T2."""
        return self.t1

    @property
    def h(self) -> float:
        """How long a final response to an INVITE waits for its ACK."""
        return 64 * self.t1

    def i(self, *, reliable: bool) -> float:
        """How long an INVITE server absorbs retransmitted ACKs."""
        return 0.0 if reliable else self.t4

    def j(self, *, reliable: bool) -> float:
        """How long a non-INVITE server answers retransmitted requests."""
        return 0.0 if reliable else 64 * self.t1

    def k(self, *, reliable: bool) -> float:
        """How long a non-INVITE client absorbs retransmitted responses."""
        return 0.0 if reliable else self.t4

    @property
    def l(self) -> float:  # noqa: E743
        """How long an INVITE server absorbs requests after a 2xx (RFC 6026)."""
        return 64 * self.t1

    @property
    def m(self) -> float:
        """How long an INVITE client takes further 2xx responses (RFC 6026)."""
        return 64 * self.t1


DEFAULT_TIMERS: Final = Timers()


def earliest(*times: float | None) -> float | None:
    """The first of the deadlines that there are."""
    first = None
    for at in times:
        if at is not None and (first is None or at < first):
            first = at
    return first
