"""What the demo prints and draws."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.cli.demo_site import Site
from agent.formats.container import decode_to_pcm16, read_wav
from agent.formats.manifest import Manifest

_WORDS = {
    "ready": "the daemon is ready",
    "call_begun": "the INVITE; its ledger row is durable",
    "notice_played": "the whole notice has been sent",
    "officer_answered": "the officer answers",
    "recording_begun": "capture begins",
    "ended": "hang-up; the journal is closed",
    "sealed": "aligned, sealed to the segment's key",
    "stored": "in storage, read back and verified",
}


def print_report(
    console: Console,
    *,
    site: Site,
    events: Sequence[Mapping[str, str]],
    manifest: Manifest,
    files: Mapping[str, Path],
    refused: str,
) -> None:
    """Tell what happened: timeline, tags, evidence, files."""
    shown = [event for event in events if event.get("event") in _WORDS]
    begun = next(_time(e) for e in shown if e["event"] == "call_begun")
    timeline = Table(title="the call", show_header=False)
    for event in shown:
        seconds = (_time(event) - begun).total_seconds()
        timeline.add_row(f"{seconds:+.3f} s", event["event"], _WORDS[event["event"]])
    console.print(timeline, soft_wrap=False)

    officer = manifest.officers[0]
    facts = Table(title="what the manifest says", show_header=False)
    facts.add_row("caller", manifest.caller)
    facts.add_row("service number", manifest.service)
    facts.add_row("officer", f"{officer.name}, {officer.number}")
    facts.add_row("started", manifest.started["helsinki"])
    facts.add_row("ended", f"{manifest.ended['helsinki']}, {manifest.end_cause}")
    for notice in manifest.notices:
        facts.add_row(
            "notice",
            f"{notice.language}, {notice.sent_ms} of {notice.duration_ms} ms sent"
            f" in {notice.packets} packets; SHA-256 {notice.sha256[:16]}…",
        )
    if session := manifest.session:
        facts.add_row("recorded beside", f"a call of {session.source}")
        told = ", ".join(one.name or one.number for one in session.participants)
        facts.add_row("its metadata names", told)
        facts.add_row("who is who, by", session.basis)
        facts.add_row("notice", f"{session.notice.basis}: {session.notice.detail}")
    facts.add_row("audio", f"{manifest.audio.format}, {manifest.audio.duration_ms} ms")
    facts.add_row("outcome", manifest.outcome)
    facts.add_row("quality", manifest.verdict)
    console.print(facts, soft_wrap=False)

    console.print("the quality key and the officer's own key open it;")
    console.print(f"officer 202's key does not: {refused}")
    for name in ("call.wav", "manifest.json", "waveform.png", "agent.log"):
        console.print(f"  {site.root / name}")
    for path in files.values():
        console.print(f"  {path}")


def draw_waveform(audio: bytes, manifest: Manifest, path: Path) -> None:
    """Draw both channels; notice, answer and hang-up marked; 0 is the answer."""
    import matplotlib as mpl  # noqa: PLC0415 - the demo's extra, slow to import

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    wav = decode_to_pcm16(read_wav(audio))
    samples = np.frombuffer(wav.samples, "<i2").reshape(-1, wav.channels)
    seconds = np.arange(len(samples)) / wav.sample_rate
    end = len(samples) / wav.sample_rate
    started = _parse(manifest.started["utc"])
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(11, 5))
    for axis, channel, label in zip(
        axes, range(2), ("caller (left)", "officer (right)"), strict=True
    ):
        axis.plot(seconds, samples[:, channel] / 32768, linewidth=0.5)
        axis.set_ylabel(label)
        axis.set_ylim(-1, 1)
        for notice in manifest.notices:
            begin = notice.started_at / 1e9 - started.timestamp()
            stop = notice.ended_at / 1e9 - started.timestamp()
            axis.axvspan(begin, stop, color="tab:orange", alpha=0.25)
        axis.axvline(0.0, color="tab:green")
        axis.axvline(end, color="tab:red")
    top = axes[0]
    for notice in manifest.notices:
        middle = (notice.started_at + notice.ended_at) / 2e9 - started.timestamp()
        top.annotate("notice (not recorded)", (middle, 0.8), ha="center")
    top.annotate(" answer", (0.0, 0.8), color="tab:green")
    top.annotate("hang-up ", (end, 0.8), color="tab:red", ha="right")
    axes[1].set_xlabel("seconds from the officer's answer")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _time(event: Mapping[str, str]) -> datetime:
    return _parse(event["time"])


def _parse(text: str) -> datetime:
    return datetime.fromisoformat(text)
