from hashlib import sha256
from pathlib import Path
from struct import pack

import pytest

from agent.formats.codecs.g711 import decode_alaw, encode_ulaw
from agent.formats.container import wav_header
from agent.media.sounds import MAX_SECONDS, SoundError, load_notice

SAMPLES = bytes(range(256)) * 10


def write(path: Path, encoding: str, samples: bytes, **options: int) -> Path:
    width = 2 if encoding == "pcm16" else 1
    channels = options.get("channels", 1)
    header = wav_header(
        encoding,
        options.get("rate", 8000),
        channels,
        len(samples) // width // channels,
    )
    path.write_bytes(header + samples)
    return path


def test_a_notice_in_alaw_is_played_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "fi.wav", "alaw", SAMPLES)
    sound = load_notice(path)
    assert sound.pcma == SAMPLES
    assert sound.language == "fi"
    assert sound.duration_ms == 320
    assert sound.sha256 == sha256(path.read_bytes()).hexdigest()
    assert sound.name == f"fi-{sound.sha256[:16]}"


def test_a_notice_in_ulaw_is_played_as_it_is(tmp_path: Path) -> None:
    sound = load_notice(write(tmp_path / "sv.wav", "ulaw", SAMPLES))
    assert sound.pcmu == SAMPLES
    assert len(sound.pcma) == len(SAMPLES)


def test_a_notice_in_pcm_is_encoded_in_both_laws(tmp_path: Path) -> None:
    pcm16 = decode_alaw(SAMPLES)
    sound = load_notice(write(tmp_path / "en.wav", "pcm16", pcm16))
    assert decode_alaw(sound.pcma) == pcm16
    assert sound.pcmu == encode_ulaw(pcm16)


def test_equal_file_names_are_not_equal_sounds(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = load_notice(write(tmp_path / "fi.wav", "alaw", SAMPLES))
    two = load_notice(write(tmp_path / "other" / "fi.wav", "alaw", SAMPLES[1:]))
    assert one.name != two.name


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"rate": 16000}, "16000 Hz"),
        ({"channels": 2}, "2 channels"),
    ],
)
def test_other_rates_and_channels_are_refused(
    tmp_path: Path, options: dict[str, int], complaint: str
) -> None:
    path = write(tmp_path / "fi.wav", "pcm16", pack("<8h", *range(8)), **options)
    with pytest.raises(SoundError, match=complaint) as caught:
        load_notice(path)
    assert "notice convert" in str(caught.value)


def test_an_empty_notice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="empty"):
        load_notice(write(tmp_path / "fi.wav", "alaw", b""))


@pytest.mark.parametrize("encoding", ["alaw", "pcm16"])
def test_a_notice_without_end_is_refused(tmp_path: Path, encoding: str) -> None:
    width = 2 if encoding == "pcm16" else 1
    samples = bytes(width * (MAX_SECONDS * 8000 + 1 + 40_000 * (width - 1)))
    with pytest.raises(SoundError, match="longer than 120"):
        load_notice(write(tmp_path / "fi.wav", encoding, samples))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fi.wav"
    path.write_bytes(b"ID3\4not a wave")
    with pytest.raises(SoundError, match="no WAV file"):
        load_notice(path)


def test_a_missing_file_is_the_file_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_notice(tmp_path / "fi.wav")
