"""Ceph as the object store: one monitor, one disk, one S3 gateway, on 127.0.0.1.

Versions, Object Lock, tags, lifecycle and policies are the real ones; a "day" of the
lifecycle takes ten seconds. One cluster serves a whole test session (`ceph` in
tests/conftest.py): whoever uses it makes buckets and users of its own.
"""

import contextlib
import dataclasses
import json
import secrets
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.lab.certificates import Authority
from tests.lab.peers import CEPH
from tests.lab.process import Process
from tests.ports import HOST, span

DAY: Final = 10
"Seconds of a lifecycle's day."
_READY_SECONDS: Final = 40.0
_DISK: Final = 8 << 30
"Octets, of which those written take room."

_CONFIG: Final = """\
[global]
fsid = {fsid}
mon_host = [v2:{host}:{mon}/0]
public_network = 127.0.0.0/8
ms_bind_ipv4 = true
ms_bind_port_min = {ports}
ms_bind_port_max = {last_port}
keyring = {folder}/keyring
run_dir = {folder}
admin_socket =
log_file = {folder}/$name.log
crash_dir = {folder}
plugin_dir = {root}/usr/lib/x86_64-linux-gnu/ceph
erasure_code_dir = {root}/usr/lib/x86_64-linux-gnu/ceph/erasure-code
osd_erasure_code_plugins =
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 1000
[mon]
mon_data = {folder}/mon
mon_initial_members = a
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_tick_interval = 1
mon_cluster_log_to_file = false
[osd]
osd_data = {folder}/osd
osd_class_dir = {root}/usr/lib/x86_64-linux-gnu/rados-classes
osd_objectstore = bluestore
bluestore_block_size = {disk}
bluestore_fsck_on_mount = false
osd_memory_target = 939524096
osd_mon_report_interval = 1
osd_client_watch_timeout = 2
[client.rgw.a]
rgw_data = {folder}
rgw_frontends = beast tcp_nodelay=1 endpoint={host}:{http} ssl_endpoint={host}:{https} \
ssl_certificate={folder}/tls.pem
rgw_lc_debug_interval = {day}
rgw_lifecycle_work_time = 00:00-23:59
rgw_lc_max_worker = 1
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_thread_pool_size = 64
rgw_run_sync_thread = false
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
rgw_enable_ops_log = true
rgw_ops_log_rados = false
rgw_ops_log_file_path = {folder}/access.log
"""


@dataclass(frozen=True)
class Keys:
    """What a user of storage signs with."""

    user: str
    access: str
    secret: str

    @property
    def arn(self) -> str:
        """How policies name the user."""
        return f"arn:aws:iam:::user/{self.user}"

    def write(self, path: Path) -> Path:
        """As a file that AWS's own tools read too."""
        path.write_text(
            f"[default]\naws_access_key_id = {self.access}\n"
            f"aws_secret_access_key = {self.secret}\n"
        )
        path.chmod(0o600)
        return path


class Daemon:
    """One of Ceph's processes. It can be killed, paused, and started again."""

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str],
        ready: Callable[[str], bool],
    ) -> None:
        """`ready` is asked with what it has logged since it was started."""
        self._name = name
        self._folder = folder
        self._command = command
        self._ready = ready
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it where it does not run, and wait until it serves."""
        log = self._folder / f"{self._name}.daemon.log"
        if self._process is None:
            log.unlink(missing_ok=True)
            command = [*self._command, f"--log-file={log}"]
            self._process = Process(
                self._name, self._folder, command, CEPH_CONF=_conf(self._folder)
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._ready(log.read_text("latin-1") if log.exists() else ""):
            said = self._process.said
            assert self._process.alive, f"{self._name} ended:\n{said}"
            assert time.monotonic() < deadline, f"{self._name} is not ready:\n{said}"
            time.sleep(0.03)

    def kill(self) -> None:
        """End it without a word, as a power cut does."""
        if self._process is not None:
            self._process.signal(signal.SIGKILL)
            self._process.stop()
            self._process = None

    def pause(self) -> None:
        """Let it hang: who asks it gets no answer."""
        assert self._process is not None
        self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It hangs for so long."""
        self.pause()
        try:
            yield
        finally:
            self.go_on()


