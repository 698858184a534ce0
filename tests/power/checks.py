"""What must hold of whatever a power cut left, once the host has started again."""

import contextlib
import io
from pathlib import Path

import soundfile

from agent.cli.open import command
from agent.common.errors import AgentError
from agent.formats.age import identity_file
from agent.formats.codecs.g711 import encode_alaw
from agent.formats.container import read_wav
from agent.formats.manifest import Manifest, parse_manifest
from agent.model.call import Outcome
from agent.recording.ledger import read_rows
from tests.power.disk import State
from tests.power.life import CALL, Life, Site, at_once
from tests.recording.segments import CALLER, FRAME, OFFICER, quality, stereo

_STEREO = 2 * FRAME
SAID = (b"C00000", b"O00000", CALLER.encode(), OFFICER.encode())
"What is in every frame, and who speaks."


class BrokenError(AssertionError):
    """A promise that a power cut broke."""


def promise(held: object, what: str) -> None:
    """Raise BrokenError unless it held."""
    if not held:
        raise BrokenError(what)


def check(root: Path, state: State, life: Life, steps: int) -> str:
    """Start on what is left after so many steps of a life; how it ended.

    Raises BrokenError.
    """
    secret(state, life)
    site = Site(root)
    site.disk.mkdir()
    state.put(site.disk)
    if state.ledger:
        site.ledger_path.write_bytes(state.ledger)
    found = at_once(site.start_again())
    first = State.of(site.disk)
    secret(first, life)
    promise(at_once(site.start_again()) == [], "a second recovery finds something")
    promise(
        State.of(site.disk).contents() == first.contents(),
        "a second start changes files",
    )
    ended = stored(site, life, life.bound(steps))
    return f"{', '.join(one.action for one in found) or 'nothing to do'}: {ended}"


def secret(state: State, life: Life) -> None:
    """No audio, name or key is in the clear in any file."""
    for path, data in state.contents().items():
        for clear in (*SAID, *life.secrets):
            promise(clear not in (data or b""), f"{clear!r} is in the clear in {path}")


def stored(site: Site, life: Life, bound: int | None) -> str:
    """The recording is in storage, once, and opens to what is safe of it."""
    spool = site.spool
    for place in ("journal", "keys", "sealed", "work", "quarantine"):
        left = [path.name for path in (spool.root / place).iterdir()]
        promise(not left, f"left in {place}: {left}")
    names = [
        path.name
        for place in ("locked", "state")
        for path in (site.disk / place).rglob(f"{life.recording_id}*")
    ]
    aside = [name for name in names if "#" in name]
    promise(not aside, f"a second copy is left in storage: {aside}")
    promise(len(names) == len(set(names)), f"stored twice: {names}")
    kinds = {name.partition(".")[2].lstrip("01.") for name in names}
    promise(
        kinds <= {"key.age", "journal"} or "journal" not in kinds, f"twice: {names}"
    )
    rows = {row.call_id: row for row in read_rows(site.ledger_path)}
    promise(all(row.outcome for row in rows.values()), "a call has no outcome")
    if bound is None and not names:
        return "never begun"
    promise(names, "the recording is lost")
    states = {recording.state for recording in rows[CALL].recordings}
    promise(states == {"purged"}, f"the ledger says of its recording: {states}")
    try:
        heard, manifest = opened(site, life)
    except AgentError as error:
        promise(bound is None, f"it does not open: {error}")
        return "begun, but nothing is durable"
    lost = set(range(bound or 0)) - heard
    promise(not lost, f"lost though they were safe: frames {sorted(lost)}")
    everything = len(heard) == life.frames
    promise(
        manifest.outcome == Outcome.PARTIAL or (everything and life.epochs == 1),
        f"{len(heard)} frames pass for whole",
    )
    promise(
        manifest.outcome == Outcome.RECORDED or rows[CALL].outcome != Outcome.RECORDED,
        "the ledger says recorded of a partial recording",
    )
    return f"{manifest.outcome}, {'all' if everything else 'a part'} of it"


def opened(site: Site, life: Life) -> tuple[set[int], Manifest]:
    """Which frames `recording-agent open` finds, each exact and in place."""
    out = site.root / "out"
    key = site.root / "quality.txt"
    key.write_text(identity_file(quality().identity))
    urls = [f"file://{site.disk}/{name}" for name in ("locked", "state")]
    with contextlib.redirect_stdout(io.StringIO()):
        command(
            life.recording_id,
            identity=(key,),
            locked_url=urls[0],
            url=urls[1],
            out=out,
        )
    manifest = parse_manifest((out / f"{life.recording_id}.json").read_bytes())
    [audio] = [path for path in out.iterdir() if path.suffix != ".json"]
    track = interleaved(audio)
    frames = len(track) // _STEREO
    promise(manifest.audio.duration_ms == 20 * frames, "the duration is not the file's")
    whole, silence = stereo(range(frames), frames), stereo([], 1)
    heard = set()
    for number in range(frames):
        at = slice(number * _STEREO, (number + 1) * _STEREO)
        if track[at] == whole[at]:
            heard.add(number)
        else:
            promise(track[at] == silence, f"frame {number} is neither right nor silent")
    silent = sum(gap.silent_ms for gap in manifest.gaps if gap.leg == 0)
    promise(silent == 20 * (frames - len(heard)), "the gaps are not what is missing")
    return heard, manifest


def interleaved(path: Path) -> bytes:
    """The A-law octets of an audio file, caller and officer in turn."""
    if path.suffix == ".wav":
        return read_wav(path.read_bytes()).samples
    samples, _ = soundfile.read(path, dtype="int16")
    return encode_alaw(samples.tobytes())
