"""What is served: `/metrics`, `/healthz`, `/readyz`."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from agent.service.metrics.exchange import TEXT, Answer, Question
from agent.service.metrics.server import Page

_MODERN: Final = "application/openmetrics-text"
"Whoever takes this form prefers it. The library's own choice fails on odd versions."


class HealthReport(Protocol):
    """How it stands with the daemon."""

    @property
    def alive(self) -> bool:
        """Whether it works; if not it had better be started anew."""
        ...

    @property
    def ready(self) -> bool:
        """Whether calls may be sent to it."""
        ...

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; no number and no name."""
        ...


def build_pages(
    collector: Collector,
    refresh: Callable[[], Awaitable[None]],
    health: Callable[[], HealthReport],
) -> dict[str, Page]:
    """Pages by their paths; `refresh` is awaited before numbers are told."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(collector)

    async def metrics(question: Question) -> Answer:
        await refresh()
        if _MODERN in question.accept:
            body = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
            return Answer(body, content_type=openmetrics.CONTENT_TYPE_LATEST)
        return Answer(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def healthz(_: Question) -> Answer:
        found = health()
        return _verdict(found.alive, "alive", found.findings)

    async def readyz(_: Question) -> Answer:
        found = health()
        return _verdict(found.alive and found.ready, "ready", found.findings)

    return {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}


def _verdict(good: bool, word: str, findings: tuple[str, ...]) -> Answer:  # noqa: FBT001
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    lines = [word if good else f"not {word}", *findings]
    return Answer("".join(f"{line}\n" for line in lines).encode(), status, TEXT)
