"""Tracks of the two legs of a call."""

from agent.formats.aligner import Lane, StereoTrack, align as align_lanes
from agent.formats.timeline import LegResult
from agent.model.recording import Channel, RecordingFormat


def align(
    left: LegResult | None,
    right: LegResult | None,
    milliseconds: float,
    kept: RecordingFormat = RecordingFormat.WIRE,
) -> StereoTrack:
    """The customer's leg left, the officer's right; None: nobody has it."""
    sides = (left, Channel.CUSTOMER), (right, Channel.OFFICER)
    lanes = [Lane(leg, channel) for leg, channel in sides if leg is not None]
    return align_lanes(lanes, milliseconds, kept)
