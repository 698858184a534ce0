from datetime import timedelta
from pathlib import Path

from agent.identity.directory import Directory
from agent.identity.officers_file import officers_file, unsigned_changes
from tests.formats.rosters import TODAY, recipient, roster


def changes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "officers.csv"
    path.write_text(text)
    return unsigned_changes(Directory.load(path), roster())


def test_the_file_that_a_roster_writes_is_its_view(tmp_path: Path) -> None:
    text = officers_file(roster(), TODAY + timedelta(days=1))
    assert text.splitlines() == [
        "number,name,recipient",
        f"201,Otso,{recipient('otso')}",
        f"+358295000201,Otso,{recipient('otso')}",
        f"202,Meri,{recipient('meri')}",
    ]
    assert changes(tmp_path, text) == []


def test_another_written_form_of_a_number_is_no_change(tmp_path: Path) -> None:
    row = f"number,name,recipient\n0295 000201,Otso,{recipient('otso')}\n"
    assert changes(tmp_path, row) == []


def test_who_left_or_is_to_come_may_stand_there_still(tmp_path: Path) -> None:
    header = "number,name,recipient\n"
    for name in ("lumi", "meri"):
        row = f"202,{name.capitalize()},{recipient(name)}\n"
        assert changes(tmp_path, header + row) == []


def test_an_unsigned_change_is_named_by_line_and_field(tmp_path: Path) -> None:
    text = (
        "number,name,recipient\n"
        f"201,Mallory,{recipient('otso')}\n"
        "\n"
        f"+358295000201,Otso,{recipient('mallory')}\n"
        f"203,Mallory,{recipient('mallory')}\n"
        f"202,Mallory,{recipient('meri')}\n"
        "0295000299,Quinn,\n"
    )
    found = changes(tmp_path, text)
    assert found == [
        "line 2: name is not that of the signed roster",
        "line 4: recipient is not that of the signed roster",
        "line 5: number is no officer's in the signed roster",
        "line 6: name is not that of the signed roster",
        "line 7: number is no officer's in the signed roster",
    ]