class Ceph:
    """One cluster, started; `stop` ends it."""

    def __init__(self, folder: Path) -> None:
        """Make a new cluster in `folder` and start it. Skips without Ceph."""
        programs = {name: _command(name) for name in ("ceph-mon", "ceph-osd")}
        self._folder = folder
        self._cluster = str(uuid.uuid4())
        first = span(100)
        self._mon_port, self.port, self.tls_port = first + 2, first + 4, first + 6
        certificate = Authority(folder / "ca").issue(HOST, "localhost")
        self.ca: Final = certificate.ca
        "PEM of who made the gateway's certificate."
        (folder / "tls.pem").write_text(
            certificate.key.read_text() + certificate.certificate.read_text()
        )
        Path(_conf(folder)).write_text(
            _CONFIG.format(
                folder=folder,
                root=CEPH.root,
                fsid=self._cluster,
                host=HOST,
                mon=self._mon_port,
                http=self.port,
                https=self.tls_port,
                ports=first + 10,
                last_port=first + 99,
                disk=_DISK,
                day=DAY,
            )
        )
        key = self._run(_command("ceph-authtool"), "--gen-print-key").strip()
        (folder / "keyring").write_text(_keyring(key))
        self.mon = Daemon(
            "mon", folder, [*programs["ceph-mon"], "-f", "-i", "a"], self._has_quorum
        )
        self.osd = Daemon(
            "osd", folder, [*programs["ceph-osd"], "-f", "-i", "0"], _is_up
        )
        self.rgw = Daemon(
            "rgw", folder, [*CEPH.command, "-f", "-n", "client.rgw.a"], self._serves
        )
        self._users: dict[str, Keys] = {}
        self._maker: Credentials | None = None
        try:
            self._make(programs)
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint(self) -> str:
        """Of S3, in the clear."""
        return f"http://{HOST}:{self.port}"

    @property
    def tls_endpoint(self) -> str:
        """Of S3 over TLS; `ca` believes it."""
        return f"https://{HOST}:{self.tls_port}"

    def user(self, name: str) -> Keys:
        """A user without rights but to make buckets, who is made if need be."""
        if name not in self._users:
            keys = Keys(name, secrets.token_hex(10), secrets.token_hex(20))
            self._make_user(keys)
            self._users[name] = keys
        return self._users[name]

    def _make_user(self, keys: Keys) -> None:
        """Have the gateway make it, in a tenth of the time that radosgw-admin takes."""
        if self._maker is None:
            maker = Keys("maker", secrets.token_hex(10), secrets.token_hex(20))
            made = ["user", "create", "--uid=maker", "--display-name=maker"]
            signs = [f"--access-key={maker.access}", f"--secret-key={maker.secret}"]
            self.admin(*made, *signs, "--caps=users=*")
            self._maker = Credentials(maker.access, maker.secret)
        self._ask("PUT", keys, **{"display-name": keys.user})

    def give_keys(self, keys: Keys) -> None:
        """Let a user sign by these too."""
        self._ask("PUT", keys, key="", **{"generate-key": "false"})

    def take_keys(self, keys: Keys) -> None:
        """Let a user sign by these no more."""
        self._ask("DELETE", keys, key="")

    def limit(self, keys: Keys, objects: int | None) -> None:
        """Let a user have so many objects; None: as many as they like."""
        most = {"max-objects": "-1" if objects is None else str(objects)}
        enabled = "false" if objects is None else "true"
        more = {"quota-type": "user", "enabled": enabled, **most}
        self._ask("PUT", keys, quota="", **more)

    def _ask(self, method: str, keys: Keys, **more: str) -> None:
        """Have the gateway do something about a user."""
        assert self._maker is not None
        asked = {"uid": keys.user, "access-key": keys.access, "secret-key": keys.secret}
        url = f"{self.endpoint}/admin/user?{urllib.parse.urlencode(asked | more)}"
        request = AWSRequest(method, url)
        S3SigV4Auth(self._maker, "s3", "us-east-1").add_auth(request)
        headers = dict(request.headers)
        signed = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
        with urllib.request.urlopen(signed, timeout=20) as answer:  # noqa: S310
            assert answer.status == 200

    def admin(self, *arguments: str) -> str:
        """Run radosgw-admin: users, quotas, what lifecycle has done."""
        return self._run(_command("radosgw-admin"), "-n", "client.rgw.a", *arguments)

    def tell(self, *arguments: str) -> str:
        """Run Ceph's own command."""
        python = _command("python3.14")
        return self._run(python, str(CEPH.root / "usr/bin/ceph"), *arguments)

    def accesses(self) -> list[dict[str, Any]]:
        """What the gateway's own access log holds: one entry per request served."""
        path = self._folder / "access.log"
        text = path.read_text() if path.exists() else ""
        # Not line by line: of two that are served at once, both may be on one.
        entries, decoder = [], json.JSONDecoder()
        while text := text.lstrip(", \n"):
            entry, end = decoder.raw_decode(text)
            entries.append(entry)
            text = text[end:]
        return entries

    def stop(self) -> None:
        """End every daemon; what they kept is worth nothing any more."""
        for daemon in (self.rgw, self.osd, self.mon):
            daemon.kill()
        with contextlib.suppress(FileNotFoundError):
            (self._folder / "osd/block").unlink()

    def _make(self, programs: dict[str, list[str]]) -> None:
        disk, mon_map = str(uuid.uuid4()), str(self._folder / "monmap")
        keyring = ["--keyring", str(self._folder / "keyring")]
        for name in ("mon", "osd"):
            (self._folder / name).mkdir()
        member = ["--addv", "a", f"[v2:{HOST}:{self._mon_port}]", mon_map]
        create = ["--create", "--fsid", self._cluster, *member]
        self._run(_command("monmaptool"), *create)
        make = ["--mkfs", "-i", "a", "--monmap", mon_map, *keyring]
        self._run(programs["ceph-mon"], *make)
        self.mon.start()
        self.tell("osd", "new", disk, "0")
        self._run(programs["ceph-osd"], "-i", "0", "--mkfs", "--osd-uuid", disk)
        self.osd.start()
        self.rgw.start()

    def _run(self, command: Sequence[str], *arguments: str) -> str:
        ran = subprocess.run(
            [*command, *arguments],
            env=_environment(self._folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, f"{arguments}: {ran.stderr[-2000:]}"
        return ran.stdout

    def _has_quorum(self, _logged: str) -> bool:
        return _takes_connections(self._mon_port)

    def _serves(self, _logged: str) -> bool:
        return _takes_connections(self.port) and _takes_connections(self.tls_port)


def _command(name: str) -> list[str]:
    return dataclasses.replace(CEPH, path=f"usr/bin/{name}").command


def _conf(folder: Path) -> str:
    return str(folder / "ceph.conf")


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "CEPH_CONF": _conf(folder),
        "PYTHONHOME": str(CEPH.root / "usr"),
        "PYTHONPATH": str(CEPH.root / "usr/lib/python3/dist-packages"),
    }


def _keyring(key: str) -> str:
    """One key for all."""
    allowed = {
        "mon.": {"mon": "allow *"},
        "client.admin": {"mon": "allow *", "osd": "allow *"},
        "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
        "client.rgw.a": {"mon": "allow rw", "osd": "allow rwx"},
    }
    return "".join(
        f"[{name}]\n key = {key}\n"
        + "".join(f' caps {part} = "{what}"\n' for part, what in caps.items())
        for name, caps in allowed.items()
    )


def _is_up(logged: str) -> bool:
    return "state: booting -> active" in logged


def _takes_connections(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex((HOST, port)) == 0
