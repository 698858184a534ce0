"""What of a configuration may change while calls are carried.

Everything else needs another process: sockets, the spool, workers and storage are made
of it. It is named, and stays as it is.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from agent.service.config import Config

WHOLE: Final = ("peers", "routes", "siprec", "officers", "tls")
"Sections of which all may."
KEYS: Final = {
    "agent": ("drain",),
    "log": ("level",),
    "recording": ("recipients", "emergency", "exempt"),
}
"Keys of others that may."


def merged(running: Config, read: Config) -> tuple[Config, tuple[str, ...]]:
    """`running` with all of `read` that may change, and the keys that may not but did.

    A key is told by its path, without an index: `sip.listen`, `storage`.
    """
    changes: dict[str, object] = {name: getattr(read, name) for name in WHOLE}
    for section, keys in KEYS.items():
        old, new = getattr(running, section), getattr(read, section)
        changes[section] = replace(old, **{key: getattr(new, key) for key in keys})
    found = replace(running, **changes)
    return found, tuple(_differences(found, read))


def _differences(
    one: msgspec.Struct, other: msgspec.Struct, path: str = ""
) -> list[str]:
    """Paths of what differs: of a section key by key, of a list as a whole."""
    found = []
    for name in one.__struct_fields__:
        here = f"{path}{name}"
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, msgspec.Struct) and isinstance(b, msgspec.Struct) and not path:
            found += _differences(a, b, f"{here}.")
        elif a != b:
            found.append(here)
    return found
