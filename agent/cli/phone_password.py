"""`recording-agent phone-password`: users of a phones file; no password is kept."""

import secrets
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.cli.terminal import console
from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.signalling.phones import PhoneLine, format_phones, parse_phones, users_of
from agent.signalling.secrets import Secrets
from agent.signalling.sip.digest import Algorithm, hash_password, is_quotable

RANDOM_BYTES: Final = 15
"Of a password made here: twenty characters, which no dictionary holds."


class PhonePasswordError(AgentError):
    """The user cannot be written."""

    hint = "Give a user and a realm without quotes and backslashes."


def command(
    user: str,
    *,
    realm: str,
    file: Annotated[Path, Parameter(name=["--file", "-f"])],
    numbers: str = "",
    algorithm: tuple[Algorithm, ...] = tuple(Algorithm),
    generate: bool = False,
) -> None:
    """Set a phone's password in a phones file, which is made if it is not there.

    Args:
        user: The name the phone logs in with.
        realm: What the phone is shown; the same for all users of a file.
        file: The phones file (mode 0600).
        numbers: The numbers the user may call as, blanks between; empty: its name.
        algorithm: For which hash functions; MD5 alone for phones that stumble at more.
        generate: Make a password and print it, instead of asking for one.
    """
    if not is_quotable(user) or not is_quotable(realm):
        raise PhonePasswordError("the user or the realm is malformed.")
    lines = []
    if file.exists():
        text = Secrets(Path(), None).read(str(file))
        lines = [one for one in parse_phones(text) if one.user != user]
    password = secrets.token_urlsafe(RANDOM_BYTES) if generate else _ask_password()
    lines += [
        PhoneLine(user, realm, one, hash_password(one, user, realm, password), numbers)
        for one in dict.fromkeys(algorithm)
    ]
    users = users_of(lines)
    try:
        write_durably(file.resolve(), format_phones(lines).encode())
    except OSError as error:
        raise PhonePasswordError(
            f"{file} cannot be written: {error.strerror}.",
            hint="Name a file in a directory you may write.",
        ) from error
    if generate:
        print(password)
    known = ", ".join(users.algorithms)
    console(stderr=True).print(f"{file}: {len(users)} users, asked for {known}")


def _ask_password() -> str:
    import getpass  # noqa: PLC0415 - only here, and slow to import

    if not sys.stdin.isatty():
        first = sys.stdin.readline().rstrip("\r\n")
        if not first:
            raise PhonePasswordError("there is no password on standard input.", hint="")
        return first
    first = getpass.getpass("Password: ")
    if not first or first != getpass.getpass("Once more: "):
        raise PhonePasswordError("the passwords are empty or differ.", hint="")
    return first
