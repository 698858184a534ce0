from pathlib import Path

import msgspec
import pytest

from agent.common.strict_toml import ConfigError, decode_struct, read_toml


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: int

    def __post_init__(self) -> None:
        if self.port < 1:
            raise ValueError("port must be 1 at least")


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    inner: Inner = Inner(port=1)
    many: tuple[Inner, ...] = ()


def decoded(raw: object) -> tuple[Outer | None, list[str]]:
    mistakes: list[str] = []
    return decode_struct(Outer, raw, "", mistakes), mistakes


def test_a_table_becomes_a_struct() -> None:
    whole = {"name": "a", "inner": {"port": 2}, "many": [{"port": 3}]}
    found = Outer(name="a", inner=Inner(port=2), many=(Inner(port=3),))
    assert decoded(whole) == (found, [])


def test_no_mistake_hides_another() -> None:
    wrong = {"nam": "a", "inner": {"port": 0}, "many": [{"port": "x"}, {"port": 1}, 3]}
    found, mistakes = decoded(wrong)
    assert found is None
    assert mistakes == [
        "nam: unknown key",
        "name: missing",
        "inner: port must be 1 at least",
        "many[0].port: Expected `int`, got `str`",
        "many[2]: a table is expected",
    ]
    assert decoded({"name": "a", "many": {}})[1] == [
        "many: an array of tables is expected"
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(path)
    path.write_text("= 1")
    with pytest.raises(ConfigError, match="Correct the file"):
        read_toml(path)
    path.write_text("a = 1")
    assert read_toml(path) == {"a": 1}
