"""What dashboard and rules ask for is what the agent tells, and the other way round."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from agent.service.metrics.collector import PREFIX, AgentCollector
from tests.service.metrics.running import running

RULES = Path("config/prometheus/recording-agent.rules.yml")
DASHBOARD = Path("config/grafana/recording-agent.json")
_NAME = re.compile(rf"\b{PREFIX}\w+")
_EXPRESSION = re.compile(r"expr: (>-\n(?: {10,}.*\n)+|.*\n)")
_SELECTED = re.compile(rf"({PREFIX}\w+)\{{([^}}]*)\}}")
_LABEL = re.compile(r"(\w+)\s*=~?\s*\"")


def families() -> list[Metric]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AgentCollector(running()))
    return list(registry.collect())


def series() -> dict[str, set[str]]:
    """Every series' name, and its labels."""
    return {
        sample.name: set(sample.labels)
        for family in families()
        for sample in family.samples
    }


def expressions() -> Iterator[str]:
    yield from _EXPRESSION.findall(RULES.read_text())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def test_what_is_asked_for_is_told() -> None:
    told = series()
    asked = [name for text in expressions() for name in _NAME.findall(text)]
    assert len(asked) > 60
    assert set(asked) <= told.keys()


def test_labels_that_are_asked_for_are_told() -> None:
    told = series()
    for text in expressions():
        for name, labels in _SELECTED.findall(text):
            # The instance and the job are added by who scrapes.
            asked = set(_LABEL.findall(labels)) - {"instance", "job"}
            assert asked <= told[name], name


def test_whatever_is_told_stands_in_the_dashboard() -> None:
    """But for what only words tell."""
    shown = set(_NAME.findall(DASHBOARD.read_text()))
    missing = [
        family.name
        for family in families()
        if not any(name.startswith(family.name) for name in shown)
    ]
    assert missing == [f"{PREFIX}build"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    ids = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y)
            for x in range(place["w"])
            for y in range(place["h"])
        }
        assert not cells & taken
        taken |= cells
        ids.add(panel["id"])
    assert len(ids) == len(json.loads(DASHBOARD.read_text())["panels"])
