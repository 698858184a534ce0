import getpass
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.phone_password import command
from agent.common.errors import AgentError
from agent.signalling.phones import parse_phones, users_of
from agent.signalling.sip.digest import Algorithm, hash_password


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What stands on standard input."""

    def give(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return give


def test_a_user_is_added_and_changed_and_no_password_kept(
    tmp_path: Path,
    run: Callable[..., int],
    typed: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "phones.csv"
    words = ["--realm", "agency", "-f", file]
    typed("first\n")
    assert run("phone-password", "201", *words, "--numbers", "201 +358295000201") == 0
    assert file.stat().st_mode & 0o777 == 0o600
    typed("other\n")
    assert run("phone-password", "202", *words) == 0
    typed("second\n")
    assert run("phone-password", "201", *words) == 0
    users = users_of(parse_phones(file.read_text()))
    assert (len(users), users.realm, users.algorithms) == (
        2,
        "agency",
        tuple(Algorithm),
    )
    changed = users.get("201")
    assert changed is not None
    assert changed.numbers == ("201",)
    for algorithm in Algorithm:
        expected = hash_password(algorithm, "201", "agency", "second")
        assert changed.ha1[algorithm] == expected
    shown = capsys.readouterr()
    assert "2 users, asked for SHA-512-256, SHA-256, MD5" in shown.err
    for word in ("first", "second", "other"):
        assert word not in shown.out + shown.err + file.read_text()


def test_a_password_may_be_made(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "phones.csv"
    words = ["201", "--realm", "agency", "-f", file, "--algorithm", "MD5", "--generate"]
    assert run("phone-password", *words) == 0
    password = capsys.readouterr().out.strip()
    assert len(password) == 20
    [line] = parse_phones(file.read_text())
    assert line.ha1 == hash_password(Algorithm.MD5, "201", "agency", password)


@pytest.mark.parametrize(
    ("user", "realm", "word", "reason"),
    [
        ('2"01', "agency", "x\n", "malformed"),
        ("201", "a\\b", "x\n", "malformed"),
        ("201", "agency", "", "no password"),
        ("202", "other", "x\n", "one realm"),
    ],
)
def test_what_goes_wrong_leaves_the_file_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    user: str,
    realm: str,
    word: str,
    reason: str,
) -> None:
    file = tmp_path / "phones.csv"
    monkeypatch.setattr(sys, "stdin", io.StringIO("good\n"))
    command("200", realm="agency", file=file)
    before = file.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.StringIO(word))
    with pytest.raises(AgentError, match=reason):
        command(user, realm=realm, file=file)
    assert file.read_bytes() == before


def test_a_file_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("x\nx\n"))
    file = tmp_path / "phones.csv"
    file.write_text("user,realm,algorithm,ha1,numbers\n")
    file.chmod(0o644)
    with pytest.raises(AgentError, match="chmod 600"):
        command("201", realm="agency", file=file)
    with pytest.raises(AgentError, match="cannot be written"):
        command("201", realm="agency", file=tmp_path / "none" / "phones.csv")


def test_on_a_terminal_the_password_is_asked_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    answers = iter(["one", "one", "one", "two"])
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: next(answers))
    file = tmp_path / "phones.csv"
    command("201", realm="agency", file=file)
    with pytest.raises(AgentError, match="differ"):
        command("201", realm="agency", file=file)
