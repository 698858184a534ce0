from pathlib import Path

import pytest

from agent.common.strict_toml import ConfigError
from agent.formats.age import KeyKind
from agent.service.config import load
from agent.service.material import read_material
from tests.cli.conftest import DiskSite, identity

NO_ROSTER = "roster.path is empty: nobody vouches for recipients, officers and hosts"


@pytest.fixture
def disk_site(tmp_path: Path) -> DiskSite:
    return DiskSite(tmp_path)


def mistakes(site: DiskSite) -> tuple[str, ...]:
    config = load(site.write())
    with pytest.raises(ConfigError) as caught:
        read_material(config, site.root)
    return caught.value.mistakes


def test_what_the_configuration_names_is_read(disk_site: DiskSite) -> None:
    config = load(disk_site.write())
    material = read_material(config, disk_site.root)
    assert len(material.people.quality()) == 2
    assert len(material.people.directory()) == 1
    [sound] = material.notices.values()
    assert material.notice_files == {
        sound.sha256: (disk_site.root / "fi.wav").read_bytes()
    }
    assert material.warnings[:2] == (
        NO_ROSTER,
        "1 officers have no key: quality staff only",
    )
    assert "RIFF" not in repr(material)


def test_one_key_is_not_enough(disk_site: DiskSite) -> None:
    disk_site.keys = disk_site.keys[:1]
    [mistake] = mistakes(disk_site)
    assert "at least two" in mistake
    disk_site.keys *= 2  # the same one twice is one
    [mistake] = mistakes(disk_site)
    assert "at least two" in mistake


def test_every_mistake_at_once(disk_site: DiskSite) -> None:
    disk_site.recipients = ("age1nonsense", str(identity().recipient()), "ssh-rsa x")
    disk_site.notices = ("sv.wav", "sv.wav", "fi.wav")
    disk_site.directory = "none.csv"
    found = mistakes(disk_site)
    starts = [mistake.split(":")[0] for mistake in found]
    assert starts.count("recording.recipients[0]") == 1
    assert starts.count("recording.recipients[2]") == 1
    assert "routes[0].notice" in starts
    assert "officers.directory" in starts


def test_secrets_may_come_from_the_service_manager(
    disk_site: DiskSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_site.peer = 'username = "agent"\npassword_file = "credential:trunk"'
    [mistake] = mistakes(disk_site)
    assert mistake.startswith("peers[0].password_file: credential:trunk: ")
    given = disk_site.root / "credentials"
    given.mkdir()
    (given / "trunk").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    material = read_material(load(disk_site.write()), disk_site.root)
    assert material.credentials.ours["trunk"].password == "s3cret"  # noqa: S105
    assert "s3cret" not in repr(material)


def test_classic_and_post_quantum_are_not_mixed(disk_site: DiskSite) -> None:
    disk_site.keys = [identity(), identity(KeyKind.POST_QUANTUM)]
    [mistake] = mistakes(disk_site)
    assert "mixed" in mistake
    assert "[1] is" in mistake


def test_a_notice_that_is_no_audio(disk_site: DiskSite) -> None:
    disk_site.notices = ("officers.csv",)
    [mistake] = mistakes(disk_site)
    assert mistake.startswith("routes[0].notice: ")


def test_a_notice_of_two_routes_is_read_once(disk_site: DiskSite) -> None:
    disk_site.notices = ("fi.wav", "fi.wav")
    config = load(disk_site.write())
    assert len(read_material(config, disk_site.root).notices) == 1


def test_a_directory_with_broken_lines(disk_site: DiskSite) -> None:
    disk_site.officers = "number,name\n201,One\n"
    [mistake] = mistakes(disk_site)
    assert mistake.startswith("officers.directory: ")


def test_officers_keys_that_open_nothing_are_told(disk_site: DiskSite) -> None:
    other = identity(KeyKind.POST_QUANTUM).recipient()
    disk_site.officers = (
        "number,name,recipient\n"
        f"201,One,{identity().recipient()}\n"
        f"202,Two,{other}\n"
        "203,Three,\n"
        "204,Four,age1nonsense\n"
    )
    config = load(disk_site.write())
    _, first, second, *_ = read_material(config, disk_site.root).warnings
    assert first.startswith("1 officers have no key")
    assert second.startswith("2 officers' keys are not")


def test_no_directory_is_a_warning(disk_site: DiskSite) -> None:
    disk_site.directory = ""
    config = load(disk_site.write())
    material = read_material(config, disk_site.root)
    assert len(material.people.directory()) == 0
    assert material.warnings[:2] == (
        "officers.directory is empty: no officer has a name",
        NO_ROSTER,
    )
