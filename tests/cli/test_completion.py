import shutil
import subprocess
from collections.abc import Callable

import pytest

from agent.cli.app import app
from agent.cli.manual import verbs


def test_the_shell_is_told_every_verb_and_option(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("completion", "bash") == 0
    script = capsys.readouterr().out
    for words, _ in verbs(app):
        assert words[-1] in script
    assert "--identity" in script
    bash = shutil.which("bash")
    assert bash is not None
    subprocess.run([bash, "-n"], input=script.encode(), check=True, timeout=30)


def test_a_shell_nobody_has(run: Callable[..., int]) -> None:
    assert run("completion", "csh") != 0
