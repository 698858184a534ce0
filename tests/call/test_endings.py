from agent.call.endings import close_row
from agent.call.state import EndingState
from agent.model.call import EndCause, Outcome
from agent.recording.ledger import CallIntent, LedgerError
from tests.call.site import Site

INTENT = CallIntent(
    call_id="c", sip_call_id="x", route="in", direction="inbound", begun_utc_ns=1
)
ENDING = EndingState(
    call_id="c",
    outcome=Outcome.RECORDED,
    cause=EndCause.CALLER_HANGUP,
    ended_utc_ns=2,
    interrupted=True,
    missing_ms=700,
)


async def test_what_was_interrupted_once_is_partial(site: Site) -> None:
    await site.start()
    await site.ledger.begin(INTENT)
    await close_row(site.joint, site.ledger, ENDING, [])
    (row,) = await site.rows()
    assert (row.outcome, row.cause) == (Outcome.PARTIAL, EndCause.CALLER_HANGUP)
    assert row.missing_ms == 700


async def test_a_ledger_that_cannot_be_written_is_told_of(site: Site) -> None:
    await site.start()
    site.ledger.broken = LedgerError("the disk is full.")
    await close_row(site.joint, site.ledger, ENDING, [])
    assert site.log[-1]["event"] == "ledger_unwritable"
    assert site.log[-1]["call_id"] == "c"
