import pytest

from agent.call.config import PeerConfig
from agent.call.routing import RouteTable
from agent.call.siprec.sources import RecordingSources
from agent.identity.numbers import IdentityConfig
from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from tests.call.siprec.test_config import entry


def test_an_entry_is_found_by_its_peer_and_by_its_name() -> None:
    one, other = entry(), entry(name="two", from_="pbx")
    sources = RecordingSources([one, other])
    assert sources.of_peer("pbx") is other
    assert sources.of_peer("trunk") is None
    assert sources.named("beside") is one
    assert sources.named("pbx") is None


def test_others_count_from_a_reload_on() -> None:
    sources = RecordingSources()
    assert sources.of_peer("sbc") is None
    sources.replace([entry()])
    assert sources.of_peer("sbc") == entry()
    sources.replace([])
    assert sources.named("beside") is None


def test_a_peer_has_one_budget_for_all_its_sessions() -> None:
    sources = RecordingSources([entry()])
    budget = sources.budget_of("sbc")
    budget.unread = 3
    sources.replace([entry(), entry(name="two", from_="pbx")])
    assert sources.budget_of("sbc") is budget
    assert sources.budget_of("pbx") is not budget
    assert sources.unread == {"sbc": 3, "pbx": 0}
    sources.replace([])
    assert sources.budget_of("sbc").unread == 0


@pytest.mark.parametrize(
    ("certificate", "known"),
    [((), False), (("pbx.example",), False), (("sbc.example", "x.example"), True)],
)
def test_a_client_may_be_known_by_its_certificate_alone(
    certificate: tuple[str, ...], known: bool
) -> None:
    peer = PeerConfig(name="sbc", match=("tls:sbc.example",))
    routes = RouteTable((peer,), (), emergency=(), exempt=(), identity=IdentityConfig())
    sources = RecordingSources([entry()])
    here, there = Address("192.0.2.2", 5061), Address("203.0.113.9", 41000)
    flow = Flow("tls", here, there, inbound=True, certificate=certificate)
    found = routes.peer_of(flow)
    assert (found is not None) is known
    assert known is (found is not None and sources.of_peer(found.name) is not None)
