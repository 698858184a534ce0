import re

import pytest

from agent.cli.manual import PROGRAMS, Program, manual, options, verbs


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> Program:
    return PROGRAMS[request.param]()


@pytest.fixture(scope="module")
def page(program: Program) -> str:
    return manual(program)


@pytest.fixture(scope="module")
def read(page: str) -> str:
    """As somebody reads it: without fonts, orders and escapes."""
    text = re.sub(r"\\f[BIR]", "", page)
    text = re.sub(r"\\\[u([0-9A-F]{4})\]", lambda m: chr(int(m[1], 16)), text)
    return text.replace("\\-", "-").replace("\\(aq", "'").replace("\\(ga", "`")


def test_every_verb_and_every_option_is_in_it(program: Program, read: str) -> None:
    found = list(verbs(program.app))
    assert len(found) > (40 if program.name == "recording-agent" else 8)
    parts = {part.partition("\n")[0]: part for part in read.split(".SS ")[1:]}
    for words, command in found:
        part = parts[" ".join(words)]
        assert f"{program.name} {' '.join(words)}" in part
        for option in options(command):
            for name in option.names:
                if name.startswith("-"):
                    assert re.search(rf"{re.escape(name)}\b", part), (words, name)


def test_nothing_is_left_unsaid(page: str) -> None:
    lines = page.splitlines()
    for index, line in enumerate(lines):
        if line == ".TP":
            term, text = lines[index + 1 : index + 3]
            assert term.strip()
            assert text.strip(), term
            assert not text.startswith(".T"), term
    for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "FILES"):
        assert f".SH {title}" in page


def test_it_is_roff_and_nothing_else(program: Program, page: str) -> None:
    assert page.isascii()
    orders = {line.split()[0] for line in page.splitlines() if line.startswith(".")}
    assert orders <= {".TH", ".SH", ".SS", ".B", ".I", ".PP", ".TP", ".IP"}
    escapes = set(re.findall(r"\\(?:\[u[0-9A-F]{4,6}\]|\(\w\w|.)", page))
    assert all(
        re.fullmatch(r"\\(f|-|e|&|\((aq|ga)|\[u[0-9A-F]+\])", e) for e in escapes
    )
    assert page == manual(program)
