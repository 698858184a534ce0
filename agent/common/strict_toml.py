"""Configuration files: strict TOML into msgspec structs, every mistake named."""

import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.common.errors import AgentError

S = TypeVar("S", bound=msgspec.Struct)


class ConfigError(AgentError):
    """The configuration file is wrong; `mistakes` names every place."""

    hint = "Correct the file; `recording-agent check-config` reads it again."

    def __init__(self, mistakes: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("; ".join(mistakes) + ".", hint=hint)
        self.mistakes = tuple(mistakes)


def read_toml(path: Path, *, hint: str | None = None) -> dict[str, object]:
    """A file's tables.

    Raises ConfigError, with `hint` if given: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        mistake = f"{path}: cannot be read: {error.strerror}"
        raise ConfigError([mistake], hint=hint) from error
    except UnicodeDecodeError as error:
        mistake = f"{path}: cannot be read: {error}"
        raise ConfigError([mistake], hint=hint) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: {error}"], hint=hint) from error


def decode_struct(
    type_: type[S], raw: object, path: str, mistakes: list[str]
) -> S | None:
    """Decode one table field by field, so that one mistake hides no other.

    `path` is the table's own, empty for the whole file. None, and what is wrong is
    added to `mistakes`, if anything is.
    """
    if not isinstance(raw, dict):
        mistakes.append(f"{path}: a table is expected")
        return None
    before = len(mistakes)
    values: dict[str, object] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    mistakes += [f"{_join(path, name)}: unknown key" for name in raw.keys() - fields]
    for name, field in fields.items():
        here = _join(path, name)
        if name not in raw:
            if field.required:
                mistakes.append(f"{here}: missing")
            continue
        values[field.name] = _value(field.type, raw[name], here, mistakes)
    if len(mistakes) > before:
        return None
    try:
        return type_(**values)
    except (ValueError, TypeError) as error:
        mistakes.append(f"{path or 'the file'}: {error}")
        return None


def _value(type_: object, raw: object, path: str, mistakes: list[str]) -> object:
    arguments = typing.get_args(type_)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return decode_struct(type_, raw, path, mistakes)
    if (
        typing.get_origin(type_) is tuple
        and arguments
        and isinstance(arguments[0], type)
        and issubclass(arguments[0], msgspec.Struct)
    ):
        if not isinstance(raw, list):
            mistakes.append(f"{path}: an array of tables is expected")
            return None
        return tuple(
            decode_struct(arguments[0], item, f"{path}[{index}]", mistakes)
            for index, item in enumerate(raw)
        )
    try:
        return msgspec.convert(raw, typing.cast("type[object]", type_))
    except msgspec.ValidationError as error:
        mistakes.append(f"{path}: {error}")
        return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
