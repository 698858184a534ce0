"""A sound as it is played: in each codec, ready to be cut into frames."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True)
class Sound:
    """A notice or a tone, of 8000 samples a second."""

    name: str
    "Names it in the workers; different sounds have different names."
    sha256: str
    "Lower-case hexadecimal; of the file as configured, or of a tone's A-law."
    duration_ms: int
    pcma: bytes = field(repr=False)
    pcmu: bytes = field(repr=False)
    "One byte per sample, as A-law."
    language: str = ""
    "Of a notice, from its file's name: `fi.wav` is `fi`."
    g722: bytes = field(default=b"", repr=False)
    "One byte per sample too; empty where no route has the codec."
    opus: tuple[bytes, ...] = field(default=(), repr=False)
    "Packets of 20 ms; none where no route has the codec."

    @property
    def encodings(self) -> Mapping[str, bytes | tuple[bytes, ...]]:
        """What is to be sent in each codec; packets where it cannot be cut at will."""
        found: dict[str, bytes | tuple[bytes, ...]] = {
            "PCMA": self.pcma,
            "PCMU": self.pcmu,
        }
        if self.g722:
            found["G722"] = self.g722
        if self.opus:
            found["opus"] = self.opus
        return found


class SoundPart(msgspec.Struct, frozen=True, kw_only=True):
    """One codec's part of the memory that holds a sound for the workers."""

    codec: str
    offset: int
    size: int
    packed: bool
    "Whether it is packets of 20 ms, each behind its length in two octets."
