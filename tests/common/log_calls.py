"""Every call in the code that writes a line of the log, read from the source."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

AGENT = Path(__file__).parents[2] / "agent"
LEVELS = {"debug", "info", "warning", "error", "critical"}
LOGGERS = {"_log", "log", "get_logger()", "bind()"}
"What a logger is called wherever it is used; what is bound to it is in its lines, too."


@dataclass(frozen=True)
class LogCall:
    """One event of one level, with the fields that are named there."""

    level: str
    "Empty: fields are bound, and nothing is written."
    event: str
    fields: tuple[str, ...]
    "`**` where they are computed."
    place: str


@cache
def log_calls() -> tuple[LogCall, ...]:
    """All of them; one for each level and event that a call may have."""
    return tuple(_log_calls())


def _log_calls() -> Iterator[LogCall]:
    for path in sorted(AGENT.rglob("*.py")):
        tree = ast.parse(path.read_text())
        named = _levels_by_name(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not (levels := _levels(node, named)):
                continue
            place = f"{path.relative_to(AGENT)}:{node.lineno}"
            fields = tuple(word.arg or "**" for word in node.keywords)
            events = [""] if levels == {""} else _events(node.args[0], place)
            for event in events:
                for level in sorted(levels):
                    yield LogCall(level, event, fields, place)


def _levels(call: ast.Call, named: dict[str, set[str]]) -> set[str]:
    """Of the calls of a logger: the levels; `{""}` where something is bound."""
    match call.func:
        case ast.Attribute(value=logger, attr=name) if _is_logger(logger):
            if name == "bind":
                return {""}
            return {name} & LEVELS
        case ast.Name(id=name):
            return named.get(name, set())
    return set()


def _is_logger(expression: ast.expr) -> bool:
    return ast.unparse(expression).rpartition(".")[2] in LOGGERS


def _levels_by_name(tree: ast.AST) -> dict[str, set[str]]:
    """Of `tell = log.warning if bad else log.info`: the levels of `tell`."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.IfExp(
                    body=ast.Attribute(attr=one), orelse=ast.Attribute(attr=other)
                ),
            ) if {one, other} <= LEVELS:
                found[name] = {one, other}
    return found


def _events(argument: ast.expr, place: str) -> list[str]:
    match argument:
        case ast.Constant(value=str(event)):
            return [event]
        case ast.IfExp(body=one, orelse=other):
            return _events(one, place) + _events(other, place)
    raise AssertionError(f"{place}: an event's name must stand where it is logged")
