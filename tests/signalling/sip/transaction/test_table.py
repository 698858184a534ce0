from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.transaction.entries import Server, new_server
from agent.signalling.sip.transaction.table import TransactionTable

FLOW = Flow("udp", Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))


def server(table: TransactionTable, name: str) -> Server:
    entry = new_server(
        ("server", name), FLOW, DEFAULT_TIMERS, table.new_key(), invite=False
    )
    table.add(entry)
    return entry


def test_without_tracking_nothing_is_kept_of_owners() -> None:
    table = TransactionTable()
    entry = server(table, "a")
    table.own(entry, "s1")
    table.touch(entry)
    assert table.save("s1") == ((), ())
    table.forget(entry)
    assert not len(table)


def test_changes_are_noted_by_owner() -> None:
    table, touched = TransactionTable(), set[str]()
    table.track(touched)
    first, second, nobodys = (server(table, name) for name in "abc")
    table.own(first, "s1")
    table.own(second, "s1")
    table.own(nobodys, "")
    assert not touched
    for entry in (first, nobodys):
        table.touch(entry)
    assert touched == {"s1"}
    assert [one.key for one in table.save("s1")[1]] == ["t1", "t2"]
    table.forget(first)
    assert [one.key for one in table.save("s1")[1]] == ["t2"]
    table.forget(second)
    table.forget(nobodys)
    assert table.save("s1") == ((), ())


def test_one_of_another_process_counts_against_its_peer() -> None:
    old = TransactionTable()
    entry = server(old, "a")
    old.charge(entry, "pbx")
    old.add_ack(entry, ("old", "ack"))
    table = TransactionTable()
    table.adopt(entry, "s1")
    assert table.per_peer["pbx"] == 1
    assert table.servers["old", "ack"] is entry
    table.forget(entry)
    assert table.per_peer["pbx"] == 0
    assert not table.servers
