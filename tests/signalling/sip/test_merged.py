import pytest

from agent.signalling.sip import merged
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.merged import RecentRequests
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import parse_uri


def invite(*, call_id: str = "c", tag: str = ";tag=t", number: int = 1) -> Request:
    lines = [
        ("From", f"<sip:a@example.com>{tag}"),
        ("Call-ID", call_id),
        ("CSeq", f"{number} INVITE"),
    ]
    return Request("INVITE", parse_uri("sip:b@example.com"), Headers(lines))


def test_the_second_copy_is_merged() -> None:
    recent = RecentRequests(32.0)
    assert not recent.is_merged(invite(), 0.0)
    assert recent.is_merged(invite(), 0.1)
    assert recent.is_merged(invite(), 31.9)


@pytest.mark.parametrize(
    "other",
    [invite(call_id="d"), invite(tag=";tag=u"), invite(tag=""), invite(number=2)],
)
def test_another_request_is_not(other: Request) -> None:
    recent = RecentRequests(32.0)
    assert not recent.is_merged(invite(), 0.0)
    assert not recent.is_merged(other, 0.0)
    assert len(recent) == 2


def test_nothing_is_remembered_for_ever() -> None:
    recent = RecentRequests(32.0)
    recent.is_merged(invite(), 0.0)
    recent.is_merged(invite(number=2), 1.0)
    assert not recent.is_merged(invite(), 32.0)
    assert len(recent) == 2


def test_nor_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "MAX_REMEMBERED", 3)
    recent = RecentRequests(32.0)
    for number in range(1, 10):
        assert not recent.is_merged(invite(number=number), 0.0)
    assert len(recent) == 3
    assert recent.is_merged(invite(number=9), 0.0)
    assert not recent.is_merged(invite(number=6), 0.0)
