"""`[officers]` and `[roster]`: where the people of this site stand."""

import msgspec

from agent.formats.sshsig import PublicKey, SshKeyError


class DirectoryConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The officers this host knows."""

    directory: str = ""
    "CSV file `number,name,recipient`; empty: no officer has a name or a key."


class RosterConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The signed roster; without one nobody vouches for keys and officers."""

    path: str = ""
    "The signed file."
    root: str = ""
    "The key that must have signed it, `ssh-ed25519 AAAA…`."

    def __post_init__(self) -> None:
        if bool(self.path) != bool(self.root):
            raise ValueError("path and root are needed together")
        if self.root:
            try:
                PublicKey.parse(self.root)
            except SshKeyError as error:
                raise ValueError(f"root: {error}") from None
