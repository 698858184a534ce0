import pytest

from agent.media.errors import ControlError, MediaError, NoPortsError, NoWorkerError


@pytest.mark.parametrize("kind", [NoPortsError, NoWorkerError, ControlError])
def test_call_control_can_catch_them_all(kind: type[MediaError]) -> None:
    with pytest.raises(MediaError, match="as it is"):
        raise kind("as it is")


def test_what_may_help_to_try_again_says_so() -> None:
    assert not NoPortsError("none left").permanent
    assert not NoWorkerError("none up").permanent
    assert MediaError("broken").permanent
    assert "media.ports" in str(NoPortsError("None is left."))
