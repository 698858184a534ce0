"""Whether there are keys to encrypt, sign and index with, today and next week."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.clock import utc_ns
from agent.formats.blind_index import IndexKeys
from agent.formats.day_keys import DayKeyList
from agent.formats.layout import day_of, month_of
from agent.formats.roster import Role, Roster
from agent.service.protection import EARLY

DAYS_AHEAD: Final = 7
"From there on the daemon logs `day_keys_running_out`."
MAX_DAYS: Final = 366
_FROM_GATE: Final = "Bring the gate's newest list: GET /day-keys, or `publish` there."


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge what was read; what cannot be read is the configuration's."""
    material = patient.material
    if material is None:
        return
    today = day_of(utc_ns())
    quality = len(material.people.quality())
    yield found.right(
        f"every recording is encrypted to {quality} keys and its officers'"
    )
    if material.roster is not None:
        yield from _officers(material.roster, today, found)
    protection = material.protection
    if protection.signing is not None:
        where = "" if material.roster is None else ", and stands in the roster"
        yield found.right(f"the signing key is there{where}")
    if protection.day_keys is not None:
        yield from _day_keys(protection.day_keys, today, found)
    if protection.index is not None:
        yield from _index(protection.index, today, found)


def _officers(roster: Roster, today: date, found: Findings) -> Iterator[Finding]:
    officers = roster.active(Role.OFFICER, today)
    without = sum(not officer.recipient for officer in officers)
    if without:
        yield found.warning(
            f"{without} of {len(officers)} officers in the roster have no key: they"
            " cannot open their own calls",
            "Have each make one (keygen), and put its public half into the roster.",
        )
    elif officers:
        yield found.right(f"all {len(officers)} officers of the roster have a key")


def _day_keys(keys: DayKeyList, today: date, found: Findings) -> Iterator[Finding]:
    coming = 0
    while coming < MAX_DAYS and keys.current(today + timedelta(coming)) is not None:
        coming += 1
    if not coming:
        yield found.wrong(
            "there is no day key for today: recordings wait in the spool", _FROM_GATE
        )
    elif coming < DAYS_AHEAD:
        yield found.warning(f"there are day keys for {coming} days only", _FROM_GATE)
    else:
        yield found.right(f"there are day keys for {coming} days")


def _index(index: IndexKeys, today: date, found: Findings) -> Iterator[Finding]:
    for day, verdict in ((today, found.wrong), (today + EARLY, found.warning)):
        month = month_of(day)
        if month not in index.months:
            yield verdict(
                f"there is no index key for {month}: its recordings are not found by"
                " number",
                "Print them at the gate: recording-agent-gate keyring index-keys.",
            )
            return
    yield found.right(f"there is an index key for {month_of(today)}")
