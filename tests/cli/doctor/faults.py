"""Faults as operators make them; each spoils one thing of a sound host."""

import datetime as dt
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from agent.cli.doctor.clock import UNSYNCHRONISED, Reading
from agent.cli.doctor.disk import Mount
from agent.cli.doctor.finding import Verdict
from agent.common.clock import utc_now
from agent.service.commands import Reply
from agent.signalling import resolver
from agent.upload.bucket_properties import Finding as Told, Verdict as Unknown
from tests.cli.doctor.conftest import SoundHost
from tests.cli.prepared import HOST
from tests.lab.certificates import Authority
from tests.ports import free_ports
from tests.service.protected import days_from

RIGHT, WARNING, WRONG = Verdict.RIGHT, Verdict.WARNING, Verdict.WRONG
Spoil = Callable[[SoundHost, ExitStack, pytest.MonkeyPatch], None]
Fault = tuple[Spoil, Verdict, str, str, str]
replace = msgspec.structs.replace


def mistyped(host: SoundHost, *_: object) -> None:
    host.edit("workers = 1", "worker = 1")


def port_taken(host: SoundHost, stack: ExitStack, *_: object) -> None:
    other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    other.bind(("127.0.0.1", host.sip))


def address_of_nobody(host: SoundHost, *_: object) -> None:
    host.edit(f"udp:127.0.0.1:{host.sip}", f"udp:192.0.2.1:{host.sip}")


def ports_overlap(host: SoundHost, *_: object) -> None:
    host.edit("ports = [", f"ports = [{host.sip - 100}, {host.sip + 100}] # [")


def audio_to_nowhere(host: SoundHost, *_: object) -> None:
    host.edit('match = ["127.0.0.1:5999"]', 'match = ["198.51.100.7"]')


def other_configuration(host: SoundHost, *_: object) -> None:
    host.reply = Reply(host=HOST)


def name_unknown(host: SoundHost, _: ExitStack, patch: pytest.MonkeyPatch) -> None:
    [closed] = free_ports(1)
    patch.setattr(resolver, "LIFETIME", 0.05)
    host.edit("[sip]", f'[sip]\nnameservers = ["127.0.0.1:{closed}"]')
    host.edit('uri = "sip:127.0.0.1:5999"', 'uri = "sip:pbx.example.org"')


def transport_not_served(host: SoundHost, *_: object) -> None:
    host.edit('uri = "sip:127.0.0.1:5999"', 'uri = "sip:127.0.0.1:5999;transport=tcp"')


def _siprec(host: SoundHost, more: str = "", told: str = "header:X-Told") -> None:
    entry = f'[[siprec]]\nname = "s"\nfrom = "trunk"\nnotice = "{told}"\n{more}\n'
    host.edit("[[routes]]", f"{entry}[[routes]]")


def recorded_in_the_clear(host: SoundHost, *_: object) -> None:
    _siprec(host)


def recorded_with_keys_that_cannot_come(host: SoundHost, *_: object) -> None:
    _siprec(host)
    host.edit('uri = "sip:127.0.0.1:5999"', 'srtp = "require"')


def recorder_asks_for_no_certificate(host: SoundHost, *_: object) -> None:
    _siprec(host)
    host.edit('match = ["127.0.0.1:5999"]', 'match = ["tls:sbc.example.org"]')


def recorded_whatever_comes(host: SoundHost, *_: object) -> None:
    _siprec(host, 'recognise = "legacy"')


def recorded_untold(host: SoundHost, *_: object) -> None:
    _siprec(host, 'on_notice_failure = "record"')


def other_recorder_unknown(
    host: SoundHost, _: ExitStack, patch: pytest.MonkeyPatch
) -> None:
    [closed] = free_ports(1)
    patch.setattr(resolver, "LIFETIME", 0.05)
    host.edit("[sip]", f'[sip]\nnameservers = ["127.0.0.1:{closed}"]')
    _siprec(host, 'redirect = "sip:other.example.org"')


def certificate_expired(host: SoundHost, *_: object) -> None:
    _put(host, "sip.example.org", expired=True)


def key_of_another(host: SoundHost, *_: object) -> None:
    shutil.copy(host.authority.issue("other.example.org").key, host.root / "tls.key")


def wildcard(host: SoundHost, *_: object) -> None:
    _put(host, "*.example.org")


