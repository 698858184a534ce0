"""What may go wrong between call control and the media workers."""

from agent.common.errors import AgentError


class MediaError(AgentError):
    """The media workers cannot do what was asked."""


class NoPortsError(MediaError):
    """Every RTP port is in use or being drained."""

    permanent = False
    hint = "Widen media.ports."


class NoWorkerError(MediaError):
    """No media worker is running."""

    permanent = False


class ControlError(MediaError):
    """A control message does not fit the channel, or is not one."""
