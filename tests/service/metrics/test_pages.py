from dataclasses import dataclass

import pytest
from hypothesis import given, settings, strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.service.metrics.collector import AgentCollector
from agent.service.metrics.exchange import Answer, Question
from agent.service.metrics.pages import build_pages
from tests.service.metrics.running import running


@dataclass(frozen=True)
class Found:
    alive: bool = True
    ready: bool = True
    findings: tuple[str, ...] = ()


async def asked(path: str, found: Found | None = None, accept: str = "") -> Answer:
    refreshed = []

    async def refresh() -> None:
        refreshed.append(True)

    pages = build_pages(AgentCollector(running()), refresh, lambda: found or Found())
    answer = await pages[path](Question(path, accept))
    assert bool(refreshed) is (path == "/metrics")
    return answer


async def test_numbers_in_either_form() -> None:
    plain = await asked("/metrics")
    assert plain.content_type.startswith("text/plain")
    assert b"recording_agent_calls_active 2.0\n" in plain.body
    assert b"process_resident_memory_bytes " in plain.body
    modern = await asked(
        "/metrics", accept="application/openmetrics-text; version=1.0.0"
    )
    assert modern.content_type.startswith("application/openmetrics-text")
    names = {one.name for one in text_string_to_metric_families(modern.body.decode())}
    assert "recording_agent_calls" in names


@pytest.mark.parametrize(
    ("found", "alive", "ready"),
    [
        (Found(), 200, 200),
        (Found(ready=False, findings=("No storage answers.",)), 200, 503),
        (Found(alive=False, findings=("Worker 1 is silent.",)), 503, 503),
    ],
)
async def test_health(found: Found, alive: int, ready: int) -> None:
    healthz, readyz = await asked("/healthz", found), await asked("/readyz", found)
    assert (healthz.status, readyz.status) == (alive, ready)
    for answer in (healthz, readyz):
        lines = answer.body.decode().splitlines()
        assert lines[0].startswith("not ") is (answer.status != 200)
        assert tuple(lines[1:]) == found.findings


@settings(max_examples=30)
@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=80))
async def test_whatever_form_is_asked_for_is_answered(accept: str) -> None:
    for start in ("", "application/openmetrics-text;version="):
        assert (await asked("/metrics", accept=start + accept)).body
