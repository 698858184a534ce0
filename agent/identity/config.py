"""`[officers]`: where the directory of officers is."""

import msgspec


class DirectoryConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The officers this host knows."""

    directory: str = ""
    "CSV file `number,name,recipient`; empty: no officer has a name or a key."
