"""The state of a call of any kind, as it outlives the main process: sans-IO."""

from agent.call.siprec.state import RecordingCallState
from agent.call.state import CallState, DirectCallState

AnyCallState = CallState | DirectCallState | RecordingCallState
