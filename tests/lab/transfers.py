"""Phones that transfer: one line each, an officer's desk has two of them."""

from typing import Any

from agent.cli.phone import Phone
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.parser import parse_message


class DeskPhone(Phone):
    """A line that sends REFER, and is told by NOTIFY what becomes of it."""

    async def start(self) -> None:
        await super().start()
        self.told: list[str] = []
        self._answers: list[tuple[bytes, Flow]] = []
        core: Any = self._user_agent.core
        receive, data_to_send = core.receive, core.data_to_send

        def take(data: bytes, flow: Flow, now: float) -> None:
            if not data.startswith(b"NOTIFY "):
                receive(data, flow, now)
                return
            # Our own core is no subscriber, and would refuse it.
            notify = parse_message(data)
            assert isinstance(notify, Request)
            self.told.append(notify.body.decode().split(" ")[1])
            self._answers.append((response_to(notify, 200).to_bytes(), flow))

        def send() -> list[tuple[bytes, Flow]]:
            answers, self._answers = self._answers, []
            return [*data_to_send(), *answers]

        core.receive, core.data_to_send = take, send

    def refer(self, to: str) -> None:
        """Ask for a transfer of the call on this line."""
        self._send("REFER", ("Refer-To", f"<{to}>"))

    def replaces(self) -> str:
        """The call on this line, for the Refer-To of another."""
        dialog = self._link.dialog
        value = f"{dialog.call_id};to-tag={dialog.remote.tag}"
        value += f";from-tag={dialog.local.tag}"
        return value.replace(";", "%3B").replace("=", "%3D")

    def _send(self, method: str, *headers: tuple[str, str]) -> None:
        agent = self._user_agent
        self._link.send(method, agent.now, headers=headers, owned=False)
        agent.flush()

    @property
    def _link(self) -> Any:
        sessions: Any = self._user_agent.core._sessions
        return sessions.get(self._session)._link
