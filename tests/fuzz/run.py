"""Coverage-guided fuzzing of one target: `python -m tests.fuzz.run TARGET SECONDS`.

libFuzzer, through atheris, keeps what reaches new code. What raises is left in
`tests/fuzz/found`, to become a test; the exit status tells.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris

FOUND: Final = Path(__file__).parent / "found"
MAX_LENGTH: Final = {
    "sip": 8192,
    "sdp": 4096,
    "rtp": 8192,
    "rtcp": 1500,
    "signed": 8192,
    "command": 4096,
    "siprec-body": 8192,
    "siprec-metadata": 8192,
    "siprec-parties": 8192,
    "siprec-call": 8192,
}
MEMORY_MB: Final = 1024
"The whole process with its instrumented code; a target that grows is stopped there."


def main() -> None:
    """Fuzz until the time is up or something is found."""
    target, seconds = sys.argv[1], int(sys.argv[2])
    with atheris.instrument_imports(include=["agent", "tests.fuzz"]):
        from tests.fuzz.seeds import seeds, write_dictionary  # noqa: PLC0415
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{target}-") as scratch:
        corpus, words = Path(scratch) / "corpus", Path(scratch) / "words"
        corpus.mkdir()
        for number, seed in enumerate(seeds(target)):
            (corpus / f"seed-{number}").write_bytes(seed)
        write_dictionary(words)
        arguments = [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={seconds}",
            f"-max_len={MAX_LENGTH.get(target, 400)}",
            f"-dict={words}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-artifact_prefix={FOUND}/{target}-",
            "-timeout=5",
            "-len_control=0",
            "-print_final_stats=1",
            "-verbosity=1",
        ]
        atheris.Setup(arguments, TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
