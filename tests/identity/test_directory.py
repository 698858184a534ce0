from pathlib import Path

import pytest

from agent.identity.directory import (
    MAX_FILE,
    MAX_MISTAKES,
    Directory,
    DirectoryError,
    OfficerEntry,
)
from agent.identity.numbers import IdentityConfig

HEADER = "number,name,recipient\n"


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "officers.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def mistakes(tmp_path: Path, text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(DirectoryError) as caught:
        Directory.load(write(tmp_path, text))
    return caught.value.mistakes


def test_officers_are_found_by_number(tmp_path: Path) -> None:
    directory = Directory.load(
        write(tmp_path, HEADER + '201,"Meikäläinen, Matti",age1abc\n202,Officer Two,\n')
    )
    assert len(directory) == 2
    first = directory.lookup("201")
    assert first == OfficerEntry("201", "Meikäläinen, Matti", "age1abc")
    second = directory.lookup("202")
    assert second is not None
    assert second.recipient == ""
    assert directory.lookup("203") is None
    assert directory.lookup("withheld") is None
    assert [entry.number for entry in directory] == ["201", "202"]


def test_a_number_is_found_in_any_of_its_forms(tmp_path: Path) -> None:
    directory = Directory.load(write(tmp_path, HEADER + "029 541 9601,A,\n"))
    for number in ("0295419601", "+358295419601", "00358295419601"):
        entry = directory.lookup(number)
        assert entry is not None
        assert entry.number == "029 541 9601"


def test_the_configured_country_counts(tmp_path: Path) -> None:
    sweden = IdentityConfig(country_code="46")
    path = write(tmp_path, HEADER + "081234567,A,\n")
    directory = Directory.load(path, config=sweden)
    assert directory.lookup("+4681234567") is not None
    assert directory.lookup("+35881234567") is None


def test_nobody_shows_in_repr() -> None:
    entry = OfficerEntry("201", "Matti", "age1abc")
    assert repr(entry) == "OfficerEntry(…)"
    assert repr(Directory((entry,))) == "Directory(1 officers)"


def test_an_empty_directory_knows_nobody() -> None:
    assert Directory(()).lookup("201") is None


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + "201,A,\r\n",
        "Recipient, Name ,NUMBER\n,A,201\n",
        HEADER + "\n , ,\n 201 , A ,\n\n",
    ],
)
def test_what_spreadsheets_write_is_understood(tmp_path: Path, text: str) -> None:
    directory = Directory.load(write(tmp_path, text))
    assert list(directory) == [OfficerEntry("201", "A", "")]


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "201,A,\n")
    assert Directory.load(path).lookup("202") is None
    write(tmp_path, HEADER + "202,B,\n")
    assert Directory.load(path).lookup("202") is not None


def test_every_bad_line_is_named_at_once_and_none_is_quoted(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        HEADER
        + "201,Matti,\n"
        + ",Matti,\n"
        + "202,,\n"
        + "203,Matti\n"
        + "204,Matti,age1abc,x\n"
        + "+358 201,Matti,not a key\n"
        + f"205,Matti,{'x' * 5000}\n"
        + f"{'2' * 65},Matti,\n"
        + '206,"Mat\nti",\n'
        + "201,Matti,\n",
    )
    assert [line.partition(":")[0] for line in found] == [
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
        "line 8",
        "line 9",
        "line 11",
        "line 12",
    ]
    assert "Matti" not in str(found)
    assert "already" in found[-1]


def test_the_same_number_in_two_forms_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(tmp_path, HEADER + "0295419601,A,\n+358295419601,B,\n")
    assert found == ("line 3: the number stands above already",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1 must be the header number,name,recipient"),
        ("201,A,\n", "line 1 must be the header number,name,recipient"),
        ("number;name;recipient\n", "line 1 must be the header number,name,recipient"),
        (HEADER.encode() + b"201,M\xe4tti,\n", "the file is not UTF-8"),
        (HEADER + '201,"A,\n', "line 2: unexpected end of data"),
        (b"x" * (MAX_FILE + 1), "the file is too large"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    assert mistakes(tmp_path, text) == (expected,)


def test_another_kind_of_file_is_not_listed_line_by_line(tmp_path: Path) -> None:
    assert len(mistakes(tmp_path, HEADER + "x\n" * 1000)) == MAX_MISTAKES


def test_a_missing_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError) as caught:
        Directory.load(tmp_path / "absent.csv")
    assert "No such file" in str(caught.value)
    assert caught.value.hint in str(caught.value)
