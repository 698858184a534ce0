import msgspec

from agent.events.host_state import HostState, Life


def test_a_last_will_knows_little() -> None:
    state = HostState(
        host="h", state=Life.OFFLINE, utc_ns=2, started_utc_ns=1, version="0"
    )
    told = msgspec.json.decode(msgspec.json.encode(state))
    assert told["state"] == "offline"
    assert told["calls"] is None
