import msgspec

from agent.media import control
from agent.media.state import STATE_VERSION, LegState, MediaState, RecordingState
from agent.model.media import Latch
from tests.media.secure_phone import SecurePhone

RECORDING = RecordingState(
    recording="r",
    legs=("c", "o"),
    key_id=b"8 bytes!",
    begin=b'{"caller":"+358401234567"}',
    started_ns=1,
    tapped=(True, False),
    since_ns=(0, 4),
    joined=(b'{"channel":"both"}',),
    epoch=2,
    granted=True,
    recent=((5, b"note"),),
)


def test_a_document_is_read_as_it_was_written() -> None:
    with SecurePhone() as phone:
        configured = control.Configure(
            leg="c", audio=phone.negotiated(), latch=Latch.OFF
        )
    leg = LegState(
        leg="c",
        host="127.0.0.1",
        port=4000,
        configured=configured,
        deaf=True,
        mute=True,
    )
    state = MediaState(call="x", legs=(leg,), recordings=(RECORDING,), tokens=3)
    assert state.version == STATE_VERSION
    data = msgspec.msgpack.encode(state)
    assert msgspec.msgpack.decode(data, type=MediaState) == state
    assert phone.key.hex() not in repr(state)
    assert repr(phone.key) not in repr(state)


def test_no_person_in_a_representation() -> None:
    assert "358" not in repr(RECORDING)
