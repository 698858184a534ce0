"""Every alert rule under Prometheus' own tool: when it fires, and when it does not."""

import itertools
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.peers import PROMTOOL

pytestmark = [pytest.mark.integration, pytest.mark.beside]

RULES = Path("config/prometheus/recording-agent.rules.yml")
DASHBOARD = Path("config/grafana/recording-agent.json")
P = "recording_agent_"


@dataclass(frozen=True)
class Case:
    """Series of one host, and the alert they raise at a time, or do not."""

    alert: str
    at: str
    firing: dict[str, str]
    quiet: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    "Of the alert, beside the instance."
    severity: str = "ticket"


def buckets(name: str, low: str, high: str, *, slow: bool) -> dict[str, str]:
    """Of a histogram: all observations up to `low`, or all beyond it up to `high`."""
    many = "0+100x30"
    return {
        f'{P}{name}_bucket{{le="{low}"}}': "0+0x30" if slow else many,
        f'{P}{name}_bucket{{le="{high}"}}': many,
        f'{P}{name}_bucket{{le="+Inf"}}': many,
    }


def one(
    name: str, labels: str, firing: str, quiet: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The same series twice."""
    series = f"{P}{name}{{{labels}}}"
    return {series: firing}, {series: quiet}


def outcomes(**values: str) -> dict[str, str]:
    return {f'{P}calls_total{{outcome="{name}"}}': v for name, v in values.items()}


CASES = [
    Case("Down", "2m", {"up": "0x10"}, {"up": "1x10"}, severity="page"),
    Case(
        "CallsNotRecorded", "5m",
        outcomes(recorded="0+9x10", unrecorded="0 0 1x10"),
        outcomes(recorded="0+9x10", unrecorded="7x10", blocked="0x10"),
        {"outcome": "unrecorded"}, "page",
    ),
    Case("CaptureIncomplete", "1m", *one("capture_ratio", "", "0.99x5", "1x5")),
    Case(
        "RecordingsDegraded", "5m",
        *one("calls_degraded_total", "", "0 0 1x10", "1x10"),
    ),
    Case(
        "NoticesFailing", "5m",
        *one("notices_total", 'result="failed"', "0 0 1x10", "1x10"),
        {"result": "failed"}, "page",
    ),
    Case(
        "CallsFailing", "20m",
        outcomes(recorded="0+7x30", failed="0+3x30"),
        outcomes(recorded="0+9x30", failed="0+1x30"),
        severity="page",
    ),
    Case(
        "PacketLoss", "15m",
        {
            f'{P}rtp_packets_total{{direction="received"}}': "0+970x30",
            f'{P}rtp_packets_lost_total{{direction="received"}}': "0+30x30",
        },
        {
            f'{P}rtp_packets_total{{direction="received"}}': "0+990x30",
            f'{P}rtp_packets_lost_total{{direction="received"}}': "0+10x30",
        },
        {"direction": "received"},
    ),
    Case(
        "Jitter", "25m",
        buckets("rtp_jitter_seconds", "0.04", "0.08", slow=True),
        buckets("rtp_jitter_seconds", "0.04", "0.08", slow=False),
    ),
    Case(
        "RelaySlow", "15m",
        buckets("relay_delay_seconds", "0.02", "0.05", slow=True),
        buckets("relay_delay_seconds", "0.02", "0.05", slow=False),
        severity="page",
    ),
    Case(
        "WorkerDown", "3m", *one("worker_up", 'worker="1"', "0x10", "1x10"),
        {"worker": "1"}, "page",
    ),
    Case(
        "WorkersDying", "10m",
        *one("worker_restarts_total", 'worker="1"', "0+1x20", "0 1 2x20"),
        {"worker": "1"}, "page",
    ),
    Case(
        "JournalSlow", "3m", *one("journal_lag_seconds", "", "11x10", "3x10"),
        severity="page",
    ),
    Case("FinishingBehind", "8m", *one("finish_lag_seconds", "", "901x10", "899x10")),
    Case("UploadBehind", "8m", *one("upload_lag_seconds", "", "3601x10", "9x10")),
    Case(
        "StorageDown", "8m", *one("storage_up", 'storage="north"', "0x10", "1x10"),
        {"storage": "north"}, "page",
    ),
    Case(
        "SpoolFilling", "8m",
        {f"{P}spool_used_ratio": "0.73x10", f"{P}spool_high_water_ratio": "0.9x10"},
        {f"{P}spool_used_ratio": "0.71x10", f"{P}spool_high_water_ratio": "0.9x10"},
    ),
    Case(
        "SpoolFull", "1m",
        {f"{P}spool_full": "1x5", f"{P}spool_readable": "1x5"},
        {f"{P}spool_full": "0x5", f"{P}spool_readable": "1x5"},
        severity="page",
    ),
    Case(
        "SpoolFull", "1m", *one("spool_readable", "", "0x5", "1x5"), severity="page"
    ),
    Case(
        "PeerDown", "3m", *one("peer_up", 'peer="trunk"', "0x5", "1x5"),
        {"peer": "trunk"}, "page",
    ),
    Case(
        "PeerNotRegistered", "8m",
        *one("peer_registered", 'peer="trunk"', "0x10", "1x10"),
        {"peer": "trunk"}, "page",
    ),
    Case("BrokerDown", "12m", *one("broker_up", "", "0x20", "1x20")),
    Case(
        "EventsDropped", "5m",
        *one("events_total", 'result="dropped"', "0 0 1x10", "1x10"),
        {"result": "dropped"},
    ),
    Case(
        "CertificateExpires", "1m",
        *one(
            "certificate_expiry_timestamp_seconds", 'use="tls"',
            f"{13 * 86_400}x5", f"{15 * 86_400}x5",
        ),
        {"use": "tls"},
    ),
    Case(
        "DayKeysShort", "1m", *one("day_keys_days", "", "6x5", "7x5"), severity="page"
    ),
    Case("KeyProblems", "5m", *one("key_problems_total", "", "0 0 1x10", "1x10")),
    Case(
        "LoopLate", "15m",
        buckets("event_loop_lag_seconds", "0.25", "0.5", slow=True),
        buckets("event_loop_lag_seconds", "0.25", "0.5", slow=False),
        severity="page",
    ),
    Case(
        "LogLinesDropped", "5m",
        *one("log_lines_dropped_total", "", "0 0 1x10", "1x10"),
    ),
    Case(
        "NoticeMissing", "5m",
        *one("notices_total", 'result="missing"', "0 0 1x10", "1x10"),
        {"result": "missing"}, "page",
    ),
    Case(
        "PartiesUndecided", "1m",
        *one("alarm_active", 'event="parties_undecided"', "1x5", "0x5"),
        {"event": "parties_undecided"},
    ),
    Case(
        "Alarm", "1m", *one("alarm_active", 'event="peer_down"', "1x5", "0x5"),
        {"event": "peer_down"},
    ),
]  # fmt: skip


def rules(*, annotations: bool = True) -> str:
    """The rules; without annotations a test need not repeat their words."""
    lines = RULES.read_text().splitlines(keepends=True)
    if annotations:
        return "".join(lines)
    kept, inside = [], False
    for line in lines:
        inside = (inside and line.startswith(" " * 10)) or "annotations:" in line
        if not inside:
            kept.append(line)
    return "".join(kept)


def promtool(*arguments: str | Path) -> None:
    command = [*PROMTOOL.command, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()


def with_host(series: str) -> str:
    """A series of host a: `name{x="y"}` becomes `name{x="y",instance="a"}`."""
    name, _, labels = series.rstrip("}").partition("{")
    job = 'job="recording-agent"' if name == "up" else ""
    told = ",".join(part for part in (labels, job, 'instance="a"') if part)
    return f"{name}{{{told}}}"


def trial(case: Case, series: dict[str, str], *, fires: bool) -> dict[str, object]:
    labels = {"instance": "a", "severity": case.severity} | case.labels
    if case.alert == "Down":
        labels["job"] = "recording-agent"
    return {
        "interval": "1m",
        "input_series": [
            {"series": with_host(name), "values": v} for name, v in series.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": case.at,
                "alertname": f"RecordingAgent{case.alert}",
                "exp_alerts": [{"exp_labels": labels}] if fires else [],
            }
        ],
    }


def test_rules_are_valid() -> None:
    promtool("check", "rules", RULES)


def test_the_dashboards_questions_are_valid(tmp_path: Path) -> None:
    asked = [
        target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", ())
    ]
    recorded = [
        {"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(asked)
    ]
    groups = {"groups": [{"name": "dashboard", "rules": recorded}]}
    (tmp_path / "asked.yml").write_text(json.dumps(groups))
    promtool("check", "rules", tmp_path / "asked.yml")
    assert len(asked) > 40


def test_every_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules(annotations=False))
    tests = itertools.chain.from_iterable(
        (trial(case, case.firing, fires=True), trial(case, case.quiet, fires=False))
        for case in CASES
    )
    # JSON is YAML as well.
    trials = {"rule_files": ["rules.yml"], "tests": list(tests)}
    (tmp_path / "trials.yml").write_text(json.dumps(trials))
    promtool("test", "rules", tmp_path / "trials.yml")


def test_every_alert_is_tried() -> None:
    named = re.findall(r"- alert: RecordingAgent(\w+)", RULES.read_text())
    assert sorted(named) == sorted({case.alert for case in CASES})
