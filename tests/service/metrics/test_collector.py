from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.call.siprec.commands import Withheld
from agent.call.siprec.parties import Basis
from agent.common.ids import new_id
from agent.media.events import LegStats
from agent.model.call import Outcome
from agent.service.host_status import HostStatus
from agent.service.metrics.collector import AgentCollector
from agent.service.metrics.sources import Sources
from tests.service.metrics.running import running

Series = dict[tuple[str, str], float]


def told(sources: Sources) -> Series:
    """Every series: its name and the values of its labels, in the text itself."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AgentCollector(sources))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (
            sample.name.removeprefix("recording_agent_"),
            ",".join(sample.labels.values()),
        ): (sample.value)
        for family in families
        for sample in family.samples
    }


def test_what_is_told_of_calls() -> None:
    series = told(running())
    assert series["calls_active", ""] == 2
    assert series["calls_total", "recorded"] == 3
    # Those that did not occur are told too: an alert must not miss the first.
    assert {label for name, label in series if name == "calls_total"} == set(Outcome)
    assert series["calls_degraded_total", ""] == 1
    assert (series["notices_total", "played"], series["notices_total", "failed"]) == (
        4,
        1,
    )
    assert series["strangers_refused_total", ""] == 5
    assert series["capture_ratio", ""] == 0.75
    assert series["day_calls", "partial"] == 1
    assert series["day_calls", "failed"] == 0
    assert series["day_missing_seconds", ""] == 0.7
    assert series["day_recordings", "waiting"] == 1


def test_what_is_told_of_recording_sessions() -> None:
    series = told(running())
    assert series["sessions_active", ""] == 1
    assert series["session_segments_total", "directory"] == 8
    assert {label for name, label in series if name == "session_segments_total"} == {
        *Basis
    }
    assert series["sessions_withheld_total", "notice"] == 2
    others = [one for one in Withheld if one is not Withheld.NOTICE]
    assert not any(series["sessions_withheld_total", one] for one in others)
    assert series["notices_total", "missing"] == 3
    assert series["metadata_unread_total", "sbc"] == 7


def test_what_is_told_of_the_host() -> None:
    series = told(running())
    assert series["spool_readable", ""] == 1
    assert series["spool_free_bytes", ""] == 3 << 20
    assert series["finish_lag_seconds", ""] == 2.5
    assert series["upload_lag_seconds", ""] == 0
    assert (series["storage_up", "north"], series["storage_up", "south"]) == (0, 1)
    assert series["storage_lag_seconds", "north"] == 9
    assert series["peer_up", "trunk"] == 0
    assert series["peer_registered", "trunk"] == 1
    # Of a peer that is not asked nothing is known.
    assert ("peer_up", "officers") not in series
    assert series["broker_up", ""] == 1
    assert series["day_keys_days", ""] == 30
    assert (series["worker_up", "1"], series["worker_restarts_total", "1"]) == (0, 2)
    assert series["certificate_expiry_timestamp_seconds", "tls"] == 1.8e9
    assert series["alarm_active", "peer_down"] == 2
    assert series["alarm_active", "storage_failed"] == 0
    assert (series["events_total", "sent"], series["events_waiting", ""]) == (40, 3)
    assert series["log_lines_dropped_total", ""] == 6


def test_what_is_told_of_packets() -> None:
    sources = running()
    figures = sources.figures
    figures.measured(
        "leg",
        LegStats(
            opened_ns=1, received=9, lost=2, sent=8, remote_lost=3,
            invalid=1, send_errors=1, jitter_ms=4.0, delay_ms=30.0,
        ),
    )  # fmt: skip
    series = told(sources)
    assert series["rtp_packets_total", "received"] == 9
    assert series["rtp_packets_total", "sent"] == 8
    assert series["rtp_packets_lost_total", "received"] == 2
    assert series["rtp_packets_lost_total", "sent"] == 3
    assert series["rtp_packets_refused_total", ""] == 1
    assert series["rtp_send_errors_total", ""] == 1
    assert series["rtp_jitter_seconds_bucket", "0.002"] == 0
    assert series["rtp_jitter_seconds_bucket", "0.005"] == 1
    assert series["relay_delay_seconds_bucket", "0.02"] == 0
    assert series["relay_delay_seconds_bucket", "+Inf"] == 1
    assert series["relay_delay_seconds_sum", ""] == 0.03


def test_what_is_not_known_is_not_told() -> None:
    def unreadable() -> HostStatus:
        raise OSError(5, "Input/output error")

    series = told(replace(running(tally=None), status=unreadable))
    assert series["spool_readable", ""] == 0
    assert not {"capture_ratio", "day_calls", "storage_up"} & {
        name for name, _ in series
    }


def test_calls_add_no_series() -> None:
    sources = running()
    before = told(sources).keys()
    for number in range(10_000):
        sources.ledger.closed[list(Outcome)[number % len(Outcome)]] += 1
        leg = new_id()
        stats = LegStats(
            opened_ns=1, received=number, jitter_ms=number, delay_ms=number
        )
        sources.figures.measured(leg, stats)
        sources.figures.closed(leg, stats)
        sources.calls.notices_failed += 1
        sources.loop_lag.observe(number)
    assert told(sources).keys() == before
    assert len(sources.figures) == 0
