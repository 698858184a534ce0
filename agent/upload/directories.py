"""Storage in directories: made, and judged as far as a file system can be."""

import itertools
import os
import pwd
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.common.files import make_private_directory
from agent.upload.bucket_properties import Finding, Verdict

_OTHERS: Final = stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that a service runs as."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """As the host calls it."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def may_write(self, path: Path) -> bool:
        """Whether it may make files there: the folders above have their say."""
        asked = subprocess.run(  # noqa: S603 - rights are the kernel's to judge
            ["/usr/bin/test", "-w", path, "-a", "-x", path],
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=os.getgrouplist(self.name, self.gid),
        )
        return asked.returncode == 0


def owner_of(folder: Path) -> Owner | None:
    """Whose a service's own folder is, if root asks: else it is whoever asks."""
    if os.geteuid():
        return None
    try:
        found = folder.stat()
    except OSError:
        # The service was never there: nobody's rights are to be judged.
        return None
    return Owner(found.st_uid, found.st_gid) if found.st_uid else None


def check_directory(path: Path, owner: Owner | None = None) -> Iterator[Finding]:
    """Judge one of a storage's directories, for `owner` or for whoever asks."""
    name = str(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        text, remedy = str(error.strerror), "`recording-agent storage init` makes it."
        yield Finding(name, "directory", Verdict.WRONG, text, remedy)
        return
    if not stat.S_ISDIR(mode):
        text, remedy = "it is something else", "Name a directory."
        yield Finding(name, "directory", Verdict.WRONG, text, remedy)
        return
    yield Finding(name, "directory", Verdict.RIGHT, "it is there")
    if mode & _OTHERS:
        text = f"everybody on this host may enter it ({stat.S_IMODE(mode):04o})"
        yield Finding(name, "access", Verdict.WRONG, text, "Take others' rights away.")
    else:
        yield Finding(name, "access", Verdict.RIGHT, "others may not enter it")
    if owner is not None and not owner.may_write(path):
        text = f"the user {owner.name} may not write there"
        remedy = f"Run `chown -R {owner.name}: {path}`; see the folders above, too."
        yield Finding(name, "owner", Verdict.WRONG, text, remedy)


def init_directory(path: Path, owner: Owner | None = None) -> Iterator[Finding]:
    """Make a directory where there is none, `owner`'s, and judge what is there then."""
    if not path.exists():
        above = itertools.takewhile(lambda one: not one.exists(), (path, *path.parents))
        made = list(above)
        try:
            make_private_directory(path)
            if owner is not None:
                for one in made:
                    os.chown(one, owner.uid, owner.gid)
        except OSError as error:
            text = f"it cannot be made: {error.strerror}"
            remedy = "Make it, for the user that the agent runs as."
            yield Finding(str(path), "directory", Verdict.WRONG, text, remedy)
            return
    yield from check_directory(path, owner)
