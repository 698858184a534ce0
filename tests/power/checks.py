"""What must hold of whatever a power cut left, once the host has started again."""

from datetime import date
from pathlib import Path

import soundfile

from agent.access.opening import collect, open_found
from agent.common.errors import AgentError
from agent.formats.codecs.g711 import encode_alaw
from agent.formats.container import read_wav
from agent.formats.envelope import unwrap
from agent.formats.manifest import Manifest
from agent.formats.seal import FIRST, seal_place, verify_seal
from agent.model.call import Outcome
from agent.recording.ledger import read_rows
from tests.archive.sealed_world import people
from tests.power.disk import State
from tests.power.life import CALL, GATE, Life, Site, at_once
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
        for path in (site.disk / place).rglob(f"{life.recording_id}.*")
    ]
    aside = [name for name in names if "#" in name]
    promise(not aside, f"a second copy is left in storage: {aside}")
    promise(len(names) == len(set(names)), f"stored twice: {names}")
    kinds = {name.partition(".")[2].lstrip("01.") for name in names} - {"seal"}
    promise(
        kinds <= {"key.age", "journal"} or "journal" not in kinds, f"twice: {names}"
    )
    rows = {row.call_id: row for row in read_rows(site.ledger_path)}
    promise(all(row.outcome for row in rows.values()), "a call has no outcome")
    if bound is None and not names:
        return "never begun"
    promise(names, "the recording is lost")
    indexed(site, life)
    chained(site)
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


def indexed(site: Site, life: Life) -> None:
    """It is found by its numbers, or among those whose numbers are not known."""
    names = (site.disk / "state" / "index").rglob(life.recording_id)
    found = sorted(path.relative_to(site.disk).parts[3] for path in names)
    promise(
        found in (["caller", "officer"], ["unindexed"]), f"the index has it as {found}"
    )


def chained(site: Site) -> None:
    """Its seal is the first of the host's chain, and what comes next will follow it."""
    [seal] = (site.disk / "locked").rglob("*.seal")
    data = seal.read_bytes()
    statement = verify_seal(data, people().host_keys())
    promise((statement.sequence, statement.previous) == (1, FIRST), "not the first")
    chain = site.new_chain()
    chain.open()
    promise(chain.head == seal_place(data, statement), "the chain's head is another")


def opened(site: Site, life: Life) -> tuple[set[int], Manifest]:
    """Which frames whoever may open it finds, each exact and in place."""
    [stored] = (site.disk / "state" / "keys").rglob(f"{life.recording_id}.key.age")
    inner = unwrap(stored.read_bytes(), [GATE], life.recording_id)
    day = date(*map(int, stored.parts[-4:-1]))
    found = at_once(collect(life.recording_id, [site.target], day=day, envelope=inner))
    seen = open_found(found, [quality().identity], people())
    promise(seen.warnings == (), f"not all of it is verified: {seen.warnings}")
    manifest = seen.manifest
    audio = site.root / f"audio.{seen.suffix}"
    audio.write_bytes(seen.audio)
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
