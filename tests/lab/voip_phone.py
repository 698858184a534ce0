"""A phone made of pyVoIP or of rfcvoip, in a process of its own.

    voip_phone.py LIBRARY ROLE AGENT_PORT SIP_PORT RTP_PORT USER NUMBER SECONDS DIR

ROLE is `answer` or `call`. It speaks a tone for SECONDS after the call is up, then
hangs up if it called, or waits for the other side. Each line of its output is a JSON
object; what it heard (unsigned 8-bit samples) is in DIR/heard.raw.

Both libraries insist on registering before they do anything. The agent is no
registrar, so registering is left out; everything else is the library's own.
"""

import importlib
import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERTZ = 800
FRAME = 160
_DEADLINE = 20.0


def say(event: str, **more: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
    sys.stdout.flush()


def speech(seconds: float) -> bytes:
    step = 2 * math.pi * HERTZ / 8000
    count = round(seconds * 50) * FRAME
    return bytes(128 + round(60 * math.sin(step * n)) for n in range(count))


class Conversation:
    """One call: speaks, listens and says when it is over."""

    def __init__(self, library: Any, seconds: float, heard: Path) -> None:
        self._states = library.CallState
        self._seconds = seconds
        self._path = heard
        self.over = threading.Event()

    def answer(self, call: Any) -> None:
        try:
            call.answer()
            say("answered")
            self.talk(call, hang_up=False)
        finally:
            self.over.set()

    def talk(self, call: Any, *, hang_up: bool) -> None:
        heard = bytearray()
        # The library sends a frame by its own clock out of what it is given.
        call.write_audio(speech(self._seconds))
        begun = time.monotonic()
        last = begun + (self._seconds if hang_up else _DEADLINE)
        while call.state == self._states.ANSWERED and time.monotonic() < last:
            heard += call.read_audio(FRAME, blocking=False)
            time.sleep(max(0.0, begun + len(heard) / 8000 - time.monotonic()))
        self._path.write_bytes(heard)
        if hang_up and call.state == self._states.ANSWERED:
            call.hangup()
            say("hung_up")
        else:
            say("ended")


def main() -> None:
    name, role, agent, sip, rtp, user, number, seconds, folder = sys.argv[1:]
    library = importlib.import_module(f"{name}.VoIP.VoIP")
    talk = Conversation(library, float(seconds), Path(folder) / "heard.raw")
    phone = library.VoIPPhone(
        "127.0.0.1",
        int(agent),
        user,
        "",
        myIP="127.0.0.1",
        callCallback=talk.answer,
        sipPort=int(sip),
        rtpPortLow=int(rtp),
        rtpPortHigh=int(rtp) + 4,
    )
    phone.sip.register = lambda: True
    phone.start()
    time.sleep(1.2)  # both begin to listen a second after their start
    say("ready")
    if role == "call":
        call = phone.call(number)
        limit = time.monotonic() + _DEADLINE
        settled = {library.CallState.ANSWERED, library.CallState.ENDED}
        while call.state not in settled and time.monotonic() < limit:
            time.sleep(0.02)
        say("state", state=call.state.value)
        talk.talk(call, hang_up=True)
        time.sleep(0.5)
    else:
        talk.over.wait(_DEADLINE)
    phone.stop()
    say("stopped")


if __name__ == "__main__":
    main()
