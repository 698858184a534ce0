"""What a description says of the recording: RFC 7866 sections 7.1.2 and 7.1.3."""

import pytest

from agent.model.recording import RecordState
from tests.signalling.offers import negotiation


def test_the_peer_is_told_of_the_recording_if_at_all() -> None:
    ours, theirs = negotiation(), negotiation()
    body = ours.offer()
    assert b"a=record" not in body
    assert not ours.record_untold
    answer, _ = theirs.answer(body)
    ours.receive_answer(answer)
    ours.record = RecordState.ON
    assert ours.record_untold
    told = ours.offer()
    assert b"\r\na=record:on\r\nm=audio" in told
    assert not ours.record_untold
    ours.cancel_offer()
    theirs.record = RecordState.PAUSED
    answer, _ = theirs.answer(body)
    assert b"a=record:paused" in answer
    assert not theirs.record_untold


@pytest.mark.parametrize(
    ("session", "media", "wish"),
    [
        ("", "", ""),
        ("a=recordpref:off\r\n", "", "off"),
        ("a=recordpref:off\r\n", "a=recordpref:pause\r\n", "pause"),
        ("", "a=recordpref:nopreference\r\n", ""),
        ("", "a=recordpref:sometimes\r\n", ""),
        ("a=recordpref\r\n", "", ""),
    ],
)
def test_the_peers_wish_about_the_recording(
    session: str, media: str, wish: str
) -> None:
    ours = negotiation()
    offer = negotiation().offer().decode()
    offer = offer.replace("m=audio", f"{session}m=audio") + media
    ours.answer(offer.encode())
    assert ours.record_preference == wish
