"""Under which topic each event goes, and how much of a number it shows.

No topic holds anything of a person: host name, ids of ours, words of ours.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from agent.model.events import (
    AlarmEvent,
    CallAnswered,
    CallOffered,
    DailySummary,
    Event,
)

ROOT: Final = "recording-agent"
_LEVEL: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_EVENTS: Final = msgspec.json.Decoder(Event)


class Topics:
    """The topics of one host."""

    def __init__(self, host: str) -> None:
        self._base = f"{ROOT}/{level(host)}"

    @property
    def status(self) -> str:
        """The host's state, retained; its last will is left here, too."""
        return f"{self._base}/status"

    @property
    def commands(self) -> str:
        """Below this commands come."""
        return f"{self._base}/commands"

    def command(self, kind: str) -> str:
        """Where one kind of command comes."""
        return f"{self.commands}/{kind}"

    def answer(self, command_id: str) -> str:
        """Where one command is answered, and nowhere else."""
        return f"{self._base}/answers/{level(command_id)}"

    def of(self, event: Event) -> str:
        """Where an event goes."""
        match event:
            case AlarmEvent():
                return f"{self._base}/alarms/{level(event.event)}"
            case DailySummary():
                return f"{self._base}/daily-summary"
            case _:
                kind = type(event).__struct_config__.tag
                return f"{self._base}/calls/{level(event.call_id)}/{kind}"


def level(text: str) -> str:
    """Text as one level of a topic: what has a meaning there is escaped as in a URL."""
    return text if _LEVEL.fullmatch(text) else quote(text, safe="")


def is_retained(event: Event) -> bool:
    """Whether the broker keeps it for who comes later: only what is a state."""
    return isinstance(event, AlarmEvent)


def decode(body: bytes) -> Event:
    """An event as the outbox has it. Raises msgspec.DecodeError."""
    return _EVENTS.decode(body)


def with_numbers(event: Event, numbers: Mapping[str, str]) -> Event:
    """The event with whole numbers, as far as `numbers` has its fields."""
    if not isinstance(event, CallOffered | CallAnswered):
        return event
    known = {name: numbers[name] for name in event.__struct_fields__ if name in numbers}
    return msgspec.structs.replace(event, **known) if known else event
