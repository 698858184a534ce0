"""`recording-agent notice check|convert`: what callers are told, as it will sound."""

import sys
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from cyclopts import App, Parameter
from rich.console import Console

from agent.cli.sound_files import read_sound
from agent.cli.speech import wav_file
from agent.cli.terminal import console, printable
from agent.cli.waveform import draw, sparkline
from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.telephone_audio import LEVEL, RATE, levelled, to_telephone, trim
from agent.media.notice_quality import judge, measure, samples_of
from agent.media.sounds import SoundError, load_notice

Floats = npt.NDArray[np.float64]

command: Final = App(
    name="notice", help="Judge what callers are told, and make any audio fit for it."
)


class NoticeError(AgentError):
    """A notice cannot be made."""


@command.command
def check(
    *files: Path,
    plot: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Judge notices: format, loudness, silence, length; 1 if one is not fit.

    Args:
        files: The notices, as routes name them.
        plot: Draw each as a PNG beside it as well (needs matplotlib).
    """
    out = console()
    unfit = 0
    for path in files:
        try:
            sound = load_notice(path)
        except (SoundError, OSError) as error:
            out.print(f"{path}: {_reason(error)}", style="red")
            if isinstance(error, SoundError):
                out.print(f"    Convert it: recording-agent notice convert {path}")
            unfit += 1
            continue
        unfit += not _show(out, path, samples_of(sound))
        if plot:
            _plot(out, path, samples_of(sound))
    if unfit:
        sys.exit(1)


@command.command
def convert(
    *files: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path(),
    force: Annotated[bool, Parameter(negative="")] = False,
    plot: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make notices of audio files: 8 kHz, one channel, 16 bit, levelled, trimmed.

    Speech is brought to -26 dBov (active level, ITU-T P.56), as others on the line are;
    of the silence around it 0.1 s stay before and 0.3 s after.

    Args:
        files: WAV, FLAC, Ogg, MP3 or AIFF, of any rate; `fi.flac` becomes `fi.wav`.
        output: The directory that the notices go to.
        force: Write over what is there.
        plot: Draw each as a PNG beside it as well (needs matplotlib).
    """
    out = console()
    output.mkdir(parents=True, exist_ok=True)
    unfit = 0
    for path in files:
        made = output / f"{path.stem}.wav"
        if made.exists() and not force:
            raise NoticeError(
                f"{made} is there already.",
                hint="Name another directory with --output, or write over it: --force.",
            )
        samples, rate = read_sound(path)
        notice = levelled(trim(to_telephone(samples, rate), RATE), RATE)
        write_durably(made, wav_file(np.round(notice * 32767).astype("<i2").tobytes()))
        made.chmod(0o644)  # the daemon's user reads it, and it is no secret
        heard = samples_of(load_notice(made))
        unfit += not _show(out, made, heard)
        if plot:
            _plot(out, made, heard)
    if unfit:
        sys.exit(1)


def _show(out: Console, path: Path, samples: Floats) -> bool:
    """Print figures, a plot and remarks; whether it is fit."""
    figures = measure(samples)
    out.print(
        f"{path}: {figures.seconds:.1f} s, {figures.level:.1f} dBov"
        f" (target {LEVEL:.0f}), peak {figures.peak:.1f} dBov"
    )
    out.print(f"    {sparkline(samples)}")
    remarks = list(judge(figures))
    for remark in remarks:
        out.print(f"    {remark.text}", style="red" if remark.wrong else "yellow")
        out.print(f"      {remark.remedy}")
    return not any(remark.wrong for remark in remarks)


def _plot(out: Console, path: Path, samples: Floats) -> None:
    drawn = path.with_suffix(".png")
    try:
        draw(samples, RATE, path.name, drawn)
    except ImportError as error:
        raise NoticeError(
            "there is no matplotlib here.", hint="pip install recording-agent[demo]"
        ) from error
    out.print(f"    {drawn}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}."
    # Its own hint names another program; ours stands on the next line.
    return printable(str(error.args[0]))
