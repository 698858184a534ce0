"""The manual pages, made of the command lines: `python -m agent.cli.manual PROGRAM`.

roff as groff_man(7) has it, for section 1. Every verb and every option is in it, in the
words of `--help`: there is nothing that could become untrue by itself.
"""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import cyclopts

from agent import __version__

_MEANT: Final = {"\\": "\\e", "-": "\\-", "`": "\\(ga", "'": "\\(aq"}
"Characters that roff would take for others."
_STATUS: Final = (
    ("0", "It is done, or nothing is wrong."),
    ("1", "It failed, or something is wrong; the message says what to do."),
    ("2", "The command line is wrong."),
)
_CREDENTIALS: Final = (
    "CREDENTIALS_DIRECTORY",
    "Where credential:NAME is looked for, as systemd sets it.",
)
Entries = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Program:
    """One that has a page: its command line, and what that does not say."""

    app: cyclopts.App
    text: str
    files: Entries
    environment: Entries = (_CREDENTIALS,)

    @property
    def name(self) -> str:
        """Of the command."""
        return self.app.name[0]


def agent() -> Program:
    """`recording-agent`."""
    # Here and below: a page is made of one program, and needs no more.
    from agent.cli.app import app  # noqa: PLC0415

    return Program(
        app,
        """\
Records a call centre's telephone calls, and can say of every call what became of it.
Verbs that ask the running daemon, or read what it keeps, are run as its user or root,
and name its configuration with --config. None of them shows a telephone number or a
name, but those that open recordings for who is entitled to.""",
        files=(
            (
                "/etc/recording-agent/agent.toml",
                "The daemon's configuration; every key is explained in it.",
            ),
            (
                "/var/lib/recording-agent",
                "The spool: journals, the ledger, and what waits for storage.",
            ),
            (
                "~/.config/recording-agent/archive.toml",
                "Of the archive verbs, at a person's own computer.",
            ),
        ),
        environment=(
            _CREDENTIALS,
            ("COLUMNS", "Width of tables that are printed to a file or a pipe."),
        ),
    )


def gate() -> Program:
    """`recording-agent-gate`."""
    from agent.gate.main import app  # noqa: PLC0415

    return Program(
        app,
        """\
Runs at central storage, never on a telephony host. Verbs are run as the service's user,
with its credentials; those that change the keyring while it is stopped.""",
        files=(
            (
                "/etc/recording-agent-gate/gate.toml",
                "The configuration; every key is explained in it.",
            ),
            (
                "/var/lib/recording-agent-gate",
                "The keyring, and what the gate must remember beside storage.",
            ),
        ),
    )


PROGRAMS: Final = {"recording-agent": agent, "recording-agent-gate": gate}


def manual(program: Program) -> str:
    """The whole page."""
    app, name = program.app, program.name
    title = _escaped(name.upper())
    lines = [
        f'.TH {title} 1 "" "{name} {__version__}" "Operator commands"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(_first(app.help or ''))}",
        ".SH SYNOPSIS",
        f".B {_escaped(name)}",
        ".I VERB",
        "[\\fIoptions\\fR]",
        ".SH DESCRIPTION",
        *_paragraph(program.text),
        ".SH VERBS",
    ]
    for verb, command in verbs(app):
        lines += _verb(name, verb, command)
    for heading, entries in (
        ("EXIT STATUS", _STATUS),
        ("FILES", program.files),
        ("ENVIRONMENT", program.environment),
    ):
        lines.append(f".SH {heading}")
        for term, text in entries:
            lines += [".TP", f".B {_escaped(term)}", *_paragraph(text)]
    return "\n".join(lines) + "\n"


def verbs(
    of: cyclopts.App, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], cyclopts.App]]:
    """Every verb that does something, with the words that name it."""
    for name in of:
        if name.startswith("-"):
            continue
        command = of[name]
        words = (*before, name)
        below = list(verbs(command, words))
        if below:
            yield from below
        else:
            yield words, command


def options(command: cyclopts.App) -> Iterator[Any]:
    """What may stand behind a verb: cyclopts' arguments, those that it shows."""
    collection = command.assemble_argument_collection(parse_docstring=True)
    return (argument for argument in collection if argument.show)


def _verb(program: str, words: tuple[str, ...], command: cyclopts.App) -> Iterator[str]:
    found = list(options(command))
    places = [one for one in found if _has_place(one)]
    named = [one for one in found if not _has_place(one)]
    yield f".SS {_escaped(' '.join(words))}"
    yield f".B {_escaped(' '.join((program, *words)))}"
    for one in places:
        yield f".I {_escaped(_value(one))}"
    if named:
        yield "[\\fIoptions\\fR]"
    yield ".PP"
    yield from _paragraph(_description(command), ".PP")
    for one in (*places, *named):
        yield ".TP"
        yield _term(one)
        yield from _paragraph(_words(one))


def _term(option: Any) -> str:
    """An option's names, and what they take."""
    flags = [name for name in option.names if name.startswith("-")]
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in flags)
    if option.hint is bool:
        return names
    choices = option.get_choices()
    value = f"\\fI{_escaped('|'.join(choices) if choices else _value(option))}\\fR"
    if _has_place(option):
        return ", ".join(part for part in (value, names) if part)
    return f"{names} {value}"


def _has_place(option: Any) -> bool:
    """Whether it is told by its place behind the verb."""
    return option.field_info.kind is not inspect.Parameter.KEYWORD_ONLY


def _value(option: Any) -> str:
    return str(option.name.lstrip("-").upper())


def _words(option: Any) -> str:
    help_ = " ".join((option.parameter.help or "").split())
    if option.required:
        return f"{help_} Required." if help_ else "Required."
    default = option.field_info.default
    if isinstance(default, bool | tuple) or default in {
        None,
        "",
        inspect.Parameter.empty,
    }:
        return help_
    return f"{help_} Default: {default}."


def _description(command: cyclopts.App) -> str:
    """A verb's docstring, but for the part on its arguments."""
    text = inspect.getdoc(command.default_command) or command.help or ""
    return text.partition("\nArgs:")[0].strip()


def _first(text: str) -> str:
    return text.partition("\n")[0].rstrip(".")


def _paragraph(text: str, between: str = ".IP") -> Iterator[str]:
    for index, part in enumerate(text.split("\n\n")):
        if index:
            yield between
        yield _escaped(" ".join(part.split()))


def _escaped(text: str) -> str:
    """Text as roff takes it for what it is."""
    escaped = "".join(
        _MEANT.get(one, one if one.isascii() else f"\\[u{ord(one):04X}]")
        for one in text
    )
    # A line that begins so would be an order.
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    sys.stdout.write(manual(PROGRAMS[sys.argv[1]]()))
