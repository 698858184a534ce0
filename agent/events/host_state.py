"""The state of the host, as the broker retains it for whoever comes."""

from enum import StrEnum

import msgspec


class Life(StrEnum):
    """What there is of the daemon."""

    ONLINE = "online"
    STOPPED = "stopped"
    "It said good-bye: nothing is wrong."
    OFFLINE = "offline"
    "The broker says so, in our last will: process, host or network is gone."


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """No number and no name."""

    host: str
    "Name of the host, as in `agent.name`."
    state: Life
    "`online`, `stopped` (it said good-bye), or `offline` (the broker says so)."
    utc_ns: int
    "When it was so; of `offline`, when the connection that broke was made."
    started_utc_ns: int
    "When this process started: it has told every alarm that is on since then."
    version: str
    "Of the software."
    calls: int | None = None
    "Up now …"
    draining: bool | None = None
    "… and whether no new ones are taken."
    spool_used: float | None = None
    "Fraction of the spool's file system."
    to_finish: int | None = None
    "Recordings to be sealed …"
    to_store: int | None = None
    "… and to be stored."
    storage_away: bool | None = None
    "Whether a storage failed when it was last asked."
    alarms: tuple[str, ...] = ()
    "Events of the catalogue that are on."
    events_waiting: int | None = None
    "In the outbox."
    events_dropped: int = 0
    "Since the start, for want of room or of a broker within mqtt.max_age_days."
