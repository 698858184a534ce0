"""`[[storage]]`: where sealed recordings go."""

import msgspec


class StorageConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """One central storage. Two URLs, because Object Lock defaults are per bucket."""

    locked_url: str
    "Audio and manifests: may be WORM-locked by the store."
    url: str
    "Key envelopes: never locked, no old versions kept."

    def __post_init__(self) -> None:
        for name in ("locked_url", "url"):
            if not getattr(self, name).startswith("file:///"):
                raise ValueError(f"{name} must be a file:///… URL")
        if self.locked_url == self.url:
            raise ValueError("locked_url and url must differ")