def strange_authority(host: SoundHost, *_: object) -> None:
    shutil.copy(Authority(host.root / "strange").pem, host.root / "ca.pem")


def clock_free(host: SoundHost, *_: object) -> None:
    host.clock = Reading(UNSYNCHRONISED, 16.0)


def clock_far(host: SoundHost, *_: object) -> None:
    host.clock = Reading(0, 2.5)


def signing_key_unknown(host: SoundHost, *_: object) -> None:
    host.edit('name = "test"', 'name = "another"')


def key_of_everybody(host: SoundHost, *_: object) -> None:
    (host.root / "host.key").chmod(0o644)


def day_keys_over(host: SoundHost, *_: object) -> None:
    host.protected.write_lists(utc_now().date() - dt.timedelta(1))


def day_keys_ending(host: SoundHost, *_: object) -> None:
    host.protected.write_lists(*days_from(utc_now().date(), 3))


def storage_gone(host: SoundHost, *_: object) -> None:
    (host.root / "locked").rmdir()


def store_silent(_: SoundHost, __: ExitStack, patch: pytest.MonkeyPatch) -> None:
    told = Told("locked", "rights", Unknown.UNTOLD, "no answer to a list", "Deny it.")
    patch.setattr("agent.cli.doctor.storage.findings", lambda *_: iter([told]))


def store_without_a_word(
    _: SoundHost, __: ExitStack, patch: pytest.MonkeyPatch
) -> None:
    told = Told("locked", "region", Unknown.UNTOLD, "it does not tell", "")
    patch.setattr("agent.cli.doctor.storage.findings", lambda *_: iter([told]))


def broker_away(host: SoundHost, *_: object) -> None:
    [closed] = free_ports(1)
    _with_broker(host, f'url = "mqtt://127.0.0.1:{closed}"\nregion = "FI"')


def broker_certificate_expired(host: SoundHost, *_: object) -> None:
    certificate = host.authority.issue("agent.example.org", expired=True)
    shutil.copy(certificate.certificate, host.root / "mqtt.pem")
    shutil.copy(certificate.key, host.root / "mqtt.key")
    (host.root / "mqtt.key").chmod(0o600)
    [closed] = free_ports(1)
    _with_broker(
        host,
        f'url = "mqtts://127.0.0.1:{closed}"\nregion = "FI"\n'
        'certificate = "mqtt.pem"\nkey = "mqtt.key"',
    )


def _with_broker(host: SoundHost, keys: str) -> None:
    host.config.write_text(f"{host.config.read_text()}[mqtt]\n{keys}\n")


def notice_faint(host: SoundHost, *_: object) -> None:
    samples, rate = soundfile.read(host.root / "fi.wav")
    soundfile.write(host.root / "fi.wav", samples / 30, rate, subtype="PCM_16")


def notice_wide(host: SoundHost, *_: object) -> None:
    soundfile.write(host.root / "fi.wav", np.zeros(1600), 16_000, subtype="PCM_16")


def spool_open(host: SoundHost, *_: object) -> None:
    (host.root / "spool").chmod(0o755)


def spool_gone(host: SoundHost, *_: object) -> None:
    (host.root / "spool").rmdir()


def spool_not_yet(host: SoundHost, *_: object) -> None:
    host.edit('spool = "spool"', 'spool = "/var/lib/no-such-agent"')
    host.unit_says(StateDirectory="no-such-agent")


def spool_a_file(host: SoundHost, *_: object) -> None:
    spool_gone(host)
    (host.root / "spool").write_text("no directory")


def spool_in_memory(_: SoundHost, __: ExitStack, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "agent.cli.doctor.disk.mount_of", lambda *_: Mount(Path("/"), "tmpfs")
    )


def spool_remote(_: SoundHost, __: ExitStack, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "agent.cli.doctor.disk.mount_of", lambda *_: Mount(Path("/srv"), "nfs4")
    )


def spool_full(host: SoundHost, *_: object) -> None:
    host.edit("[recording]", "[recording]\nspool_high_water = 0.000001")


def disk_slow(host: SoundHost, *_: object) -> None:
    host.latency = 0.08


def disk_too_slow(host: SoundHost, *_: object) -> None:
    host.latency = 0.9


def memory_unlocked(host: SoundHost, *_: object) -> None:
    host.unit_says(LimitMEMLOCK="65536")


