"""The agent's numbers under their names in Prometheus.

Labels are configured names and fixed words only: however many calls there are, there
are no more series.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from agent.call.siprec.commands import Withheld
from agent.call.siprec.parties import Basis
from agent.common.histogram import Histogram
from agent.model.call import Outcome
from agent.service.host_status import HostStatus
from agent.service.metrics.sources import Sources

PREFIX: Final = "recording_agent_"
_MS: Final = 1000.0


class AgentCollector(Collector):
    """Asks all sources whenever somebody scrapes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Every family, in an order that groups them by what they are about."""
        sources = self._sources
        info = {"version": sources.version, "host": sources.host}
        yield InfoMetricFamily(f"{PREFIX}build", "This agent.", info)
        yield from self._calls()
        yield from self._recording_sessions()
        yield from self._today()
        yield from self._packets()
        yield from self._host()
        yield from self._keys()
        yield from self._process()

    def _calls(self) -> Iterator[Metric]:
        sources = self._sources
        yield _gauge("calls_active", "Calls that are up.", sources.active_calls())
        yield _counter(
            "calls",
            "Calls that are over, by outcome.",
            {one.value: sources.ledger.closed[one] for one in Outcome},
            "outcome",
        )
        yield _counter(
            "calls_degraded",
            "Calls counted as recorded that proved to be partial.",
            sources.ledger.degraded,
        )
        yield _counter(
            "notices",
            "Notices: played to their end or not; not shown beside a call.",
            {
                "played": sources.calls.notices_played,
                "failed": sources.calls.notices_failed,
                "missing": sources.calls.sessions.notices_missing,
            },
            "result",
        )
        yield _counter(
            "strangers_refused",
            "Requests from addresses that are no configured peer.",
            sources.strangers(),
        )

    def _recording_sessions(self) -> Iterator[Metric]:
        sources, stats = self._sources, self._sources.calls.sessions
        yield _gauge(
            "sessions_active",
            "Recording sessions that are up.",
            sources.sessions_active(),
        )
        yield _counter(
            "session_segments",
            "Segments of recording sessions, by what told who is who.",
            {one.value: stats.segments[one] for one in Basis},
            "basis",
        )
        yield _counter(
            "sessions_withheld",
            "Times that nothing of a recording session might be recorded any more.",
            {one.value: stats.withheld[one] for one in Withheld},
            "reason",
        )
        yield _counter(
            "metadata_unread",
            "Metadata for which its peer's budget did not suffice.",
            sources.metadata_unread(),
            "peer",
        )

    def _today(self) -> Iterator[Metric]:
        today = self._sources.today()
        if today is None:
            return
        rate = today.capture_rate
        yield _gauge(
            "capture_ratio",
            "Today's answered calls that must be recorded: how many are, as a whole.",
            rate,
        )
        outcomes = {one.value: today.outcomes.get(one, 0) for one in Outcome}
        yield _gauge(
            "day_calls", "Calls that began today, by outcome.", outcomes, "outcome"
        )
        yield _gauge("day_calls_running", "Those without one yet.", today.running)
        yield _gauge("day_calls_answered", "Those answered and over.", today.answered)
        yield _gauge(
            "day_missing_seconds",
            "Talk of today's calls that is in no recording.",
            today.missing_ms / _MS,
        )
        yield _gauge(
            "day_recordings",
            "Recordings of today's calls, by whether storage has them.",
            {"stored": today.stored, "waiting": today.waiting},
            "state",
        )

    def _packets(self) -> Iterator[Metric]:
        figures = self._sources.figures
        totals = figures.totals
        yield _counter(
            "rtp_packets",
            "RTP packets taken from peers, and sent to them.",
            {"received": totals.received, "sent": totals.sent},
            "direction",
        )
        yield _counter(
            "rtp_packets_lost",
            "RTP packets that did not arrive here, or there as peers report it.",
            {"received": totals.lost, "sent": totals.remote_lost},
            "direction",
        )
        yield _counter(
            "rtp_packets_refused",
            "Packets that were no RTP, from strangers, or under no key of ours.",
            totals.refused,
        )
        yield _counter(
            "rtp_send_errors", "Packets the kernel would not take.", totals.send_errors
        )
        yield _histogram(
            "rtp_jitter_seconds",
            "Interarrival jitter of each leg, every few seconds.",
            figures.jitter_ms,
            _MS,
        )
        yield _histogram(
            "relay_delay_seconds",
            "How long a packet waited to be relayed; one of each leg, now and then.",
            figures.delay_ms,
            _MS,
        )

    def _host(self) -> Iterator[Metric]:
        try:
            status = self._sources.status()
        except OSError:
            yield _gauge("spool_readable", "Whether the spool can be read.", 0)
            return
        yield _gauge("spool_readable", "Whether the spool can be read.", 1)
        yield _gauge(
            "journal_lag_seconds",
            "How old the oldest block is that is not durable yet.",
            self._sources.journal_lag(),
        )
        yield from _spool(status)
        yield from _storages(status)
        yield from _others(status)

    def _keys(self) -> Iterator[Metric]:
        sources = self._sources
        yield _counter(
            "key_problems",
            "Times that keys, or lists of them, were missing or not believed.",
            sources.key_problems(),
        )
        yield _gauge(
            "certificate_expiry_timestamp_seconds",
            "When what is shown to others expires; 0 if it cannot be read.",
            sources.expiries(),
            "use",
        )

    def _process(self) -> Iterator[Metric]:
        sources = self._sources
        on = Counter(sources.alarms())
        yield _gauge(
            "alarm_active",
            "Alarms that are on, by the log event that raised them.",
            {event: on[event] for event in sources.raising},
            "event",
        )
        if (events := sources.events) is not None:
            yield _counter(
                "events",
                "Events, by what became of them.",
                {"sent": events.sent, "dropped": events.dropped},
                "result",
            )
            yield _gauge("events_waiting", "Events not sent yet.", events.waiting)
        yield _counter(
            "log_lines_dropped", "Lines that nobody took.", sources.dropped()
        )
        yield _histogram(
            "event_loop_lag_seconds",
            "How late the event loop was, twice a second.",
            sources.loop_lag,
            1.0,
        )


def _spool(status: HostStatus) -> Iterator[Metric]:
    yield _gauge(
        "spool_used_ratio", "Used of the spool's file system.", status.spool_used
    )
    yield _gauge(
        "spool_high_water_ratio",
        "From this on no recording begins.",
        status.spool_high_water,
    )
    yield _gauge(
        "spool_free_bytes",
        "Free on the spool's file system.",
        status.spool_free_mb << 20,
    )
    yield _gauge("spool_full", "Whether the mark was passed.", status.spool_alarm)
    yield _gauge("recordings_to_finish", "Ended, and not sealed.", status.to_finish)
    yield _gauge(
        "finish_lag_seconds",
        "How long the first of them has waited.",
        status.to_finish_for or 0.0,
    )
    yield _gauge("recordings_to_store", "Sealed, and not stored.", status.to_store)
    yield _gauge(
        "upload_lag_seconds",
        "How long the first of them has waited.",
        status.to_store_for or 0.0,
    )


def _storages(status: HostStatus) -> Iterator[Metric]:
    storages = status.storages
    yield _gauge(
        "storage_up",
        "Whether a storage did not fail when it was last asked.",
        {one.name: not one.away for one in storages},
        "storage",
    )
    yield _gauge(
        "storage_recordings_waiting",
        "Recordings that a storage has not got.",
        {one.name: one.to_store for one in storages},
        "storage",
    )
    yield _gauge(
        "storage_lag_seconds",
        "How long the first of them has waited.",
        {one.name: one.to_store_for or 0.0 for one in storages},
        "storage",
    )


def _others(status: HostStatus) -> Iterator[Metric]:
    up = {one.name: one.up for one in status.peers if one.up is not None}
    yield _gauge("peer_up", "Whether a peer that is probed answers.", up, "peer")
    registered = {
        one.name: one.registered for one in status.peers if one.registered is not None
    }
    yield _gauge(
        "peer_registered",
        "Whether a peer's registrar knows where to find us.",
        registered,
        "peer",
    )
    away = status.broker_away
    yield _gauge(
        "broker_up", "Whether the broker is there.", None if away is None else not away
    )
    yield _gauge(
        "day_keys_days",
        "Days from today on that the gate's list has keys for.",
        status.day_keys_for,
    )
    workers = status.workers
    yield _gauge(
        "worker_up",
        "Whether there is a media worker in a place.",
        {str(one.number): one.alive for one in workers},
        "worker",
    )
    yield _counter(
        "worker_restarts",
        "Media workers that died in a place.",
        {str(one.number): one.restarts for one in workers},
        "worker",
    )


_Values = Mapping[str, float] | float | None


def _samples(values: _Values) -> Iterable[tuple[list[str], float]]:
    if values is None:
        return
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield [name], float(value)
    else:
        yield [], float(values)


def _gauge(name: str, text: str, values: _Values, label: str = "") -> Metric:
    labels = [label] if label else []
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for labelled, value in _samples(values):
        family.add_metric(labelled, value)
    return family


def _counter(name: str, text: str, values: _Values, label: str = "") -> Metric:
    labels = [label] if label else []
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for labelled, value in _samples(values):
        family.add_metric(labelled, value)
    return family


def _histogram(name: str, text: str, seen: Histogram, per_second: float) -> Metric:
    """What was observed in units of which a second has `per_second`."""
    bounds = [*(str(bound / per_second) for bound in seen.bounds), "+Inf"]
    buckets = list(zip(bounds, map(float, seen.cumulative), strict=True))
    family = HistogramMetricFamily(PREFIX + name, text)
    family.add_metric([], buckets=buckets, sum_value=seen.total / per_second)
    return family
