"""Commands that come over MQTT: judged, carried out once, audited and answered.

Nobody is believed for being connected: what counts is the signature of somebody of the
roster. What is ignored gets no answer; it is told and counted, and audited, once a day,
if somebody of the roster had signed it: neither what strangers send nor what a broker
sends again and again must fill the audit log.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Final, Protocol

import msgspec
import structlog

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.events.broker import Message
from agent.events.topics import Topics
from agent.formats.command import CommandError, Judged, Why, judge
from agent.formats.roster import Person, Role, Roster
from agent.formats.sshsig import PublicKey
from agent.service.commands import Commands, Reply, Request
from agent.service.ignored_commands import IgnoredCommands

MAX_CALLS: Final = 1000
"In one answer; the longest of them has some 500 bytes each."
_OF_CALLS: Final = frozenset({Role.QUALITY, Role.ADMIN})
MAY: Final[Mapping[str, frozenset[Role]]] = {
    "pause": _OF_CALLS,
    "resume": _OF_CALLS,
    "stop-recording": _OF_CALLS,
    "status": _OF_CALLS,
    # Who runs the host; quality staff do not take it out of service.
    "drain": frozenset({Role.ADMIN}),
    "undrain": frozenset({Role.ADMIN}),
}
_REQUESTS: Final = msgspec.json.Decoder(Request)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is published under the command's own topic."""

    id: str
    "Of the command."
    host: str
    "Who answers."
    utc_ns: int
    "When."
    kind: str
    "Of the command."
    reply: Reply
    "What the control socket would have said: calls, host, or an error."


class Audit(Protocol):
    """Who writes down what was commanded."""

    def commanded(self, kind: str, command_id: str, by: str, result: str) -> None:
        """A command by somebody of the roster was carried out, or why not."""


class CommandDesk:
    """Takes the commands of one host."""

    def __init__(
        self,
        host: str,
        topics: Topics,
        *,
        taken: tuple[str, ...],
        roster: Callable[[], Roster | None],
        today: Callable[[], date],
        first_seen: Callable[[str, int], Awaitable[bool]],
        commands: Commands,
        audit: Audit,
    ) -> None:
        """`taken` are the kinds that the configuration allows.

        `first_seen` notes a command's id until it expires, durably, and says whether it
        was new. It may raise AgentError.
        """
        self._host = host
        self._topics = topics
        # Who may have calls go elsewhere may have them back.
        self._taken = {*taken, *(("undrain",) if "drain" in taken else ())}
        self._roster = roster
        self._today = today
        self._first_seen = first_seen
        self._commands = commands
        self._audit = audit
        self._log = structlog.get_logger()
        self._news = IgnoredCommands()
        self.carried_out = 0
        self.ignored: Counter[Why] = Counter()
        "Since the start, by reason."

    async def answer(self, message: Message) -> tuple[str, bytes] | None:
        """Carry a command out; topic and payload of its answer. None: it is ignored."""
        kind = message.topic.rpartition("/")[2]
        try:
            judged = self._judge(message, kind)
            request = self._request(judged, kind)
            await self._see(judged)
        except CommandError as error:
            self._ignore(error, kind, message.payload)
            return None
        command, by = judged.command, f"mqtt:{judged.person.id}"
        reply = self._commands.execute(request, by=by)
        self.carried_out += 1
        result = "refused" if reply.error else "ok"
        self._audit.commanded(kind, command.id, judged.person.id, result)
        self._log.info(
            "command_done", kind=kind, command=command.id, by=by, result=result
        )
        answer = Answer(
            id=command.id,
            host=self._host,
            utc_ns=utc_ns(),
            kind=kind,
            reply=msgspec.structs.replace(reply, calls=reply.calls[:MAX_CALLS]),
        )
        return self._topics.answer(command.id), msgspec.json.encode(answer)

    def _judge(self, message: Message, kind: str) -> Judged:
        roster = self._roster()
        return judge(
            message.payload,
            host=self._host,
            kind=kind,
            signers={} if roster is None else signers(roster, self._today()),
            now_utc_ns=utc_ns(),
            retained=message.retained,
        )

    def _request(self, judged: Judged, kind: str) -> Request:
        """What is asked for, if we take that, and of this person."""
        if kind not in self._taken:
            raise CommandError(Why.NOT_TAKEN, judged.person)
        if MAY[kind].isdisjoint(judged.person.roles):
            raise CommandError(Why.NOT_ALLOWED, judged.person)
        try:
            return _REQUESTS.decode(msgspec.json.encode(judged.command.request))
        except msgspec.DecodeError:
            raise CommandError(Why.MALFORMED, judged.person) from None

    async def _see(self, judged: Judged) -> None:
        """Note the id before anything is done: a restart must not do it again."""
        command = judged.command
        try:
            new = await self._first_seen(command.id, command.expires_utc_ns)
        except AgentError as error:
            self._log.error("command_not_noted", reason=str(error))
            new = False
        if not new:
            raise CommandError(Why.REPEATED, judged.person)

    def _ignore(self, error: CommandError, kind: str, payload: bytes) -> None:
        self.ignored[error.why] += 1
        by = "" if error.person is None else error.person.id
        # A stranger's topic may say anything.
        known = kind if kind in MAY else "unknown"
        self._log.warning("command_ignored", reason=error.why, kind=known, by=by)
        if error.person and self._news.is_news(payload, self._today()):
            self._audit.commanded(known, "", error.person.id, error.why)


def signers(roster: Roster, today: date) -> dict[PublicKey, Person]:
    """Those of the roster who sign and are there today, by their key."""
    return {
        PublicKey.parse(person.signing_key): person
        for person in roster.people
        if person.signing_key and person.is_active(today)
    }
