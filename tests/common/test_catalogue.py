"""The catalogue has every event that needs a human, and nothing else."""

from collections import Counter

import pytest

from agent.common.catalogue import CATALOGUE, Entry
from tests.common.log_calls import log_calls

ELSEWHERE = {"log_lines_dropped"}
"What the log itself has to say."
LOGGED = [(call.level, call.event, call.place) for call in log_calls() if call.level]


def test_the_search_finds_lines_of_every_level() -> None:
    assert len(LOGGED) > 120
    assert {level for level, _, _ in LOGGED} >= {"info", "warning", "error", "critical"}


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
