"""A load of calls from the trunk to the first officer of a daemon's site."""

from agent.model.media import Address
from tests.bench.load import Load
from tests.lab.daemon import SERVICE, Daemon


def new_load(
    daemon: Daemon,
    calls: int,
    talk: float,
    *,
    rate: float = 10.0,
    keep_delays: bool = False,
    seed: int = 1,
) -> Load:
    """`rate` calls a second, each of `talk` seconds."""
    return Load(
        agent=Address("127.0.0.1", daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0]),
        service=SERVICE,
        rate=rate,
        calls=calls,
        talk=talk,
        keep_delays=keep_delays,
        seed=seed,
    )
