"""Whether the MQTT broker lets the daemon in."""

import asyncio
from collections.abc import Iterator

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.errors import AgentError
from agent.service.broker_access import probe_broker


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Connect as the daemon does, under another name, and go again."""
    mqtt = patient.config.mqtt
    if not mqtt.url:
        yield found.right("no broker is configured, and no event is kept for one")
        return
    place = f"{mqtt.host}:{mqtt.port}"
    try:
        asyncio.run(
            probe_broker(mqtt, patient.config.region, patient.base, patient.secrets)
        )
    except AgentError as error:
        yield found.wrong(
            f"{place}: {error.args[0]}",
            error.hint or "Check [mqtt], and what the broker logs.",
        )
    else:
        yield found.right(f"{place} lets us in")
