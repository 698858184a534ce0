import pytest

from agent.signalling.sip.message import Request
from agent.signalling.sip.transaction.matching import (
    MatchKey,
    cancelled_key,
    client_key,
    old_ack_key,
    server_key,
)
from agent.signalling.sip.uri import parse_uri
from tests.signalling.sip.transaction.samples import make_request, make_response

NEW = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa"
OLD = "SIP/2.0/UDP 192.0.2.1;branch=1"


def key(request: Request) -> MatchKey:
    return server_key(request, request.top_via)


def test_branch_sent_by_and_method_name_a_transaction() -> None:
    base = key(make_request(via=NEW))
    assert key(make_request(via=NEW, cseq=9, call_id="other", to_tag="x")) == base
    assert key(make_request(via=NEW.replace("192.0.2.1", "192.0.2.1:5060"))) == base
    assert key(make_request(via=NEW.replace("192.0.2.1", "192.0.2.9"))) != base
    assert key(make_request(via=NEW.replace("192.0.2.1", "192.0.2.1:5070"))) != base
    assert key(make_request(via=NEW.replace("bKa", "bKb"))) != base
    assert key(make_request("OPTIONS", via=NEW)) != base


def test_ack_and_cancel_lead_to_the_invite() -> None:
    invite = key(make_request(via=NEW))
    assert key(make_request("ACK", via=NEW, to_tag="bob")) == invite
    cancel = key(make_request("CANCEL", via=NEW))
    assert cancel != invite
    assert cancelled_key(cancel) == invite


def test_no_ack_of_its_own_where_the_branch_names_it() -> None:
    invite = make_request(via=NEW)
    assert old_ack_key(key(invite), make_response(invite, 486)) is None


@pytest.mark.parametrize("via", [OLD, "SIP/2.0/UDP 192.0.2.1"])
def test_clients_older_than_rfc_3261(via: str) -> None:
    invite = make_request(via=via)
    base = key(invite)
    assert key(make_request(via=via)) == base
    assert key(make_request(via=via, cseq=2)) != base
    assert key(make_request(via=via, call_id="other")) != base
    assert key(make_request(via=via, to_tag="x")) != base
    assert key(make_request(via=f"{via};x")) != base
    other_uri = make_request(via=via)
    other_uri.uri = parse_uri("sip:carol@192.0.2.2")
    assert key(other_uri) != base
    other_from = make_request(via=via)
    other_from.headers.set("From", "<sip:alice@192.0.2.1>;tag=other")
    assert key(other_from) != base
    assert key(make_request(via=NEW)) != base

    assert cancelled_key(key(make_request("CANCEL", via=via))) == base
    ack = key(make_request("ACK", via=via, to_tag="bob"))
    assert ack != base
    assert old_ack_key(base, make_response(invite, 486, to_tag="bob")) == ack
    assert old_ack_key(base, make_response(invite, 486, to_tag="carol")) != ack


def test_client_transactions_go_by_branch_and_method() -> None:
    assert client_key("z9hG4bKa", "INVITE") == client_key("z9hG4bKa", "INVITE")
    assert client_key("z9hG4bKa", "INVITE") != client_key("z9hG4bKa", "CANCEL")
    assert client_key("z9hG4bKa", "INVITE") != client_key("z9hG4bKb", "INVITE")