def few_files(host: SoundHost, *_: object) -> None:
    host.unit_says(LimitNOFILE="100")


def core_files(host: SoundHost, *_: object) -> None:
    host.unit_says(LimitCORE="infinity")


def swap_in_the_clear(host: SoundHost, *_: object) -> None:
    swap_allowed(host)
    host.edit("allow_swap = true", "allow_swap = false")


def swap_allowed(host: SoundHost, *_: object) -> None:
    host.swaps = ("/dev/sda2",)


def swap_out_of_reach(host: SoundHost, *_: object) -> None:
    swap_in_the_clear(host)
    host.unit_says(MemorySwapMax="0")


def unit_failed(host: SoundHost, *_: object) -> None:
    host.unit_says(ActiveState="failed", Result="watchdog")


def unit_stopped(host: SoundHost, *_: object) -> None:
    host.unit_says(ActiveState="inactive")


def unit_may_not_write(host: SoundHost, *_: object) -> None:
    paths = f"/somewhere -{host.root}/spool {host.root}/state"
    host.unit_says(
        ProtectSystem="strict", ReadWritePaths=paths, StateDirectory="recording-agent"
    )


def unit_new(host: SoundHost, *_: object) -> None:
    host.unit_says(ActiveState="inactive", UnitFileState="disabled")


def workers_not_started(host: SoundHost, *_: object) -> None:
    host.unit_says(ActiveWorkers="0")


def unit_restarted(host: SoundHost, *_: object) -> None:
    host.unit_says(NRestarts="17")


def unit_disabled(host: SoundHost, *_: object) -> None:
    host.unit_says(UnitFileState="disabled")


def unit_forgets(host: SoundHost, *_: object) -> None:
    host.unit_says(FileDescriptorStoreMax="0")


def no_unit(host: SoundHost, *_: object) -> None:
    host.unit = None


def silent(host: SoundHost, *_: object) -> None:
    host.reply = None


def alarmed(host: SoundHost, *_: object) -> None:
    host.reply = Reply(host=HOST)


def draining(host: SoundHost, *_: object) -> None:
    host.reply = Reply(host=replace(HOST, draining=True))


def unregistered(host: SoundHost, *_: object) -> None:
    lost = replace(HOST.peers[0], registered=False)
    host.reply = Reply(host=replace(HOST, peers=(lost,)))


def worker_dead(host: SoundHost, *_: object) -> None:
    dead = replace(HOST.workers[1], alive=False)
    host.reply = Reply(host=replace(HOST, workers=(dead,)))


def worker_dying(host: SoundHost, *_: object) -> None:
    dying = replace(HOST.workers[1], restarts=9)
    host.reply = Reply(host=replace(HOST, workers=(dying,)))


def _put(host: SoundHost, *names: str, expired: bool = False) -> None:
    certificate = host.authority.issue(*names, expired=expired)
    shutil.copy(certificate.certificate, host.root / "tls.pem")
    shutil.copy(certificate.key, host.root / "tls.key")


