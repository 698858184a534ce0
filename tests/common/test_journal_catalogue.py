import re
import subprocess
import sys
from pathlib import Path

from agent.common.catalogue import CATALOGUE
from agent.common.journal_catalogue import WIDTH, journal_catalogue

FILE = Path(__file__).parents[2] / "systemd/recording-agent.catalog"


def test_the_file_is_what_the_code_says() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "agent.common.journal_catalogue"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert made.stdout == FILE.read_bytes(), (
        "python -m agent.common.journal_catalogue > systemd/recording-agent.catalog"
    )


def test_every_entry_has_id_subject_and_what_to_do() -> None:
    entries = re.findall(
        r"^-- ([0-9a-f]{32})\nSubject: (.+)\nDefined-By: recording-agent\n\n"
        r"((?:(?!-- ).*\n)+)",
        journal_catalogue(),
        re.MULTILINE,
    )
    assert [(one, subject) for one, subject, _ in entries] == [
        (entry.message_id, entry.summary) for entry in CATALOGUE.values()
    ]
    for _, _, text in entries:
        assert "What to do: " in text
        # An at-sign begins a field that journalctl would put there.
        assert "@" not in text
        assert max(map(len, text.splitlines())) <= WIDTH
