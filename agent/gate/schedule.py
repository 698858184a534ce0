"""What the gate does by itself: keys ahead, the sweep, the list, the log's ends.

Each run does what is due at the time that it is given and says when to come again. One
task that fails stops no other, and is tried again; a day on which not all were done is
alarmed once the gate is up again.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import structlog

from agent.archive.audit_log import AuditBrokenError, AuditForkedError
from agent.archive.audit_verification import keep_heads
from agent.archive.index_verification import read_month, verify_index
from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.audit import Act, utc_day
from agent.formats.layout import month_of
from agent.gate.comparing import compare, compare_states
from agent.gate.memory import remember
from agent.gate.parts import Parts
from agent.gate.publishing import publish
from agent.retention.erasure import Erasure
from agent.retention.replay import replay
from agent.retention.site import Site
from agent.retention.sweep import Sweep
from agent.upload.backend import StorageBackend

EVERY: Final = 600.0
"Seconds between two runs: a hold that is lifted too late is erased the same day."
SOON: Final = 1.0
LAST_RUN: Final = "last-run"
"In the gate's state: the last day on which every daily task was done."
MAX_DATE: Final = 16
INDEX_AGE: Final = timedelta(days=2)
"Of the day whose month's index is looked at: so each is once more after its end."


class SigningKeyOverError(AgentError):
    """Hosts refuse what the gate signs now."""

    hint = (
        "Have a roster signed that names its newer key (`keyring new-signing-key`), or"
        " the old one for longer, and restart the gate."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """What it works with."""

    parts: Parts
    site: Site
    sweep: Sweep
    erasure: Erasure
    heads: Mapping[str, StorageBackend]
    "Other storages that keep the ends of the log's days, by their names."
    reload: Callable[[], None]
    "Reads the roster again."
    days_ahead: int
    state: Path


class Schedule:
    """Called again and again with the time."""

    def __init__(self, works: Works) -> None:
        self._works = works
        self._log = structlog.get_logger()
        self._publish = True
        "Whether a list is due: at start one may have been made and not stored."
        self._next_ns: int | None = None
        "When the sweep will have something to do, as its last run said."
        self._failed: set[str] = set()
        "Tasks whose last run failed: alarmed once."

    async def run(self, now_ns: int) -> float:
        """Do what is due; seconds after which to come again at the latest."""
        works = self._works
        today = works.parts.today()
        last = self.last_run()
        await self._alarm_missed(last, today)
        # Also where a clock that was ahead has left a day that is still to come.
        daily = last != today
        done = await self._do("keys", self._keys_ahead)
        done &= await self._do("sweep", lambda: self._swept(now_ns))
        done &= await self._do("erasures", lambda: self._erased(now_ns))
        if self._publish:
            done &= await self._do("publish", self._published)
        if daily:
            done &= await self._do("roster", self._reloaded)
            done &= await self._do("replay", self._replayed)
            done &= await self._do("heads", lambda: self._heads(now_ns))
            done &= await self._do("states", self._states_compared)
            done &= await self._do("holds", self._long_holds)
            done &= await self._do("store-log", self._compared)
            done &= await self._do("index", self._indexed)
            if done:
                text = today.isoformat().encode()
                write_durably(works.state / LAST_RUN, text)
        if self._next_ns is None:
            return EVERY
        return min(EVERY, max(SOON, (self._next_ns - now_ns) / 1e9))

    def last_run(self) -> date | None:
        """The last day on which all was done; None before the first."""
        try:
            with (self._works.state / LAST_RUN).open("rb") as file:
                return date.fromisoformat(file.read(MAX_DATE).decode().strip())
        except FileNotFoundError:
            return None
        except ValueError:
            self._log.error("schedule_state_unreadable", file=LAST_RUN)
            return None

    # -- tasks ------------------------------------------------------------------

    async def _keys_ahead(self) -> None:
        works = self._works
        today = works.parts.today()
        until = today + timedelta(works.days_ahead)
        made = await works.parts.keyring.generate_until(until, today=today)
        if made:
            self._publish = True
            await works.parts.log.append(
                works.parts.name,
                Act.KEY_MADE,
                detail={"from": made[0].isoformat(), "to": made[-1].isoformat()},
            )

    async def _swept(self, now_ns: int) -> None:
        async with self._works.parts.keys_lock:
            report = await self._works.sweep.run(now_ns)
        self._next_ns = report.next_ns

    async def _erased(self, now_ns: int) -> None:
        async with self._works.parts.keys_lock:
            outcome = await self._works.erasure.run(now_ns)
        self._publish |= outcome.publish

    async def _published(self) -> None:
        serial = await publish(self._works.parts)
        self._publish = False
        self._log.info("day_keys_published", serial=serial)

    async def _reloaded(self) -> None:
        self._works.reload()
        parts = self._works.parts
        key = parts.keyring.signing_key.public
        if key not in parts.roster().gate_keys(parts.today()):
            raise SigningKeyOverError("The roster's days of the gate's key are over.")

    async def _replayed(self) -> None:
        async with self._works.parts.keys_lock:
            await replay(self._works.site)

    async def _heads(self, now_ns: int) -> None:
        parts = self._works.parts
        await parts.log.roll()
        for backend in self._works.heads.values():
            await keep_heads(parts.archive.locked, backend, parts.name, utc_day(now_ns))

    async def _states_compared(self) -> None:
        """Hold the documents of state against the log, and put back what is missing."""
        works = self._works
        found = await compare_states(works.parts)
        for one in found:
            self._log.critical("state_altered", recording_id=one.id, what=one.what)
            await self._alarm("state-altered", one.id, what=one.what)
        remember(works.state, works.parts.witness)

    async def _compared(self) -> None:
        found = await compare(self._works.parts)
        for one in found:
            self._log.critical("read_around_the_gate", what=one)
        if found:
            await self._alarm("read-around", count=str(len(found)))

    async def _indexed(self) -> None:
        """Look whether the index hides recordings, or invents some."""
        parts = self._works.parts
        month = month_of(parts.today() - INDEX_AGE)
        index = await read_month(parts.archive, month)
        found = await verify_index(parts.archive, index, parts.erased.is_erased)
        for fault, count in Counter(one.fault for one in found).items():
            self._log.error("index_not_whole", month=month, fault=fault, count=count)
        if found:
            await self._alarm("index-not-whole", month=month, count=str(len(found)))

    async def _long_holds(self) -> None:
        parts = self._works.parts
        count = 0
        async for state in parts.states.all():
            count += len(state.long_holds(parts.today()))
        if count:
            self._log.warning("holds_to_review", count=count)

    # -- what goes wrong ----------------------------------------------------------

    async def _do(self, name: str, task: Callable[[], Awaitable[None]]) -> bool:
        try:
            await task()
        except (AuditForkedError, AuditBrokenError):
            # The log is no more ours: nothing may be done any more.
            raise
        except (AgentError, OSError) as error:
            self._log.error("task_failed", task=name, reason=str(error))
            if name not in self._failed:
                self._failed.add(name)
                await self._alarm("task-failed", task=name)
            return False
        self._failed.discard(name)
        return True

    async def _alarm_missed(self, last: date | None, today: date) -> None:
        missed = 0 if last is None else (today - last).days - 1
        if missed > 0 and "missed" not in self._failed:
            self._failed.add("missed")
            self._log.error("runs_missed", days=missed)
            await self._alarm("runs-missed", days=str(missed))
        elif missed <= 0:
            self._failed.discard("missed")

    async def _alarm(self, word: str, recording_id: str = "", **detail: str) -> None:
        parts = self._works.parts
        try:
            await parts.log.append(
                parts.name, Act.ALARM, recording_id=recording_id, result=word,
                detail=detail,
            )  # fmt: skip
        except AgentError as error:
            # Storage is away, as likely as not: the log line has been written.
            self._log.error("alarm_not_in_the_log", reason=str(error))
