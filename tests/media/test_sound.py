from agent.media.sound import Sound


def test_a_sound_does_not_print_its_audio() -> None:
    sound = Sound("fi", "00", 20, b"\xd5" * 160, b"\xff" * 160, "fi")
    assert "pcma" not in repr(sound)
    assert "pcmu" not in repr(sound)
    assert sound.language == "fi"
