import io
import struct
import wave

import pytest
from hypothesis import given, strategies as st

from agent.formats.container import (
    MAX_CHUNKS,
    ContainerError,
    SampleFormat,
    Wav,
    decode_to_pcm16,
    read_wav,
    wav_header,
    wav_padding,
)

EXTENSIBLE_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def layout(
    tag: int = 1, channels: int = 1, rate: int = 8000, block: int = 2, bits: int = 16
) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def file(wav: Wav) -> bytes:
    count = len(wav.samples) // (wav.channels * wav.format.width)
    header = wav_header(wav.format, wav.sample_rate, wav.channels, count)
    return header + wav.samples + wav_padding(wav.format, wav.channels, count)


def test_alaw_header_octets() -> None:
    assert wav_header("alaw", 8000, 2, 3) == bytes.fromhex(
        "52494646 38000000 57415645"
        "666d7420 12000000 0600 0200 401f0000 803e0000 0200 0800 0000"
        "66616374 04000000 03000000"
        "64617461 06000000"
    )


def test_what_comes_after_the_audio_is_counted_in() -> None:
    header = wav_header("alaw", 8000, 1, 3, after=20)
    data = header + b"abc" + wav_padding("alaw", 1, 3) + bytes(20)
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert read_wav(data).samples == b"abc"


def test_ulaw_differs_in_its_tag() -> None:
    alaw, ulaw = wav_header("alaw", 8000, 1, 4), wav_header("ulaw", 8000, 1, 4)
    assert alaw[20] == 6
    assert ulaw == alaw[:20] + b"\x07" + alaw[21:]


def test_pcm_is_what_the_standard_library_reads() -> None:
    data = file(Wav(SampleFormat.PCM16, 8000, 2, bytes(range(40))))
    with wave.open(io.BytesIO(data)) as reader:
        assert reader.getparams()[:4] == (2, 2, 8000, 10)
        assert reader.readframes(10) == bytes(range(40))


def test_odd_audio_is_padded_and_the_sizes_say_so() -> None:
    data = file(Wav(SampleFormat.ULAW, 8000, 1, b"abc"))
    assert len(data) % 2 == 0
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    assert read_wav(data).samples == b"abc"


def test_longer_than_riff_can_say() -> None:
    assert len(wav_header("alaw", 8000, 2, (1 << 31) - 40)) == 58
    with pytest.raises(ContainerError, match="4 GiB"):
        wav_header("alaw", 8000, 2, 1 << 31)


def test_unknown_format_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="mp3"):
        wav_header("mp3", 8000, 2, 1)


def test_extensible_and_foreign_chunks_are_read() -> None:
    extension = struct.pack("<HHI", 22, 16, 4) + b"\x01\0" + EXTENSIBLE_TAIL
    data = riff(
        chunk(b"LIST", b"odd"),
        chunk(b"fmt ", layout(tag=0xFFFE) + extension),
        chunk(b"data", b"abcd"),
        chunk(b"tail", b"x"),
    )
    assert read_wav(data) == Wav(SampleFormat.PCM16, 8000, 1, b"abcd")


FMT = chunk(b"fmt ", layout())
AUDIO = chunk(b"data", b"abcd")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not a WAV"),
        (b"RIFX\0\0\0\0WAVE" + FMT + AUDIO, "not a WAV"),
        (b"RIFF\0\0\0\0WAVX" + FMT + AUDIO, "not a WAV"),
        (riff(), "without audio"),
        (riff(FMT), "without audio"),
        (riff(FMT, b"data\0"), "without audio"),
        (riff(AUDIO), "audio before its format"),
        (riff(FMT, AUDIO[:-1]), "cut off"),
        (riff(FMT, b"data\xff\xff\xff\xffabcd"), "written to a pipe.*Write it"),
        (riff(FMT, chunk(b"data", b"abc")), "inside a sample"),
        (riff(chunk(b"fmt ", layout()[:-1]), AUDIO), "format chunk is cut off"),
        (riff(chunk(b"fmt ", layout(tag=3, bits=32)), AUDIO), "not supported.*Convert"),
        (riff(chunk(b"fmt ", layout(bits=8)), AUDIO), "not supported"),
        (riff(chunk(b"fmt ", layout(tag=0xFFFE)), AUDIO), "not supported"),
        (
            riff(chunk(b"fmt ", layout(tag=0xFFFE) + bytes(24)), AUDIO),
            "not supported",
        ),
        (riff(chunk(b"fmt ", layout(channels=0, block=0)), AUDIO), "absurd"),
        (riff(chunk(b"fmt ", layout(channels=9, block=18)), AUDIO), "absurd"),
        (riff(chunk(b"fmt ", layout(rate=0)), AUDIO), "absurd"),
        (riff(chunk(b"fmt ", layout(rate=192_001)), AUDIO), "absurd"),
        (riff(chunk(b"fmt ", layout(block=4)), AUDIO), "block size"),
        (riff(*[chunk(b"junk", b"")] * MAX_CHUNKS, FMT, AUDIO), "too many chunks"),
    ],
)
def test_refused(data: bytes, fault: str) -> None:
    with pytest.raises(ContainerError, match=fault):
        read_wav(data)


def test_decoding() -> None:
    alaw = Wav(SampleFormat.ALAW, 8000, 2, b"\xd5\xaa")
    ulaw = alaw._replace(format=SampleFormat.ULAW, samples=b"\xff\x80")
    pcm = Wav(SampleFormat.PCM16, 8000, 2, struct.pack("<2h", 8, 32_256))
    assert decode_to_pcm16(alaw) == pcm
    assert decode_to_pcm16(ulaw).samples == struct.pack("<2h", 0, 32_124)
    assert decode_to_pcm16(pcm) is pcm


@given(
    st.sampled_from(SampleFormat),
    st.integers(1, 192_000),
    st.integers(1, 8),
    st.integers(0, 20),
)
def test_round_trip(kind: SampleFormat, rate: int, channels: int, count: int) -> None:
    samples = bytes(i % 251 for i in range(count * channels * kind.width))
    wav = Wav(kind, rate, channels, samples)
    assert read_wav(file(wav)) == wav


@given(
    st.binary(max_size=80).map(lambda tail: b"RIFF\0\0\0\0WAVE" + tail)
    | st.binary(max_size=60).map(lambda tail: riff(FMT, tail)),
    st.data(),
)
def test_garbage_and_every_prefix_parse_or_raise_the_one_error(
    data: bytes, draw: st.DataObject
) -> None:
    try:
        read_wav(data[: draw.draw(st.integers(0, len(data)))])
    except ContainerError:
        return
