"""What a controller says about retention (GDPR Art. 13, 15, 30), from what is set."""

from typing import TypedDict

from agent.retention.config import RetentionConfig
from agent.retention.policy import Period


class RetentionFacts(TypedDict):
    """Plain words for a record of processing; each is what the software does."""

    period: str
    "As configured, ISO 8601."
    counted_from: str
    timezone: str
    longer_than_a_year: bool
    decision: str
    "Where it is recorded that more than a year was decided; empty: it was not."
    erased_within: str
    method: str
    suspended_by: list[str]
    early_erasure: str
    proof: str


def retention_facts(config: RetentionConfig, *, gate: bool) -> RetentionFacts:
    """The facts; `gate` is whether one holds the day keys."""
    days = config.late_uploads
    return RetentionFacts(
        period=config.period,
        counted_from="the local day on which the recording ended; of 29 February,"
        " until 28 February",
        timezone=config.timezone,
        longer_than_a_year=Period.parse(config.period).exceeds_a_year,
        decision=config.decision,
        erased_within="one day of its expiry, as the next local day begins",
        method="the key of the day is destroyed, then all objects are deleted"
        if gate
        else "the key envelopes are deleted, then all other objects; copies of"
        " envelopes are not reached",
        suspended_by=["hold", "restriction", "open request"],
        early_erasure=f"two approvers sign; complete {days} days after the day of the"
        " recording, and three days after it was begun, at the earliest"
        if gate
        else "not without a gate",
        proof="a tombstone and a row of the audit log, without personal data",
    )
