"""The catalogue has every event that needs a human, and nothing else."""

from collections import Counter

import pytest

from agent.common.catalogue import CATALOGUE, Entry
from tests.common.log_calls import log_calls

GRAVE = {"error", "critical"}
ELSEWHERE = {"log_lines_dropped"}
"What the log itself has to say."
NEEDS_NOBODY = {
    # Somebody else's mistake, or an attack that fails; it is counted.
    "control_refused",
    "identity_refused",
    "loop_refused",
    "no_route",
    "over_rate",
    "password_refused",
    "recording_discarded",
    "stranger_refused",
    "takeover_refused",
    "tls_refused",
    "connect_failed",
    "connections_refused",
    "connection_refused",
    "transfer_refused",
    # One call has less than it might; it goes on, or has an outcome that says so.
    "answer_unusable",
    "call_limit",
    "codec_not_offered",
    "early_media_unusable",
    "hold_not_passed",
    "keys_left_out",
    "leg_not_recorded",
    "media_changed_unsignalled",
    "media_refused",
    "metadata_left_out",
    "offer_unusable",
    "officer_unknown",
    "officer_without_key",
    "one_way_audio",
    "recording_not_told",
    "rekey_not_offered",
    "silent_leg",
    "target_unreachable",
    "call_begun",
    "ended",
    "metadata_flawed",
    "recording_session_refused",
    "snapshot_refused",
    # What comes right by itself, or is over.
    "calls_resumed",
    "configuration",
    "connection_not_kept",
    "connection_still_kept",
    "connection_unknown",
    "control_broken_off",
    "dns_failed",
    "finishing_caught_up",
    "leaving",
    "command_ignored",
    "draining",
    "host_state_unknown",
    "undrained",
    "library_warning",
    "media_worker_draining",
    "daily_summary_put_off",
    "metric_unreadable",
    "outcomes_unreadable",
    "not_answered",
    "not_read",
    "notice_not_kept",
    "orphans_retired",
    "recovered",
    "recording_interrupted",
    "recording_stopped",
    "restart_needed",
    "proof_not_kept",
    "alarm_not_told",
    "registration_not_taken_back",
    "seal_chain_begun",
    "spool_below_high_water",
    "spool_readable",
    "strange_object",
}
"Warnings for whoever looks, of which nobody must be woken."


LOGGED = [(call.level, call.event, call.place) for call in log_calls() if call.level]


def test_the_search_finds_lines_of_every_level() -> None:
    assert len(LOGGED) > 120
    assert {level for level, _, _ in LOGGED} >= {"info", "warning", "error", "critical"}


@pytest.mark.parametrize("level", sorted(GRAVE))
def test_what_is_grave_is_in_the_catalogue(level: str) -> None:
    found = {event: place for lv, event, place in LOGGED if lv == level}
    assert {e: place for e, place in found.items() if e not in CATALOGUE} == {}


def test_of_every_warning_it_is_decided_whether_it_needs_a_human() -> None:
    warned = {event for level, event, _ in LOGGED if level == "warning"}
    assert warned - set(CATALOGUE) - NEEDS_NOBODY == set()
    assert NEEDS_NOBODY - warned == set()


def test_the_catalogue_has_nothing_that_is_never_logged() -> None:
    assert set(CATALOGUE) - {event for _, event, _ in LOGGED} == ELSEWHERE


def test_what_clears_an_alarm_is_logged() -> None:
    events = {event for _, event, _ in LOGGED}
    for entry in CATALOGUE.values():
        assert entry.cleared_by is None or entry.cleared_by in events, entry


def test_message_ids_are_random_and_unique() -> None:
    ids = [entry.message_id for entry in CATALOGUE.values()]
    assert Counter(ids).most_common(1)[0][1] == 1
    # Version and variant of RFC 9562's random UUIDs, as sd-id128 wants them.
    assert {(one[12], one[16] in "89ab") for one in ids} == {("4", True)}


def test_texts_are_sentences_for_people() -> None:
    for entry in CATALOGUE.values():
        for text in (entry.summary, entry.explanation, entry.remedy):
            assert text.endswith("."), entry
            assert "  " not in text, entry
        assert len(entry.summary) <= 80, entry


@pytest.mark.parametrize(
    "changes",
    [{"message_id": "0" * 32}, {"message_id": "12"}, {"raises": False}],
    ids=["null id", "short id", "cleared though not raised"],
)
def test_an_entry_that_is_wrong_is_refused(changes: dict[str, object]) -> None:
    good = {
        "event": "x",
        "message_id": "8ac1e1c9bbff4f6ea4f6c1f3c2d0a8b7",
        "summary": "S.",
        "explanation": "E.",
        "remedy": "R.",
        "cleared_by": "y",
    }
    Entry(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x:"):
        Entry(**good | changes)  # type: ignore[arg-type]
