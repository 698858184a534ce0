"""The officers of this host: number, name, and the key that opens their calls."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.identity.numbers import FINLAND, IdentityConfig, normalise

COLUMNS: Final = ("number", "name", "recipient")
MAX_FILE: Final = 64 * 2**20
"Octets; thirty thousand officers with post-quantum keys."
MAX_NUMBER: Final = 64
MAX_NAME: Final = 200
MAX_RECIPIENT: Final = 4096
"A post-quantum age recipient has 1959 characters."
MAX_MISTAKES: Final = 100
"How many bad lines are named; with more the file is another kind of file."


class DirectoryError(AgentError):
    """The file of officers cannot be used. It is never quoted, lines are numbered."""

    hint = "Correct the named lines; the columns are number,name,recipient."

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(self.mistakes) + ".")


@dataclass(frozen=True, slots=True)
class OfficerEntry:
    """One officer."""

    number: str
    "As in the file."
    name: str
    recipient: str = ""
    "The officer's public key; empty: only quality staff may open the recordings."
    line: int = field(default=0, compare=False)
    "Of the file, from 1; 0 if it is from none."

    def __repr__(self) -> str:
        return "OfficerEntry(…)"


class Directory:
    """All officers, found by number in any of its written forms."""

    def __init__(
        self, entries: Iterable[OfficerEntry], *, config: IdentityConfig = FINLAND
    ) -> None:
        self._config = config
        self._entries = tuple(entries)
        self._by_number = {
            normalise(entry.number, config): entry for entry in self._entries
        }

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[OfficerEntry]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return f"Directory({len(self)} officers)"

    @classmethod
    def load(cls, path: Path, *, config: IdentityConfig = FINLAND) -> "Directory":
        """Read the file anew.

        UTF-8 CSV with commas and a header row. Raises DirectoryError, which names
        every bad line at once.
        """
        entries, mistakes = _read(path, config)
        if mistakes:
            raise DirectoryError(mistakes)
        return cls(entries, config=config)

    def lookup(self, number: str) -> OfficerEntry | None:
        """The officer with that number, dialled or in E.164 form."""
        return self._by_number.get(normalise(number, self._config))


def _read(path: Path, config: IdentityConfig) -> tuple[list[OfficerEntry], list[str]]:
    try:
        if path.stat().st_size > MAX_FILE:
            return [], ["the file is too large"]
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        return [], [f"the file cannot be read: {error.strerror}"]
    except UnicodeDecodeError:
        return [], ["the file is not UTF-8"]
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: list[OfficerEntry] = []
    mistakes: list[str] = []
    try:
        header = [field.strip().lower() for field in next(rows, [])]
        if sorted(header) != sorted(COLUMNS):
            return [], [f"line 1 must be the header {','.join(COLUMNS)}"]
        seen: set[str] = set()
        for row in rows:
            fields = [value.strip() for value in row]
            if not any(fields):
                continue
            fault = _fault(fields, header)
            if not fault:
                values = dict(zip(header, fields, strict=True))
                entry = OfficerEntry(**values, line=rows.line_num)
                number = normalise(entry.number, config)
                fault = "the number stands above already" if number in seen else ""
                seen.add(number)
                entries.append(entry)
            if fault:
                mistakes.append(f"line {rows.line_num}: {fault}")
            if len(mistakes) == MAX_MISTAKES:
                break
    except csv.Error as error:
        mistakes.append(f"line {rows.line_num}: {error}")
    return entries, mistakes


def _fault(fields: list[str], header: list[str]) -> str:
    """What is wrong with a row; empty if nothing is."""
    if len(fields) != len(header):
        return f"{len(fields)} fields instead of {len(header)}"
    row = dict(zip(header, fields, strict=True))
    if not 0 < len(row["number"]) <= MAX_NUMBER:
        return "the number is empty or too long"
    if not 0 < len(row["name"]) <= MAX_NAME:
        return "the name is empty or too long"
    if not all(field.isprintable() for field in fields):
        return "a field holds control characters"
    if len(row["recipient"]) > MAX_RECIPIENT or " " in row["recipient"]:
        return "the recipient is no public key"
    return ""
