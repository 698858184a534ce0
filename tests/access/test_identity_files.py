import os
from pathlib import Path

import pytest

from agent.access.identity_files import IdentityFileError, read_identities
from agent.formats.age import (
    KeyKind,
    NoMatchError,
    generate_identity,
    identity_file,
    protect_identity_file,
)


def never(prompt: str) -> str:
    pytest.fail(f"asked: {prompt}")


def test_keys_of_several_files_and_a_passphrase_that_is_asked_for(
    tmp_path: Path,
) -> None:
    keys = [generate_identity(KeyKind.CLASSIC, os.urandom) for _ in range(2)]
    plain, locked = tmp_path / "plain.txt", tmp_path / "locked.txt"
    plain.write_text(identity_file(keys[0]))
    text = identity_file(keys[1])
    locked.write_bytes(protect_identity_file(text, "correct horse", os.urandom, 10))
    assert [str(one.recipient()) for one in read_identities([plain], never)] == [
        str(keys[0].recipient())
    ]
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return "correct horse"

    found = read_identities([plain, locked], ask)
    assert [one.encode() for one in found] == [one.encode() for one in keys]
    assert prompts == [f"Passphrase of {locked}: "]
    with pytest.raises(NoMatchError):
        read_identities([locked], lambda _: "wrong")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(IdentityFileError, match="cannot be read"):
        read_identities([tmp_path / "none"], never)
