"""Whether the host's clock follows a reference: recordings are named and kept by it."""

import ctypes
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.cli.doctor.finding import Finding, Findings, Patient

UNSYNCHRONISED: Final = 0x40
"STA_UNSYNC of adjtimex(2)."
FAR: Final = 1.0
"Seconds of error from which on a day's last calls may be filed under the next."
_REMEDY: Final = (
    "Install chrony, or run `timedatectl set-ntp true`; `timedatectl` tells."
)


class Reading(NamedTuple):
    """What the kernel knows of its clock."""

    status: int
    error: float
    "Seconds by which it may be wrong."


class _Timex(ctypes.Structure):
    """The beginning of struct timex; the rest is room for what the kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def read_clock() -> Reading:
    """Ask the kernel; changes nothing. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return Reading(timex.status, timex.maxerror / 1e6)


def check(_: Patient, found: Findings) -> Iterator[Finding]:
    """Judge the kernel's own figures."""
    try:
        yield judge(read_clock(), found)
    except OSError as error:
        yield found.warning(
            f"the kernel does not tell how good its clock is: {error.strerror}",
            "Look at `timedatectl` on the host itself.",
        )


def judge(reading: Reading, found: Findings) -> Finding:
    """What a reading means."""
    if reading.status & UNSYNCHRONISED:
        return found.warning("nothing keeps this host's clock right", _REMEDY)
    if reading.error > FAR:
        return found.wrong(
            f"the clock may be wrong by {reading.error:.1f} s",
            "See `chronyc tracking`: its servers are away, or far.",
        )
    return found.right(f"the clock is right to {reading.error * 1000:.0f} ms")
