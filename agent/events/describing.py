"""What is published, described from the code: JSON Schemas, and TOPICS.md.

`scripts/make-topics` writes the files; a test holds them equal to what is made here.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec

from agent.events.host_state import HostState
from agent.formats.command import Command
from agent.model.events import AlarmEvent, CallEvent, DailySummary

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Described:
    """One kind of message."""

    name: str
    "Of its schema's file."
    topic: str
    "Below `recording-agent/<host>/`."
    type: type[msgspec.Struct]
    retained: bool = False


def described() -> list[Described]:
    """Everything but answers, which are of the service's commands."""
    calls = [
        Described(
            name=str(event.__struct_config__.tag),
            topic=f"calls/<call_id>/{event.__struct_config__.tag}",
            type=event,
        )
        for event in get_args(CallEvent)
    ]
    return [
        Described("status", "status", HostState, retained=True),
        *calls,
        Described("alarm", "alarms/<event>", AlarmEvent, retained=True),
        Described("daily-summary", "daily-summary", DailySummary),
    ]


COMMAND: Final = Described("command", "commands/<type>", Command)


def schema(message: Described) -> bytes:
    """The JSON Schema of a message, as its file holds it.

    What we write has every field; what we shall add one day is not forbidden.
    """
    _, components = msgspec.json.schema_components(
        [message.type], ref_template="#/$defs/{name}"
    )
    own = dict(components.pop(message.type.__name__))
    whole = {"$schema": DIALECT, "title": message.name} | {
        key: value for key, value in own.items() if key != "title"
    }
    if components:
        whole["$defs"] = components
    for part in (whole, *components.values()):
        _require_all(part)
    return (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()


def _require_all(part: dict[str, Any]) -> None:
    if "properties" in part:
        part["required"] = list(part["properties"])
        for field in part["properties"].values():
            field.pop("default", None)


def describe(message: Described) -> str:
    """A section of TOPICS.md: where it goes, what it says, and its fields."""
    said = inspect.cleandoc(message.type.__doc__ or "")
    lines = [
        f"### `{message.topic}`{' (retained)' if message.retained else ''}",
        "",
        said,
        "",
        "| field | content |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {text} |" for name, text in _fields(message.type)]
    return "\n".join(lines) + "\n"


def common() -> str:
    """The fields that all events have, as a table."""
    base = AlarmEvent.__mro__[1]
    rows = [f"| `{name}` | {text} |" for name, text in _documented(base).items()]
    call = get_args(CallEvent)[0].__mro__[1]
    rows += [f"| `{name}` | {text} |" for name, text in _documented(call).items()]
    kind = "| `kind` | Which event this is: the last level of a call's topic. |"
    return "\n".join(["| field | content |", "|---|---|", kind, *rows]) + "\n"


def _fields(type_: type[msgspec.Struct]) -> Iterable[tuple[str, str]]:
    """A struct's own fields, and what its source says of each."""
    shared: set[str] = set()
    for base in type_.__mro__[1:]:
        if base.__name__ in {"_Event", "_CallEvent"}:
            shared |= set(base.__annotations__)
    docs: dict[str, str] = {}
    for base in reversed(type_.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            docs |= _documented(base)
    for name in type_.__struct_fields__:
        if name not in shared:
            yield name, docs.get(name, "")


def _documented(type_: type) -> Mapping[str, str]:
    """The fields that a class adds, with the string that stands below each."""
    module = ast.parse(inspect.getsource(sys.modules[type_.__module__]))
    found: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and node.name == type_.__name__:
            last = ""
            for part in node.body:
                match part:
                    case ast.AnnAssign(target=ast.Name(id=last)):
                        found[last] = ""
                    case ast.Expr(value=ast.Constant(value=str(text))) if last:
                        found[last] = " ".join(text.split())
    return found
