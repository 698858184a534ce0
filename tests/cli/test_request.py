from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.access.requests import RequestedAct, RequestError, parse_request
from agent.common.errors import AgentError
from agent.formats.roster import Person, Roster
from agent.formats.sshsig import Namespace
from tests.formats import ssh_keygen
from tests.formats.rosters import ROOT, roster, signed

Run = Callable[..., int]
IDS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")


class Site:
    """Two approvers with key files of ssh-keygen, one of whom takes calls too."""

    def __init__(self, root: Path) -> None:
        self.root = root
        keys = root / "keys"
        keys.mkdir()
        self.quinn, self.dan, self.otso = (ssh_keygen.make_key(keys) for _ in range(3))
        holders = {"p-quinn": self.quinn, "p-dan": self.dan, "p-otso": self.otso}
        self.roster = root / "roster.signed"
        self.roster.write_bytes(signed(self._roster(holders)))
        self.trust = ("--roster", self.roster, "--root", str(ROOT.public))

    def _roster(self, holders: dict[str, Path]) -> Roster:
        def holding(person: Person) -> Person:
            if (key := holders.get(person.id)) is None:
                return person
            text = str(ssh_keygen.public_key(key))
            return msgspec.structs.replace(person, signing_key=text)

        return roster(people=tuple(map(holding, roster().people)))

    def path(self, name: str) -> Path:
        return self.root / name


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def make(site: Site, run: Run, *options: object) -> Path:
    path = site.path("request.json")
    run("request", "new", "erase", "--reason", "complaint", *options, "-o", path)
    return path


def test_two_sign_one_after_the_other(
    site: Site, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(site, run, "--id", IDS[1], "--id", IDS[0], "--reference", "D/2026-7")
    assert parse_request(made.read_bytes()).recordings == IDS
    once, twice = site.path("once"), site.path("twice")
    capsys.readouterr()
    run("request", "sign", made, "--key", site.quinn, "-o", once)
    seen = capsys.readouterr().err
    assert "act:         erase" in seen
    assert "reason:      complaint D/2026-7" in seen
    assert IDS[0] in seen
    assert run("request", "show", once, *site.trust) == 1
    shown = capsys.readouterr().err
    assert "signed by:   p-quinn" in shown
    assert "1 of the trusted keys signed, 2 must" in shown
    run("request", "sign", once, "--key", site.dan, "-o", twice)
    assert run("request", "show", twice, *site.trust) == 0
    assert "approved:    p-quinn, p-dan; 2 are needed" in capsys.readouterr().err


def test_two_sign_with_ssh_keygen(site: Site, run: Run) -> None:
    made = make(site, run, "--id", IDS[0])
    names = []
    for number, key in enumerate((site.quinn, site.dan)):
        names.append(site.path(f"{number}.sig"))
        armored = ssh_keygen.sign(key, Namespace.REQUEST, made.read_bytes())
        # As a mail program may leave it.
        names[-1].write_bytes(b"\n" + armored.replace("\n", "\r\n").encode())
    joined = site.path("joined")
    run("request", "join", made, *names, "-o", joined)
    assert run("request", "show", joined, *site.trust) == 0


def test_who_may_not_approve_is_told_by_id_and_counts_for_nothing(
    site: Site, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    document = make(site, run, "--id", IDS[0])
    for key in (site.quinn, site.otso, ssh_keygen.make_key(site.root)):
        signed_ = site.path(f"by-{key.name}-{key.parent.name}")
        run("request", "sign", document, "-k", key, "-o", signed_)
        document = signed_
    assert run("request", "show", document, *site.trust) == 1
    shown = capsys.readouterr().err
    assert "signed by:   p-otso" in shown
    assert "signed by:   SHA256:" in shown


def test_a_rule_says_which_recordings(
    site: Site, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site.path("leaver")
    rule = ("--first", "2026-01-01", "--last", "2026-05-31", "--person", "p-lumi")
    change = ("--loses", "p-lumi", "--gains", "p-meri")
    run("request", "new", "rewrap", "--reason", "leaver", *rule, *change, "-o", path)
    request = parse_request(path.read_bytes())
    assert request.act is RequestedAct.REWRAP
    assert (request.gains, request.loses) == (("p-meri",), ("p-lumi",))
    run("request", "sign", path, "-k", site.quinn, "-o", site.path("signed"))
    seen = capsys.readouterr().err
    assert "all from 2026-01-01 to 2026-05-31, where p-lumi took part" in seen
    assert "gains:       p-meri" in seen


def test_ids_may_come_from_a_file(site: Site, run: Run) -> None:
    ids = site.path("ids")
    ids.write_text("\n".join(reversed(IDS)) + "\n")
    made = make(site, run, "--ids", ids, "--id", IDS[0])
    assert parse_request(made.read_bytes()).recordings == IDS


def test_a_request_that_cannot_be_is_not_made(site: Site, run: Run) -> None:
    for options in (
        (),
        ("--id", "call.wav"),
        ("--id", IDS[0], "--days", "31"),
        ("--id", IDS[0], "--first", "2026-01-01"),
        ("--id", IDS[0], "--reference", "Matti Meikäläinen"),
    ):
        with pytest.raises(RequestError):
            make(site, run, *options)
        assert not site.path("request.json").exists()


def test_an_altered_request_is_not_signed_further(site: Site, run: Run) -> None:
    made = make(site, run, "--id", IDS[0])
    once = site.path("once")
    run("request", "sign", made, "--key", site.quinn, "-o", once)
    once.write_bytes(once.read_bytes().replace(b"complaint", b"confusion"))
    with pytest.raises(AgentError, match="not over these bytes"):
        run("request", "show", once, *site.trust)
    with pytest.raises(AgentError, match="not over these bytes"):
        run("request", "sign", once, "--key", site.dan, "-o", site.path("twice"))
