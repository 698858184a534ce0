"""A booted systemd: process 1 of namespaces of its own, over a throw-away layer.

Its root is a whole Debian that `scripts/setup --lab` fetches, of either suite the agent
is packaged for; what it writes stays in memory. It shares the network with the tests,
so that phones reach what it runs. The project, its Python and one folder of the test
are there under their own paths.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.daemon import ROOT
from tests.lab.peers import FOLDER, missing

DEBIANS = {"bookworm": FOLDER / "systemd", "trixie": FOLDER / "systemd-trixie"}
BOOT_SECONDS = 90.0

# Run as process 1's forerunner in namespaces of its own: the arguments are the folder
# for its state, the folder of Debian, and what is to be mounted from the host.
FORERUNNER = r"""
set -euo pipefail
state=$1 debian=$2; shift 2
mount -t tmpfs -o mode=755 layer "$state/layer"
mkdir "$state"/layer/{upper,work,root}
root=$state/layer/root
layers=lowerdir=$debian,upperdir=$state/layer/upper,workdir=$state/layer/work
mount -t overlay -o "$layers" overlay "$root"
for folder; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
done
# A file system of its own at /tmp, as trixie has it, would hide the test's folder.
ln -sf /dev/null "$root/etc/systemd/system/tmp.mount"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
# What belongs to the whole machine can be read only.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro,nosuid,nodev,noexec "$root/proc/sys"
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,size=8m dev "$root/dev"
for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root"/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
# Without it LoadCredential= gives an empty directory, and no error.
mount --make-rshared /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=unshare \
    /lib/systemd/systemd --system systemd.unit=multi-user.target \\
    systemd.show_status=0 </dev/null
"""


class Booted:
    """A running system."""

    def __init__(self, state: Path, init: int) -> None:
        self._state = state
        self._init = init

    @property
    def init(self) -> int:
        """Its process 1, as the host numbers it."""
        return self._init

    def run(
        self, *command: str, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root."""
        enter = ["nsenter", "-t", str(self._init), "-m", "-u", "-i", "-p", "-C"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        ran = subprocess.run(
            [*enter, *clean, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if check and ran.returncode:
            raise AssertionError(f"{shlex.join(command)}:\n{ran.stdout}{ran.stderr}")
        return ran

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def pid(self, unit: str) -> int:
        """The main process of a unit, as it is numbered there; 0 if there is none."""
        return int(self.show(unit, "MainPID"))

    def kill(self, unit: str) -> None:
        """kill -9 of a unit's main process."""
        self.run("sh", "-c", f"kill -9 {self.pid(unit)}")

    def journal(self, unit: str) -> str:
        """What a unit has said last."""
        return self.run(
            "journalctl", "-q", "--no-pager", "-o", "cat", "-n", "60", "-u", unit
        ).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file in it."""
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("sh", "-c", f"cat > {shlex.quote(path)} <<'EOF'\n{text}\nEOF")


def _cgroup(name: str) -> Path:
    """A fresh control group of the host's, for all that the system will run."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    fields = [line.split() for line in mounts]
    where = next((f[1] for f in fields if f[2] == "cgroup2"), None)
    if where is None:
        missing("booted systemd", "the host has no cgroup2")
    group = Path(where) / name
    group.mkdir()
    return group


def _init_of(pid: int) -> int | None:
    """Process 1 of what `unshare` has begun, as the host numbers it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in children:
        if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
            return int(child)
    return None


@contextlib.contextmanager
def booted(state: Path, *folders: Path, suite: str = "bookworm") -> Iterator[Booted]:
    """A system with `folders` of the host in it; `state` is a folder for its layer."""
    debian = DEBIANS[suite]
    if os.getuid() != 0 or not (debian / "packages").exists():
        missing("booted systemd", "scripts/setup --lab fetches it, as root")
    (state / "layer").mkdir(parents=True)
    shown = {ROOT, Path(sys.base_prefix), *folders} - {Path("/usr")}
    group = _cgroup(f"recording-agent-lab-{os.getpid()}-{time.monotonic_ns()}")
    command = ["unshare", "--mount", "--propagation", "private", "--pid", "--ipc"]
    command += ["--uts", "--cgroup", "--fork", "--kill-child"]
    command += ["bash", "-c", FORERUNNER, "forerunner", str(state), str(debian)]
    command += sorted(str(folder) for folder in shown)
    join = f'echo $$ > {shlex.quote(str(group / "cgroup.procs"))}; exec "$@"'
    with (state / "console.log").open("wb") as console:
        process = subprocess.Popen(
            ["bash", "-c", join, "join", *command],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _up(process, state)
    finally:
        _down(process, group)


def _up(process: "subprocess.Popen[bytes]", state: Path) -> Booted:
    deadline = time.monotonic() + BOOT_SECONDS
    init = None
    while init is None or _state_of(Booted(state, init)) not in {"running", "degraded"}:
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError((state / "console.log").read_text(errors="replace"))
        init = init or _init_of(process.pid)
        time.sleep(0.05)
    return Booted(state, init)


def _state_of(system: Booted) -> str:
    return system.run("systemctl", "is-system-running", check=False).stdout.strip()


def _down(process: "subprocess.Popen[bytes]", group: Path) -> None:
    if (init := process.poll() is None and _init_of(process.pid)) and init:
        with contextlib.suppress(ProcessLookupError):
            os.kill(init, signal.SIGRTMIN + 4)  # poweroff.target
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()  # its namespace dies with it
        process.wait(timeout=10)
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
