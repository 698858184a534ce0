"""A sound as it is played: both laws, ready to be cut into frames."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sound:
    """A notice or a tone, one byte per sample at 8000 Hz."""

    name: str
    "Names it in the workers; different sounds have different names."
    sha256: str
    "Lower-case hexadecimal; of the file as configured, or of a tone's A-law."
    duration_ms: int
    pcma: bytes = field(repr=False)
    pcmu: bytes = field(repr=False)
    language: str = ""
    "Of a notice, from its file's name: `fi.wav` is `fi`."
