import dataclasses
import typing

from agent.signalling.sip import events


def test_every_event_names_its_session_first() -> None:
    for event in typing.get_args(events.Event):
        assert dataclasses.fields(event)[0].name == "session"


def test_reasons_are_words() -> None:
    assert [str(reason) for reason in events.EndReason] == [
        "bye",
        "no-ack",
        "dialog-failed",
        "session-expired",
        "local",
    ]
