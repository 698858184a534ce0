"""`recording-agent open`: what someone entitled does with a recording.

Runs where the key is, not on the telephony host. What it writes is in the clear, with
mode 0600, in the directory it is told.
"""

import asyncio
import getpass
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.cli.quality_table import quality_table
from agent.cli.terminal import console
from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.age import Identity, decrypt, is_protected, open_identity_file
from agent.formats.audio_format import AudioFormat
from agent.formats.envelope import SegmentKey, open_envelope
from agent.formats.manifest import Manifest, parse_manifest
from agent.recording.finisher import finish_journals
from agent.service.config import load
from agent.upload.backend import StorageBackend
from agent.upload.targets import open_store

MAX_OBJECT: Final = 1 << 30
"Bytes: two hours of stereo are 115 MB."
AUDIO_NAMES: Final = frozenset(f"{format_.suffix}.age" for format_ in AudioFormat)
FOLDERS: Final = ("audio", "keys", "manifest")
"Of the storage's objects; below them are year, month and day."


class OpenError(AgentError):
    """The recording cannot be opened."""


@dataclass(slots=True)
class Found:
    """The sealed objects of one recording."""

    id: str
    envelope: bytes = field(default=b"", repr=False)
    audio: bytes = field(default=b"", repr=False)
    suffix: str = ""
    "What the audio file's name ends in, before it was encrypted."
    manifest: bytes = field(default=b"", repr=False)
    journals: dict[str, bytes] = field(default_factory=dict, repr=False)


def command(
    target: str,
    /,
    *,
    identity: Annotated[tuple[Path, ...], Parameter(name=["--identity", "-i"])],
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    locked_url: str = "",
    url: str = "",
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path(),
) -> None:
    """Decrypt a recording to ID.json and ID.wav, ID.flac or ID.opus; show its quality.

    Args:
        target: The recording's id, or one of its files, the others beside it.
        identity: Files with your secret keys.
        config: A configuration whose [[storage]] is searched for the id.
        locked_url: Where audio and manifests are, if no configuration is given.
        url: Where the key envelopes are, if no configuration is given.
        out: The directory the opened files go to.
    """
    identities = [key for path in identity for key in _read_identities(path)]
    if not identities:
        raise OpenError("no key was given.", hint="Name an identity file with -i.")
    if Path(target).is_file():
        found = _from_files(Path(target))
    else:
        pairs = _storages(config, locked_url, url)
        found = asyncio.run(_from_storage(target, pairs))
    key = open_envelope(found.envelope, identities)
    suffix, audio, manifest = _decrypt(found, key)
    out.mkdir(parents=True, exist_ok=True)
    files = {f"{found.id}.{suffix}": audio, f"{found.id}.json": manifest}
    for name, data in files.items():
        write_durably(out / name, data)
        console().print(out / name)
    console().print(quality_table(parse_manifest(manifest)), soft_wrap=False)


def _decrypt(found: Found, key: SegmentKey) -> tuple[str, bytes, bytes]:
    """The audio file's suffix, it and the manifest: of sealed objects or journals."""
    if found.audio:
        identities = [key.identity]
        manifest = decrypt(found.manifest, identities)
        _check(parse_manifest(manifest), found.id)
        return found.suffix, decrypt(found.audio, identities), manifest
    if found.journals:
        journals = [found.journals[name] for name in sorted(found.journals)]
        suffix, audio, finished = finish_journals(journals, key)
        return suffix, audio, finished.to_bytes()
    raise OpenError("neither audio nor a journal was found beside the envelope.")


def _check(manifest: Manifest, recording_id: str) -> None:
    if manifest.id != recording_id:
        raise OpenError("the manifest is that of another recording.")


def _read_identities(path: Path) -> list[Identity]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OpenError(f"{path} cannot be read: {error.strerror}.") from error
    passphrase = None
    if is_protected(data):
        passphrase = getpass.getpass(f"Passphrase of {path}: ")
    return open_identity_file(data, passphrase)


def _from_files(path: Path) -> Found:
    """The objects beside a file, or in a copy of the storage's folders."""
    path = path.resolve()
    found = Found(path.name.partition(".")[0])
    places = [path.parent]
    # …/locked/audio/2026/11/24/ID.wav.age has its envelope in …/state/keys/2026/11/24.
    if len(path.parents) > 5 and path.parents[3].name in FOLDERS:
        day = path.parent.relative_to(path.parents[3])
        places += [
            bucket / folder / day
            for bucket in sorted(path.parents[5].iterdir())
            for folder in FOLDERS
        ]
    for place in places:
        for candidate in sorted(place.glob(f"{found.id}.*")):
            _take(found, candidate.name, candidate.read_bytes())
    return _complete(found)


def _storages(
    config: Path | None, locked_url: str, url: str
) -> list[tuple[StorageBackend, StorageBackend]]:
    """The storages to be searched, each as audio and keys. Raises OpenError."""
    base = Path()
    pairs = [(locked_url, url)] if locked_url and url else []
    if config is not None:
        base = config.resolve().parent
        pairs += [(s.locked_url, s.url) for s in load(config).storage]
    if not pairs:
        raise OpenError(
            "no storage was named.", hint="Give --config, or --locked-url and --url."
        )
    return [(open_store(one, base), open_store(other, base)) for one, other in pairs]


async def _from_storage(
    recording_id: str, storages: list[tuple[StorageBackend, StorageBackend]]
) -> Found:
    found = Found(recording_id)
    for locked, state in storages:
        await _collect(locked, "audio/", found)
        await _collect(locked, "manifest/", found)
        await _collect(state, "keys/", found)
    return _complete(found)


async def _collect(backend: StorageBackend, prefix: str, found: Found) -> None:
    async for info in backend.list(prefix):
        name = info.key.rpartition("/")[2]
        if name.startswith(f"{found.id}."):
            data = bytearray()
            async for chunk in backend.get(info.key):
                data += chunk
                if len(data) > MAX_OBJECT:
                    raise OpenError(f"{info.key} is larger than any recording.")
            _take(found, name, bytes(data))


def _take(found: Found, name: str, data: bytes) -> None:
    rest = name.removeprefix(f"{found.id}.")
    if rest == "key.age":
        found.envelope = data
    elif rest == "json.age":
        found.manifest = data
    elif rest in AUDIO_NAMES:
        found.audio, found.suffix = data, rest.removesuffix(".age")
    elif rest.endswith(".journal"):
        found.journals[name] = data


def _complete(found: Found) -> Found:
    if not found.envelope:
        raise OpenError(
            "its key envelope was not found.",
            hint="Check the id; an erased recording has none.",
        )
    return found
