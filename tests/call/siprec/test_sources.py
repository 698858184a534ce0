from agent.call.siprec.sources import RecordingSources
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
