"""Metadata of recording sessions (RFC 7865), put together element by element."""

import base64
import uuid
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "urn:ietf:params:xml:ns:recording:1"
BEGUN = "2026-11-30T08:00:00Z"
CHANGED = "2026-11-30T08:05:00Z"


def uid(word: str) -> str:
    """The id of what a test calls by a word: a UUID in base64, as the RFC has it."""
    return base64.b64encode(_uuid(word).bytes).decode()


def hex_id(word: str) -> str:
    """The same, as a session id is written (RFC 7989)."""
    return _uuid(word).hex


def _uuid(word: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{word}.src.example")


def document(*elements: str, mode: str = "complete") -> bytes:
    """A whole document."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\r\n'
    body = f"<datamode>{mode}</datamode>{''.join(elements)}"
    return f'{head}<recording xmlns="{NAMESPACE}">{body}</recording>\r\n'.encode()


def partial(*elements: str) -> bytes:
    """What has changed."""
    return document(*elements, mode="partial")


def group(word: str) -> str:
    """A communication session group."""
    inside = f"<associate-time>{BEGUN}</associate-time>"
    return f'<group group_id="{uid(word)}">{inside}</group>'


def session(word: str, *, of: str = "", stopped: bool = False) -> str:
    """A communication session, of a group or of none, going on or at its end."""
    inside = f"<sipSessionID>{hex_id(word)};remote={hex_id(of)}</sipSessionID>"
    inside += f"<group-ref>{uid(of)}</group-ref>" if of else ""
    name = "stop-time" if stopped else "start-time"
    inside += f"<{name}>{CHANGED if stopped else BEGUN}</{name}>"
    return f'<session session_id="{uid(word)}">{inside}</session>'


def participant(aor: str, name: str = "", *, inside: str = "") -> str:
    """Somebody, who is called by the number or name in their AoR in what follows."""
    said = f'<name xml:lang="en">{escape(name)}</name>' if name else ""
    name_id = f"<nameID aor={quoteattr(aor)}>{said}</nameID>"
    return f'<participant participant_id="{uid(aor)}">{name_id}{inside}</participant>'


def stream(word: str, label: str, *, of: str) -> str:
    """A stream of a session, by its label in the description."""
    ids = f'stream_id="{uid(word)}" session_id="{uid(of)}"'
    return f"<stream {ids}><label>{escape(label)}</label></stream>"


def takes_part(aor: str, *, of: str, left: bool = False) -> str:
    """A participant is in a session, or has left it."""
    ids = f'participant_id="{uid(aor)}" session_id="{uid(of)}"'
    name = "disassociate-time" if left else "associate-time"
    inside = f"<{name}>{CHANGED if left else BEGUN}</{name}>"
    return f"<participantsessionassoc {ids}>{inside}</participantsessionassoc>"


def heard_on(aor: str, *, send: Iterable[str] = (), recv: Iterable[str] = ()) -> str:
    """On which streams a participant is heard, and which they hear."""
    inside = "".join(f"<send>{uid(word)}</send>" for word in send)
    inside += "".join(f"<recv>{uid(word)}</recv>" for word in recv)
    head = f'<participantstreamassoc participant_id="{uid(aor)}">'
    return f"{head}{inside}</participantstreamassoc>"


def two_parties(
    caller: str,
    officer: str,
    *,
    call: str,
    together: str = "",
    labels: tuple[str, str] = ("1", "2"),
    inside: str = "",
) -> tuple[str, ...]:
    """A call of two, each on a stream of their own, and its group.

    `together`: another call of the same group. `inside`: what is said of the caller.
    """
    first, second = f"{call}-1", f"{call}-2"
    group_word = f"{together or call}-group"
    return (
        group(group_word),
        session(call, of=group_word),
        participant(caller, inside=inside),
        participant(officer),
        stream(first, labels[0], of=call),
        stream(second, labels[1], of=call),
        takes_part(caller, of=call),
        takes_part(officer, of=call),
        heard_on(caller, send=[first], recv=[second]),
        heard_on(officer, send=[second], recv=[first]),
    )
