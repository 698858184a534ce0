from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.outages import MAX_PLACES, OUT_SECONDS, Outages

LOCAL = Address("192.0.2.250", 5060)


def flow(number: int, transport: str = "udp") -> Flow:
    return Flow(transport, LOCAL, Address("192.0.2.1", number))


def test_what_failed_is_tried_last_for_a_minute() -> None:
    outages = Outages()
    flows = [flow(1), flow(2), flow(3)]
    assert outages.order(flows, 0.0) == flows
    outages.failed(flow(1), 0.0)
    assert outages.order(flows, 1.0) == [flow(2), flow(3), flow(1)]
    assert outages.is_out(flow(1), OUT_SECONDS - 1)
    assert not outages.is_out(flow(1, "tcp"), 1.0)
    assert outages.order(flows, OUT_SECONDS) == flows


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    outages = Outages()
    for number in range(MAX_PLACES + 1):
        outages.failed(flow(number), 0.0)
    assert not outages.is_out(flow(0), 1.0)
    assert outages.is_out(flow(1), 1.0)