FAULTS: list[Fault] = [
    (mistyped, WRONG, "configuration", "worker", "Correct it"),
    (signing_key_unknown, WRONG, "configuration", "signing.key", "signing.key"),
    (key_of_everybody, WRONG, "configuration", "lets others read it", "signing.key"),
    (notice_wide, WRONG, "configuration", "16000 Hz", "routes[0].notice"),
    (port_taken, WRONG, "ports", "taken by another program", "ss -lunp"),
    (address_of_nobody, WRONG, "ports", "no such address", "ip address"),
    (ports_overlap, WRONG, "ports", "within media.ports", "Move one"),
    (audio_to_nowhere, WRONG, "ports", "audio to 127.0.0.1", "media.address"),
    (other_configuration, WRONG, "ports", "does not listen at", "Restart"),
    (name_unknown, WRONG, "names", "pbx.example.org is not found", "dig"),
    (transport_not_served, WRONG, "names", "peer trunk", "sip.listen"),
    (other_recorder_unknown, WRONG, "names", "other.example.org is not found", "dig"),
    (recorded_in_the_clear, WARNING, "siprec", "in the clear", "tls: listener"),
    (
        recorded_with_keys_that_cannot_come,
        WRONG,
        "siprec",
        "all its sessions are refused",
        "tls: listener",
    ),
    (
        recorder_asks_for_no_certificate,
        WRONG,
        "siprec",
        "nobody asks it for",
        "verify_client",
    ),
    (recorded_whatever_comes, WARNING, "siprec", "does not say so", "strict"),
    (recorded_untold, WARNING, "siprec", "nothing shows", "discard"),
    (certificate_expired, WRONG, "certificates", "expired on", "Renew"),
    (key_of_another, WRONG, "certificates", "not the key", "pair"),
    (wildcard, WARNING, "certificates", "wildcard", "whole name"),
    (strange_authority, WARNING, "certificates", "no authority", "root"),
    (clock_free, WARNING, "clock", "nothing keeps", "chrony"),
    (clock_far, WRONG, "clock", "wrong by 2.5 s", "chronyc"),
    (day_keys_over, WRONG, "keys", "no day key for today", "day-keys"),
    (day_keys_ending, WARNING, "keys", "for 3 days only", "day-keys"),
    (storage_gone, WRONG, "storage", "No such file", "storage init"),
    (other_configuration, WRONG, "storage", "hall-b failed", "storing_failed"),
    (store_silent, WRONG, "storage", "no answer", "endpoint"),
    (store_without_a_word, WARNING, "storage", "does not tell", "whoever runs"),
    (broker_away, WRONG, "broker", "127.0.0.1:", "[mqtt]"),
    (broker_certificate_expired, WRONG, "certificates", "mqtt.certificate", "Renew"),
    (notice_faint, WRONG, "notices", "too faint", "notice convert"),
    (spool_open, WRONG, "disk", "mode 0755", "chmod 700"),
    (spool_gone, WRONG, "disk", "is not there", "0700"),
    (spool_not_yet, WARNING, "disk", "is not there yet", "Start the unit"),
    (spool_a_file, WRONG, "disk", "is no directory", "Name one"),
    (spool_in_memory, WRONG, "disk", "lies in memory", "on a disk"),
    (spool_remote, WRONG, "disk", "another host (nfs4)", "local disk"),
    (spool_full, WRONG, "disk", "no recording begins", "Make room"),
    (disk_slow, WARNING, "disk", "80.0 ms or longer", "iostat"),
    (disk_too_slow, WRONG, "disk", "900.0 ms or longer", "another disk"),
    (memory_unlocked, WARNING, "limits", "may lock 0 MiB", "LimitMEMLOCK"),
    (few_files, WARNING, "limits", "may open 100 files", "LimitNOFILE"),
    (core_files, WARNING, "limits", "core files", "LimitCORE=0"),
    (swap_in_the_clear, WRONG, "limits", "clear: /dev/sda2", "Encrypt"),
    (swap_allowed, WARNING, "limits", "clear: /dev/sda2", "Encrypt"),
    (swap_out_of_reach, RIGHT, "limits", "out of reach", ""),
    (unit_failed, WRONG, "unit", "has failed: watchdog", "journalctl"),
    (unit_stopped, WRONG, "unit", "is inactive", "systemctl enable --now"),
    (unit_may_not_write, WRONG, "unit", "storage[0].locked_url", "ReadWritePaths="),
    (unit_new, WARNING, "unit", "is inactive", "systemctl enable --now"),
    (workers_not_started, WRONG, "unit", "0 units of media", "media@{0..1}"),
    (unit_restarted, WARNING, "unit", "restarted it 17 times", "journalctl"),
    (unit_disabled, WARNING, "unit", "does not start by itself", "enable"),
    (unit_forgets, WRONG, "unit", "keeps nothing", "FileDescriptorStoreMax"),
    (no_unit, WARNING, "unit", "no service manager", "scripts/install"),
    (silent, WRONG, "daemon", "does not answer", "journalctl"),
    (other_configuration, WRONG, "daemon", "pbx does not answer OPTIONS", "firewall"),
    (alarmed, WRONG, "daemon", "alarm storing_failed storage=hall-b", "storage"),
    (draining, WARNING, "daemon", "it drains", "undrain"),
    (unregistered, WRONG, "daemon", "trunk has not registered us", "password"),
    (worker_dead, WRONG, "daemon", "worker 1 is not there", "media_worker_lost"),
    (worker_dying, WARNING, "daemon", "died 9 times", "Report"),
]
"What is done, and how it is told: verdict, check, a part of the text, of the remedy."
