"""Whether central storage is as it must be: what `storage check` finds, in short."""

from collections.abc import Iterator

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.cli.storage.check import findings
from agent.cli.storage.targets import read_site
from agent.service.host_status import HostStatus
from agent.upload.bucket_properties import Verdict
from agent.upload.policies import Users

WAITING_LONG = 3600.0
"Seconds after which what waits for storage is more than a hiccup."


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge directories and buckets with the host's own credentials, and the queue."""
    for one in findings(read_site(patient.file), None, Users(), None):
        text = f"{one.bucket}: {one.about}: {one.text}"
        if one.verdict is Verdict.WRONG:
            yield found.wrong(
                text, one.remedy or "See `recording-agent storage check`."
            )
        elif one.verdict is Verdict.UNTOLD and one.about == "rights":
            # Of the host's own rights it is silent only if it could not be asked.
            yield found.wrong(
                text,
                "See [[storage]]: endpoint, credentials, ca, and whether it is up.",
            )
        elif one.verdict is Verdict.UNTOLD:
            yield found.warning(text, one.remedy or "Ask whoever runs the storage.")
        else:
            yield found.right(text)
    if patient.reply is not None and patient.reply.host is not None:
        yield from _queue(patient.reply.host, found)


def _queue(host: HostStatus, found: Findings) -> Iterator[Finding]:
    for storage in host.storages:
        if storage.away:
            yield found.wrong(
                f"{storage.name} failed when it was last asked; {storage.to_store}"
                " recordings wait for it",
                "See `storing_failed` in the journal: it has the store's own reason.",
            )
        elif (storage.to_store_for or 0.0) > WAITING_LONG:
            yield found.warning(
                f"{storage.name}: the first of {storage.to_store} recordings waits for"
                f" {(storage.to_store_for or 0.0) / 3600:.0f} h",
                "See whether the line to it is too slow for what is recorded.",
            )
