"""What can be wrong with an age file or key, named as the public vectors name it."""

from agent.common.errors import AgentError


class AgeError(AgentError):
    """An age file could not be written or opened."""


class HeaderError(AgeError):
    """The header is not one: malformed, cut short, or of another version."""


class HmacError(AgeError):
    """The header was altered by someone who lacks the file key."""


class PayloadError(AgeError):
    """The payload was altered or cut short."""


class ArmorError(AgeError):
    """The ASCII armor around the file is malformed."""


class NoMatchError(AgeError):
    """None of the identities opens this file."""


class KeyFormatError(AgeError):
    """The text is not a key; the message never repeats it."""


class RecipientError(AgeError):
    """These recipients cannot stand in one file: our own or the operator's mistake."""
