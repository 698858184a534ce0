"""A site on disk: real sealed recordings in a directory, and a desk to look at them."""

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from structlog.testing import capture_logs

from agent.access.copying import Maker
from agent.access.desk import Desk
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.common.ids import new_id
from agent.formats.age import Identity
from agent.formats.blind_index import blind, month_key
from agent.formats.layout import index_key, month_of, unindexed_key
from agent.model.recording import SegmentBegin
from agent.recording.finisher import finish
from agent.recording.seal_chain import SealChain
from agent.recording.spool import SealedObject, Spool
from agent.upload.backends.directory import DirectoryBackend
from agent.upload.targets import Target
from tests.formats.rosters import signing_key
from tests.recording.segments import (
    CALLER,
    STARTED_AT,
    Segment,
    begin,
    quality,
    write_segment,
)

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROOT_KEY = b"r" * 32
OFFICER_NUMBER = "+358295000201"
QUALITY = Reason(purpose=Purpose.QUALITY)
ASKED = Reason(purpose=Purpose.SUBJECT_REQUEST, reference="A/1")


def sealed_by_host(
    spool: Spool, recording_id: str, objects: Sequence[SealedObject]
) -> SealedObject:
    """The seal of `host-a` beside a sealed recording."""
    key = signing_key("host-a")
    chain = SealChain(spool, key, "host-a", new_id=new_id, utc_ns=lambda: STARTED_AT)
    with capture_logs():  # else it stands among what the commands show
        chain.open()
    return chain.seal(recording_id, objects)


class Site:
    """Storage in two directories, filled by the finisher's own files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._spools = itertools.count()
        for name in ("locked", "state"):
            (root / name).mkdir(parents=True)
        self.target = Target(
            DirectoryBackend(root / "locked"), DirectoryBackend(root / "state")
        )

    def record(
        self,
        *,
        indexed: bool = True,
        journal: bool = False,
        beginning: Callable[[str], SegmentBegin] = begin,
    ) -> Segment:
        """One recording of the usual caller and officer, as the uploader stores it."""
        spool = Spool(self.root / f"spool{next(self._spools)}")
        spool.prepare()
        spool.close()
        segment = write_segment(spool, beginning=beginning)
        if journal:
            return self._store_journal(spool, segment)
        finish(segment.job(spool), spool.root)
        objects = spool.sealed_objects(segment.id)
        for found in (*objects, sealed_by_host(spool, segment.id, objects)):
            source = spool.sealed_path(segment.id, found.file)
            self._put(found.target, found.key, source)
        month = month_of(DAY)
        key = month_key(ROOT_KEY, month)
        names = [unindexed_key(month, segment.id)]
        if indexed:
            names = [
                index_key(month, "caller", blind(key, "caller", CALLER), segment.id),
                index_key(
                    month, "officer", blind(key, "officer", OFFICER_NUMBER), segment.id
                ),
            ]
        for name in names:
            self._put("state", name, None)
        return segment

    def copy_to(self, other: "Site") -> None:
        """Give another storage all that is in this one."""
        for name in ("locked", "state"):
            shutil.copytree(self.root / name, other.root / name, dirs_exist_ok=True)

    def _store_journal(self, spool: Spool, segment: Segment) -> Segment:
        [path] = spool.journals_of(segment.id)
        self._put("locked", f"audio/{DAY:%Y/%m/%d}/{path.name}", path)
        envelope = spool.envelope_path(segment.id)
        self._put("state", f"keys/{DAY:%Y/%m/%d}/{envelope.name}", envelope)
        return segment

    def _put(self, target: str, key: str, source: Path | None) -> None:
        path = self.root / target / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if source is None:
            path.touch()
        else:
            shutil.copy(source, path)

    def desk(
        self,
        *,
        identities: Sequence[Identity] | None = None,
        index: bytes | None = ROOT_KEY,
        person: str = "p-quinn",
    ) -> Desk:
        """A desk without a gate; by default a quality member's."""
        mine = [quality().identity] if identities is None else identities
        return Desk(
            targets=(self.target,),
            identities=tuple(mine),
            index=index,
            person=person,
            today=NOW.date(),
        )


def maker(reason: Reason = ASKED) -> Maker:
    """Who makes copies in tests."""
    return Maker(person="p-dan", now=NOW, reason=reason)


def with_two_targets(desk: Desk, other: Site) -> Desk:
    """The same desk with a second storage."""
    return replace(desk, targets=(*desk.targets, other.target))
