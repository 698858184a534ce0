import sys
from collections.abc import Callable

import pytest

from agent import __version__
from agent.cli import app as app_module
from agent.cli.app import app, main

VERBS = ("run", "check-config", "keygen", "phone-password", "open", "calls", "demo")


def test_help_names_every_verb(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_every_verb_can_be_imported(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in VERBS:
        assert run(verb, "--help") == 0
        assert verb in capsys.readouterr().out


def test_version(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert __version__ in capsys.readouterr().out
    assert app.version == __version__


def test_an_unknown_verb_is_refused(run: Callable[..., int]) -> None:
    assert run("dance") != 0


def test_our_errors_are_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["recording-agent", "open", "x", "-i", "/nonexistent/key"]
    )
    forbidden = []
    # In this process other tests go on.
    monkeypatch.setattr(app_module, "forbid_dumps", lambda: forbidden.append(1))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert forbidden
    shown = capsys.readouterr().err
    assert "recording-agent: " in shown
    assert "Traceback" not in shown
