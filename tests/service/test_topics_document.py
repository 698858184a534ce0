import json

import jsonschema
import msgspec
import pytest

from agent.service.topics_document import FOLDER, files
from tests.events.examples import EXAMPLES

MADE = files()


def test_the_files_are_what_the_code_says() -> None:
    """Else: .venv/bin/python scripts/make-topics."""
    there = {
        str(path.relative_to(FOLDER)): path.read_bytes()
        for path in [FOLDER / "TOPICS.md", *(FOLDER / "schemas").glob("*.json")]
    }
    assert there == MADE


def test_every_field_is_explained() -> None:
    lines = MADE["TOPICS.md"].decode().splitlines()
    assert [line for line in lines if line.endswith("|  |")] == []


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda e: type(e).__name__)
def test_what_is_published_is_of_its_schema(event: msgspec.Struct) -> None:
    kind = str(type(event).__struct_config__.tag)
    schema = json.loads(MADE[f"schemas/{kind}.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    told = json.loads(msgspec.json.encode(event))
    validator.validate(told)
    for name in told:
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({k: v for k, v in told.items() if k != name})
