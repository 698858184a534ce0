"""`[[siprec]]`: which peers are session recording clients, and what they may say."""

from typing import Annotated, Final, Literal

import msgspec

from agent.call.config import MAX_PAUSE
from agent.call.siprec.rules import Rule, RuleKind, parse_rule
from agent.model.media import CODECS
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.uri import parse_uri

MAX_STREAMS: Final = 16
"Of one recording session: a conference of sixteen, each by itself."
MAX_STATEMENT: Final = 500
_STATEMENT: Final = "statement:"
_SEEN: Final = (f"{RuleKind.EXTENSION}:", f"{RuleKind.HEADER}:")


class SiprecConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"from_": "from"},
):
    """What becomes of the recording sessions that one peer sends."""

    name: str
    "Stands where a call's route does: in the ledger, events and figures."
    from_: str
    "Name of the peer: the session recording client (SRC)."
    notice: str
    """What shows that the parties were told: `statement:` and how the client does it,
    or `extension:NAME=PATTERN` of its metadata, or `header:NAME=PATTERN`."""
    recognise: Literal["strict", "legacy"] = "strict"
    """Whether a recording session must say so as RFC 7866 section 6.2 demands, or all
    that this peer sends is one."""
    direction: Literal["decide", "inbound", "outbound"] = "decide"
    "That of all its calls; `decide`: each as its own metadata shows."
    service: str = ""
    "Number of the service that is rung, where the metadata names none."
    officer: tuple[str, ...] = ()
    "Rules that pick the officers; the first that picks anybody counts."
    caller: tuple[str, ...] = ()
    "Rules that pick the outside parties; everybody else is an officer then."
    calling: tuple[str, ...] = ()
    "Rules that pick who rang whom: they tell the direction."
    without_officer: Literal["record", "wait"] = "record"
    """What becomes of what is said while rules, the vendor's data and the directory
    know no officer who is there: `wait` for one, where a queue answers first."""
    on_notice_failure: Literal["discard", "record"] = "discard"
    "What becomes of a call whose parties were not shown to be told."
    on_late_exemption: Literal["discard", "keep"] = "discard"
    """What becomes of the open segment once it turns out that somebody in it must never
    be recorded; what was recorded before such a one joined is kept."""
    on_recording_failure: Literal["refuse", "unrecorded"] = "refuse"
    """What the client hears if we cannot record: 503, that it may try another recorder,
    or nothing."""
    codecs: tuple[str, ...] = ("PCMA", "PCMU", "G722", "opus")
    "In order of preference."
    max_streams: Annotated[int, msgspec.Meta(ge=1, le=MAX_STREAMS)] = MAX_STREAMS
    "Streams of one session; more are declined."
    max_pause: float = 0.0
    "Seconds for which a command may pause a recording; 0: never."
    redirect: str = ""
    "SIP URI of another recorder, told by 302 while this one takes no calls."

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name must say something: it stands in ledger and figures")
        unknown = [name for name in self.codecs if name not in CODECS]
        if unknown or not self.codecs:
            raise ValueError(f"codecs must name some of: {', '.join(CODECS)}")
        if not 0 <= self.max_pause <= MAX_PAUSE:
            raise ValueError(f"max_pause must be 0 to {MAX_PAUSE:.0f} seconds")
        if self.redirect:
            self._check_redirect()
        for rule in (*self.officer, *self.caller, *self.calling):
            parse_rule(rule)
        if self.notice.startswith(_STATEMENT):
            if not 0 < len(self.statement) <= MAX_STATEMENT:
                raise ValueError(
                    f"notice: a statement has 1 to {MAX_STATEMENT} letters"
                )
        elif not self.notice.startswith(_SEEN):
            raise ValueError("notice must begin with statement:, extension: or header:")
        else:
            parse_rule(self.notice)

    def _check_redirect(self) -> None:
        try:
            scheme = parse_uri(self.redirect).scheme
        except SipParseError as error:
            raise ValueError(f"redirect: {error.args[0]}") from error
        if scheme not in {"sip", "sips"}:
            raise ValueError("redirect must be a sip URI")

    @property
    def headers(self) -> frozenset[str]:
        """Names of the INVITE's headers that its rules look at, in lower case."""
        rules = [*map(parse_rule, (*self.officer, *self.caller, *self.calling))]
        if not self.statement:
            rules.append(self.notice_rule)
        return frozenset(one.name for one in rules if one.kind is RuleKind.HEADER)

    @property
    def statement(self) -> str:
        """How the client tells the parties, as the operator says; empty: by a rule."""
        if not self.notice.startswith(_STATEMENT):
            return ""
        return self.notice.removeprefix(_STATEMENT).strip()

    @property
    def notice_rule(self) -> Rule:
        """What shows that the parties were told. Raises ValueError for a statement."""
        return parse_rule(self.notice)
