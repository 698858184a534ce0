import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.roster_template import template
from agent.common.errors import AgentError
from agent.common.strict_toml import ConfigError
from agent.formats.roster import RosterError
from agent.formats.roster_reading import parse_roster
from agent.formats.sshsig import Namespace
from agent.identity.directory import Directory
from tests.formats import ssh_keygen
from tests.formats.rosters import ROOT, recipient, roster, signed, signing_key

Run = Callable[..., int]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "roster.signed"
    path.write_bytes(signed())
    return path


@pytest.fixture
def config(tmp_path: Path, file: Path) -> Path:
    """Any configuration, of which the section alone is read."""
    path = tmp_path / "any.toml"
    path.write_text(f'[roster]\npath = "{file.name}"\nroot = "{ROOT.public}"\n[else]\n')
    return path


def test_a_root_holder_fills_encodes_signs_joins_and_checks(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ssh_keygen.make_key(tmp_path)
    toml, line = tmp_path / "roster.toml", tmp_path / "roster.json"
    joined, sig = tmp_path / "roster.signed", tmp_path / "roster.json.sig"
    run("roster", "new", "-o", toml)
    text = toml.read_text()
    text = text.replace("age1pq1…", recipient("recovery"), 1)
    text = text.replace("age1pq1…", recipient("quinn"), 1)
    text = text.replace('name = "" ', 'name = "Quinn" ')
    text = text.replace("ssh-ed25519 …", str(signing_key("host").public), 1)
    text = text.replace("ssh-ed25519 …", str(signing_key("gate").public), 1)
    toml.write_text(text)
    run("roster", "encode", toml, "-o", line)
    sig.write_text(ssh_keygen.sign(root, Namespace.ROSTER, line.read_bytes()))
    run("roster", "join", line, sig, "-o", joined)
    capsys.readouterr()
    run("roster", "check", joined, "--root", f"{root}.pub")
    shown, told = capsys.readouterr()
    assert "fewer than 2 approvers" in told
    assert "nobody is dpo today" in told
    assert shown.startswith("serial 1 of 20")
    assert "quality: 1\n" in shown
    assert "hosts: 1\n" in shown


def test_the_template_is_toml_and_names_what_is_to_be_filled(
    tmp_path: Path, run: Run
) -> None:
    text = template("2026-11-29T12:00:00Z")
    assert set(tomllib.loads(text)["people"][0]) == set(
        roster().people[0].__struct_fields__
    )
    path = tmp_path / "roster.toml"
    path.write_text(text)
    with pytest.raises(RosterError, match=r"people\[0\] \(p-quality-1\).name"):
        run("roster", "encode", path)


def test_mistakes_of_form_are_named_by_their_place(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "roster.toml"
    path.write_text('serial = "x"\n[[people]]\nid = "p-a"\nage = 3\n')
    with pytest.raises(ConfigError) as caught:
        run("roster", "encode", path)
    found = caught.value.mistakes
    assert "people[0].age: unknown key" in found
    assert "people[0].name: missing" in found
    assert any(mistake.startswith("serial: ") for mistake in found)


def test_the_next_roster_begins_with_the_last(
    tmp_path: Path, run: Run, file: Path
) -> None:
    toml, line = tmp_path / "next.toml", tmp_path / "next.json"
    run("roster", "new", "--from", file, "-o", toml)
    run("roster", "encode", toml, "-o", line)
    found = parse_roster(line.read_bytes())
    assert found.serial == 8
    assert found.people == roster().people
    assert (found.hosts, found.gate) == (roster().hosts, roster().gate)


def test_a_signature_for_something_else_is_not_joined(tmp_path: Path, run: Run) -> None:
    line, sig = tmp_path / "roster.json", tmp_path / "sig"
    line.write_bytes(roster().to_bytes())
    for other in (
        ROOT.sign(b"else\n", Namespace.ROSTER),
        ROOT.sign(line.read_bytes(), Namespace.SEAL),
        "junk",
    ):
        sig.write_text(other)
        with pytest.raises(AgentError, match=f"^{sig}: "):
            run("roster", "join", line, sig)
    with pytest.raises(AgentError, match="No signature is given"):
        run("roster", "join", line)


def test_people_are_shown_without_their_names(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("roster", "show", "-c", config)
    shown = capsys.readouterr().out
    assert "p-otso" in shown
    assert "Otso" not in shown.replace("p-otso", "")
    run("roster", "show", "-c", config, "--names")
    assert "Otso" in capsys.readouterr().out


def test_the_file_of_officers_is_written_from_the_roster(
    tmp_path: Path, run: Run, config: Path
) -> None:
    path = tmp_path / "officers.csv"
    run("roster", "officers", "-c", config, "-o", path)
    assert Directory.load(path).lookup("201") is not None


def test_an_altered_roster_is_not_shown(run: Run, config: Path, file: Path) -> None:
    file.write_bytes(signed().replace(b"Otso", b"Olli"))
    for verb in ("check", "show", "officers"):
        with pytest.raises(RosterError, match="its signature"):
            run("roster", verb, "-c", config)


def test_which_roster_counts_must_be_said(
    tmp_path: Path, run: Run, file: Path, config: Path
) -> None:
    with pytest.raises(AgentError, match="Which roster counts"):
        run("roster", "check", file)
    other = str(signing_key("other").public)
    with pytest.raises(RosterError, match="its signature"):
        run("roster", "check", "-c", config, "--root", other)
    config.write_text("[roster]\npaht = 1\n")
    with pytest.raises(ConfigError, match=r"roster\.paht"):
        run("roster", "check", "-c", config)


def test_no_file_is_written_over(tmp_path: Path, run: Run) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(AgentError, match="does not exist yet"):
        run("roster", "new", "-o", there)
    assert there.read_text() == "mine"
