"""The phones file: who may call, and what proves it. CSV, one line per algorithm.

    user,realm,algorithm,ha1,numbers
    201,agency.example,SHA-256,9f8d…,201 +358295000201

`ha1` is the digest of user, realm and password (RFC 7616 section 3.4.2), and as good
as the password within that realm. `numbers` are those that the user may call as,
blanks between them: its own name if empty, anybody's if `*`.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.common.errors import AgentError
from agent.signalling.sip.authentication import User, Users
from agent.signalling.sip.digest import Algorithm, is_quotable

COLUMNS: Final = ("user", "realm", "algorithm", "ha1", "numbers")

_ALGORITHMS: Final = {str(algorithm): algorithm for algorithm in Algorithm}


class PhonesError(AgentError):
    """A phones file is malformed. The text names lines, and nothing in them."""

    hint = "`recording-agent phone-password` writes such files."


@dataclass(frozen=True, slots=True)
class PhoneLine:
    """One user with one algorithm."""

    user: str = field(repr=False)
    realm: str
    algorithm: Algorithm
    ha1: str = field(repr=False)
    numbers: str = field(default="", repr=False)


def parse_phones(text: str) -> list[PhoneLine]:
    """Parse the file, without judging how its lines go together.

    Raises PhonesError.
    """
    rows = csv.reader(io.StringIO(text), strict=True)
    try:
        if tuple(next(rows, ())) != COLUMNS:
            raise PhonesError(f"The first line is not {','.join(COLUMNS)}.")
        lines = [_line(row, rows.line_num) for row in rows if row]
    except csv.Error:
        raise PhonesError(f"Line {rows.line_num} is no CSV.") from None
    return lines


def format_phones(lines: Iterable[PhoneLine]) -> str:
    """Write the file; the twin of `parse_phones`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in lines:
        writer.writerow((one.user, one.realm, one.algorithm, one.ha1, one.numbers))
    return out.getvalue()


def users_of(lines: Iterable[PhoneLine]) -> Users:
    """The users of a file. Raises PhonesError if its lines do not go together."""
    ha1: dict[str, dict[Algorithm, str]] = {}
    numbers: dict[str, list[str]] = {}
    realms: set[str] = set()
    for line in lines:
        known = ha1.setdefault(line.user, {})
        if line.algorithm in known:
            raise PhonesError("A user has two lines of one algorithm.")
        known[line.algorithm] = line.ha1
        numbers.setdefault(line.user, []).extend(line.numbers.split())
        realms.add(line.realm)
    if len(realms) != 1:
        raise PhonesError("All users must be of one realm, and one there must be.")
    users = (
        User(name, each, tuple(dict.fromkeys(numbers[name])) or (name,))
        for name, each in ha1.items()
    )
    try:
        return Users(realms.pop(), users)
    except ValueError:
        raise PhonesError("There is no algorithm that all users have.") from None


def _line(row: list[str], number: int) -> PhoneLine:
    if len(row) != len(COLUMNS):
        raise PhonesError(f"Line {number} has not {len(COLUMNS)} fields.")
    user, realm, name, ha1, numbers = (text.strip() for text in row)
    algorithm = _ALGORITHMS.get(name)
    if algorithm is None:
        known = ", ".join(_ALGORITHMS)
        raise PhonesError(f"Line {number}: the algorithm is none of {known}.")
    if re.fullmatch(rf"[0-9a-f]{{{algorithm.length}}}", ha1) is None:
        raise PhonesError(f"Line {number}: ha1 is no {algorithm} digest.")
    if not is_quotable(user) or not is_quotable(realm):
        raise PhonesError(f"Line {number}: the user or the realm is malformed.")
    return PhoneLine(user, realm, algorithm, ha1, numbers)
