"""A site on disk that signs, indexes, and has a gate."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from agent.common.clock import utc_now
from agent.common.moments import moment_text
from agent.formats.age import Identity, KeyKind, generate_identity
from agent.formats.blind_index import IndexKeys, month_key
from agent.formats.day_keys import DayKey, DayKeyList
from agent.formats.layout import month_of
from agent.formats.roster import Host, Role, Roster
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, SigningKey
from tests.cli.conftest import DiskSite
from tests.formats.rosters import ROOT, person, roster, signed, signing_key
from tests.recording.segments import entropy

SECTIONS = f"""\
[roster]
path = "roster.signed"
root = "{ROOT.public}"
[signing]
key = "host.key"
[gate]
day_keys = "day-keys.signed"
[index]
keys = "index-keys.json"
"""


@dataclass
class ProtectedSite:
    """Its files, and the secrets behind them."""

    site: DiskSite
    host: SigningKey = field(default_factory=lambda: signing_key("host-a"))
    index_root: bytes = field(default_factory=lambda: entropy(32))

    @property
    def root(self) -> Path:
        return self.site.root

    @property
    def roster(self) -> Roster:
        quality, recovery = (str(key.recipient()) for key in self.site.keys)
        return roster(
            people=(person("quinn", Role.QUALITY, recipient=quality),),
            hosts=(Host(name="test", key=str(self.host.public)),),
            recovery=(recovery,),
        )

    def write(self, *days: date) -> Path:
        """Make it all; returns the configuration's path."""
        self.site.directory = ""
        path = self.site.write()
        path.write_text(path.read_text() + SECTIONS)
        (self.root / "roster.signed").write_bytes(signed(self.roster))
        self.put_secret("host.key", self.host.to_private_file())
        self.write_lists(*days)
        return path

    def write_lists(self, *days: date, serial: int = 1) -> None:
        """Day keys of these days, and index keys of their months."""
        found = DayKeyList(
            serial=serial,
            issued=moment_text(utc_now()),
            keys=tuple(
                DayKey(day=day.isoformat(), generation=1, recipient=self._key(day))
                for day in sorted(days)
            ),
        )
        data = sign_document(
            found.to_bytes(), [signing_key("gate")], Namespace.DAY_KEYS
        )
        (self.root / "day-keys.signed").write_bytes(data)
        months = dict.fromkeys(map(month_of, days or [date(2026, 11, 1)]))
        keys = {month: month_key(self.index_root, month) for month in months}
        self.put_secret("index-keys.json", IndexKeys(keys).to_bytes())

    def put_secret(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.write_bytes(data)
        path.chmod(0o600)

    def _key(self, day: date) -> str:
        return str(self.day_identity(day).recipient())

    def day_identity(self, day: date) -> Identity:
        """The gate's secret half of a day's key."""
        seed = month_key(self.index_root, month_of(day))
        seed = seed[:31] + bytes([day.day])
        return generate_identity(KeyKind.CLASSIC, lambda size: seed[:size])


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]
