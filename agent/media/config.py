"""`[media]`: where RTP goes in and out, and how patient the workers are."""

import msgspec


class MediaConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[media]`: local addresses, ports, workers and timers."""

    address: str = "127.0.0.1"
    "IP address the RTP sockets are bound to, unless a peer names its own."
    advertised: str = ""
    "Address told to peers in SDP where a NAT stands between; empty: `address`."
    ports: tuple[int, int] = (20000, 29999)
    "First and last port; RTP takes the even ones, RTCP the odd ones above them."
    workers: int = 0
    "Media worker processes; 0: one per core."
    spares: int = 1
    "Workers that stand by, each to take the place of one that dies at once."
    timeout: float = 60.0
    "Seconds without RTP after which a leg that should be heard counts as silent."
    one_way_after: float = 10.0
    "Seconds without RTP of one side, while the other sends, until an alarm; 0: never."
    silent_after: float = 60.0
    "Seconds with nothing but silence in one side's RTP until an alarm; 0: never."
    fsync_interval: float = 2.0
    "Seconds between two fdatasync of one journal: what a power cut may cost."
    drain: float = 2.0
    "Seconds a closed call's ports are held, and found empty, before their reuse."

    def __post_init__(self) -> None:
        if self.one_way_after < 0 or self.silent_after < 0:
            raise ValueError("one_way_after and silent_after are seconds, or 0: never")
