import json

from agent.events.describing import COMMAND, describe, described, schema
from agent.events.topics import Topics
from tests.events.examples import EXAMPLES


def test_every_event_is_described() -> None:
    names = {one.name for one in described()}
    assert {type(event).__struct_config__.tag for event in EXAMPLES} <= names
    assert len(names) == len(described())


def test_topics_are_those_that_are_published_to() -> None:
    topics = Topics("h")
    by_name = {one.name: one for one in described()}
    for event in EXAMPLES:
        one = by_name[str(type(event).__struct_config__.tag)]
        told = one.topic.replace("<call_id>", "c-1").replace("<event>", "storage_away")
        assert topics.of(event) == f"recording-agent/h/{told}"


def test_a_section_says_where_and_what() -> None:
    [sealed] = [one for one in described() if one.name == "sealed"]
    text = describe(sealed)
    assert text.startswith(
        "### `calls/<call_id>/sealed`\n\nThe finished recording lies"
    )
    assert "| `verdict` | On its quality" in text
    assert "event_id" not in text
    assert "(retained)" not in text


def test_commands_have_a_schema() -> None:
    made = json.loads(schema(COMMAND))
    assert made["additionalProperties"] is False
    assert "host" in made["required"]
