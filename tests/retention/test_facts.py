from agent.retention.config import RetentionConfig
from agent.retention.facts import retention_facts


def test_the_facts_are_those_of_the_configuration() -> None:
    year = retention_facts(RetentionConfig(), gate=True)
    assert (year["period"], year["longer_than_a_year"]) == ("P1Y", False)
    assert "key of the day is destroyed" in year["method"]
    assert "7 days after" in year["early_erasure"]
    longer = retention_facts(
        RetentionConfig(period="P18M", decision="12/2026", late_uploads=9), gate=False
    )
    assert longer["longer_than_a_year"]
    assert longer["decision"] == "12/2026"
    assert "envelopes are deleted" in longer["method"]
    assert longer["early_erasure"] == "not without a gate"
