"""Whether the daemon answers, and which alarms are on."""

from collections.abc import Iterator

from agent.cli.asking import named
from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.catalogue import CATALOGUE
from agent.service.host_status import HostStatus

_MANY_RESTARTS = 3
"Deaths of one worker since the start: more than chance."


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Ask it, and pass on what it says of itself."""
    if patient.reply is None:
        active = (patient.unit or {}).get("ActiveState") == "active"
        text = f"it does not answer: {patient.silence}"
        if active:
            yield found.wrong(
                text, "See `journalctl -u recording-agent`; restart it if it hangs."
            )
        else:
            yield found.warning(
                text, "Start it: systemctl start recording-agent, or run it by hand."
            )
        return
    host = patient.reply.host
    yield found.right(f"it answers; {len(patient.reply.calls)} calls are up")
    if host is not None:
        yield from _alarms(host, found)
        yield from _peers(host, found)
        yield from _workers(host, found)


def _alarms(host: HostStatus, found: Findings) -> Iterator[Finding]:
    for alarm in host.alarms:
        times = f", {alarm.count} times" if alarm.count > 1 else ""
        entry = CATALOGUE.get(alarm.event)
        yield found.wrong(
            f"alarm {named(alarm)}: {alarm.summary.rstrip('.')}{times}",
            # A daemon of another version may know others.
            "See the journal: journalctl -x." if entry is None else entry.remedy,
        )
    if host.draining:
        yield found.warning(
            "it drains: new calls are refused",
            "Run `recording-agent undrain` when calls are to be taken again.",
        )


def _peers(host: HostStatus, found: Findings) -> Iterator[Finding]:
    for peer in host.peers:
        if peer.up is False:
            yield found.wrong(
                f"the peer {peer.name} does not answer OPTIONS",
                "See whether it is up, and whether a firewall lets SIP through.",
            )
        if peer.registered is False:
            yield found.wrong(
                f"the peer {peer.name} has not registered us",
                "See `registration_failed` in the journal: password, realm, address.",
            )
        if peer.up:
            yield found.right(f"the peer {peer.name} answers")


def _workers(host: HostStatus, found: Findings) -> Iterator[Finding]:
    for worker in host.workers:
        if not worker.alive:
            yield found.wrong(
                f"media worker {worker.number} is not there",
                "See `media_worker_lost` and `media_worker_given_up` in the journal.",
            )
        elif worker.restarts >= _MANY_RESTARTS:
            yield found.warning(
                f"media worker {worker.number} died {worker.restarts} times",
                "Report it, with the journal of recording-agent-media.",
            )
