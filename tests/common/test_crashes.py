import json
import os
import subprocess
import sys

import pytest

NUMBER = "0401234567"
IN_MAIN = "int(name)"
IN_A_THREAD = """
import threading
thread = threading.Thread(target=int, args=[name])
thread.start()
thread.join()
"""


@pytest.mark.parametrize("mistake", [IN_MAIN, IN_A_THREAD], ids=["main", "a thread"])
def test_a_process_that_ends_by_a_mistake_says_which_and_no_value(mistake: str) -> None:
    program = (
        "from agent.common.crashes import tell_crashes\n"
        f"tell_crashes('test')\nname = '{NUMBER}x'\n{mistake}"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        env={**os.environ, "JOURNAL_STREAM": "0:0"},
        timeout=60,
    )
    assert ended.returncode == (1 if mistake is IN_MAIN else 0)
    line = json.loads(ended.stderr)
    assert line["event"] == "process_failed"
    assert line["level"] == "critical"
    assert line["error"] == "ValueError"
    assert NUMBER.encode() not in ended.stderr
