from agent.signalling.sip.session_states import State
from agent.signalling.sip.session_table import SessionTable
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    OFFER,
    calling_peer,
    confirmed_with_peer,
)


def test_a_session_is_found_by_id_dialog_and_message() -> None:
    alice, peer, id_, invite = confirmed_with_peer()
    table: SessionTable = alice.core._sessions
    session = alice.find(id_)
    assert table.get(id_) is session
    assert table.get("s99") is None
    assert table.get(None) is None
    assert table.of_dialog(invite.call_id, invite.from_.tag) is session
    assert table.of_dialog(invite.call_id, None) is None
    assert table.of_message(peer.in_dialog("BYE", invite, cseq=1)) is session
    assert table.of_message(invite) is None
    peer.respond(invite, 200, ALICE)
    assert (len(table), table.open) == (1, 1)


def test_what_is_over_no_longer_counts_but_lingers() -> None:
    alice, peer, id_, _ = confirmed_with_peer()
    table: SessionTable = alice.core._sessions
    alice.hang_up(id_)
    assert (len(table), table.open) == (1, 0)
    alice.wire.run(0.0)
    peer.respond(peer.request("BYE"), 200, ALICE)
    session = alice.find(id_)
    assert session.state is State.TERMINATED
    assert table.get_timer() == 32.0
    table.handle_timer(31.0)
    assert len(table) == 1
    table.handle_timer(32.0)
    assert (len(table), table.get_timer()) == (0, None)
    table.settle(session)
    assert len(table) == 0


def test_the_earliest_deadline_counts() -> None:
    alice, peer, _, invite = calling_peer()
    peer.respond(invite, 200, ALICE, body=ANSWER)
    alice.wire.run(10.0)
    alice.call(peer.address, body=OFFER)
    alice.wire.run(10.0)
    peer.respond(peer.request("INVITE"), 200, ALICE, body=ANSWER)
    table: SessionTable = alice.core._sessions
    assert table.get_timer() == 32.0
    table.handle_timer(32.0)
    assert table.get_timer() == 42.0
