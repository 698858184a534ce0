"""The endpoint of Prometheus, put together from a running agent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from agent import __version__
from agent.call.control import CallControl
from agent.common import logs
from agent.common.catalogue import CATALOGUE
from agent.common.clock import monotonic, utc_ns
from agent.common.histogram import Histogram
from agent.events.publisher import PublisherStats
from agent.formats.layout import day_of
from agent.media.pool import MediaPool
from agent.recording.ledger import Ledger
from agent.recording.tally import Tally, read_tally, span_of
from agent.service.alarm_board import AlarmBoard
from agent.service.config import Config
from agent.service.health import Health
from agent.service.host_status import HostStatus
from agent.service.metrics.certificates import read_expiries
from agent.service.metrics.collector import AgentCollector
from agent.service.metrics.config import LoopbackAddress, SocketPath
from agent.service.metrics.loop_lag import BOUNDS, watch_loop
from agent.service.metrics.pages import build_pages
from agent.service.metrics.remembered import Remembered
from agent.service.metrics.server import MetricsServer
from agent.service.metrics.sources import Sources
from agent.service.witness import Witness

TALLY_SECONDS: Final = 5.0
"The ledger is counted no more often, whoever scrapes."
EXPIRY_SECONDS: Final = 60.0
"Certificates are read no more often."


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of the agent has numbers."""

    config: Callable[[], Config]
    "As it is in force; a reload brings another."
    control: CallControl
    ledger: Ledger
    media: MediaPool
    witness: Witness
    alarms: AlarmBoard
    health: Health
    status: Callable[[], HostStatus]
    events: PublisherStats | None
    "None without a broker."


class Endpoint:
    """Listens from `start` to `close`."""

    def __init__(
        self,
        address: LoopbackAddress | SocketPath,
        base: Path,
        parts: Parts,
    ) -> None:
        self._lag = Histogram(BOUNDS)
        config = parts.config()
        ledger = base / config.agent.spool / "ledger.sqlite"

        def count() -> Tally:
            tests = routes_of_tests(parts.config())
            return read_tally(ledger, *span_of(today()), tests=tests)

        self._today = Remembered("ledger", count, seconds=TALLY_SECONDS)
        self._expiries = Remembered(
            "certificates",
            lambda: read_expiries(certificates(parts.config(), base)),
            seconds=EXPIRY_SECONDS,
        )
        sources = self._sources(config, parts)
        self._server = MetricsServer(
            address,
            build_pages(
                AgentCollector(sources),
                self._refresh,
                lambda: parts.health.look(monotonic()),
            ),
        )

    async def start(self) -> None:
        """Listen. Raises MetricsListenError."""
        await self._server.start()

    async def run(self) -> None:
        """Measure how late the loop is, for ever."""
        await watch_loop(self._lag)

    async def close(self) -> None:
        """Listen no more."""
        await self._server.close()

    async def _refresh(self) -> None:
        now = monotonic()
        await self._today.refresh(now)
        await self._expiries.refresh(now)

    def _sources(self, config: Config, parts: Parts) -> Sources:
        control, media, witness = parts.control, parts.media, parts.witness
        return Sources(
            host=config.agent.name,
            version=__version__,
            status=parts.status,
            active_calls=lambda: control.active_calls,
            strangers=lambda: control.refused_strangers,
            sessions_active=lambda: control.active_sessions,
            metadata_unread=lambda: control.joint.sources.unread,
            ledger=parts.ledger.stats,
            today=self._today,
            calls=control.joint.stats,
            figures=media.figures,
            journal_lag=lambda: max(
                (place.journal_lag for place in media.workers), default=0.0
            ),
            key_problems=lambda: witness.problems,
            loop_lag=self._lag,
            raising=tuple(one.event for one in CATALOGUE.values() if one.raises),
            alarms=lambda: [alarm.event for alarm in parts.alarms.active()],
            dropped=logs.dropped,
            expiries=lambda: self._expiries() or {},
            events=parts.events,
        )


def build_endpoint(base: Path, parts: Parts) -> Endpoint | None:
    """The endpoint, if one is configured."""
    address = parts.config().metrics.address()
    return None if address is None else Endpoint(address, base, parts)


def routes_of_tests(config: Config) -> list[str]:
    """Those whose calls are nobody's."""
    return [route.name for route in config.routes if route.test]


def certificates(config: Config, base: Path) -> Mapping[str, Path]:
    """The files of what this host shows to others, by what they are for."""
    named = {"tls": config.tls.certificate, "mqtt": config.mqtt.certificate}
    return {use: base / name for use, name in named.items() if name}


def today() -> date:
    """The local day."""
    return day_of(utc_ns())
