"""Who the officer of a number is, and which key of theirs may open a segment."""

import functools

from structlog.typing import FilteringBoundLogger

from agent.call.joint import Joint
from agent.formats.age import AgeError, Recipient, parse_recipient
from agent.model.recording import Officer


def officer_of(
    joint: Joint, number: str, log: FilteringBoundLogger
) -> tuple[Officer, Recipient | None]:
    """As the directory has them now; without a key that can be used it is told."""
    shown = joint.mask(number)
    entry = joint.directory().lookup(number)
    if entry is None:
        log.warning("officer_unknown", number=shown)
        return Officer(number=number, name=""), None
    officer = Officer(number=entry.number, name=entry.name)
    if not entry.recipient:
        log.warning("officer_without_key", number=shown)
        return officer, None
    recipient = _recipient(entry.recipient)
    if recipient is None or recipient.kind is not joint.recorder.kind:
        log.error("officer_key_unusable", number=shown)
        return officer, None
    return officer, recipient


@functools.lru_cache(maxsize=4096)
def _recipient(text: str) -> Recipient | None:
    """A directory's key, parsed once: a post-quantum one takes a millisecond."""
    try:
        return parse_recipient(text)
    except AgeError:
        return None
