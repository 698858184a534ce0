"""`[recording]`: what is recorded, for whose eyes, and what never is."""

from typing import Final

import msgspec

from agent.model.recording import (
    MAX_OPUS_BITRATE,
    MIN_OPUS_BITRATE,
    OPUS_BITRATE,
    Kept,
    RecordingFormat,
)

MAX_SEGMENT: Final = 28_800.0
"Eight hours: what agent.formats.packets keeps of a leg is bounded by as much."


class RecordingConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The recording side of the daemon."""

    recipients: tuple[str, ...] = ()
    """age recipients of each quality member and of the offline recovery key; not needed
    with a roster, which says so itself."""
    format: RecordingFormat = RecordingFormat.WIRE
    opus_bitrate: int = OPUS_BITRATE
    "Bits a second of each channel, with the format `opus`."
    emergency: tuple[str, ...] = ("112",)
    "Matched before any route; never announced, recorded, refused or limited."
    exempt: tuple[str, ...] = ()
    "Numbers, called or calling, that must never be recorded."
    max_segment: float = 7200.0
    "Seconds after which a recording goes on in a new segment; at most MAX_SEGMENT."
    finishers: int = 0
    "Processes that finish recordings; 0 is one."
    spool_high_water: float = 0.9
    "Fraction of the spool's file system from which on no new recording begins."
    min_free_mb: int = 64
    "Below this much free space the spool counts as full."

    def __post_init__(self) -> None:
        if not 1 <= self.max_segment <= MAX_SEGMENT:
            raise ValueError(f"max_segment must be 1 to {MAX_SEGMENT:.0f} seconds")
        if not 0 < self.spool_high_water <= 1:
            raise ValueError("spool_high_water must be above 0 and at most 1")
        if not self.emergency:
            raise ValueError("emergency must name at least one number")
        if not MIN_OPUS_BITRATE <= self.opus_bitrate <= MAX_OPUS_BITRATE:
            raise ValueError(
                f"opus_bitrate must be {MIN_OPUS_BITRATE} to {MAX_OPUS_BITRATE}"
            )

    @property
    def kept(self) -> Kept:
        """As what recordings are kept."""
        return Kept(format=self.format, opus_bitrate=self.opus_bitrate)


class SigningConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[signing]`: the host's seal on what it stores."""

    key: str = ""
    """OpenSSH Ed25519 private key file, or `credential:NAME`, whose public half the
    roster has; empty: nothing is signed."""


class GateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[gate]`: the trusted service that guards central storage."""

    day_keys: str = ""
    "Its signed list of day keys; empty: envelopes have no layer of a gate's."
    url: str = ""
    "`https://…`, where people reach it; the host itself does not call it."
    region: str = ""
    "Country or region it is in."


class IndexConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """`[index]`: how recordings are found by number."""

    keys: str = ""
    """File of index keys, or `credential:NAME`, as the gate prints it; empty: nothing
    is indexed."""
