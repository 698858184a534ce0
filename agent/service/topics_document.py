"""agent/events/TOPICS.md and its schemas, as `scripts/make-topics` writes them."""

from pathlib import Path
from typing import Final

import agent.events
from agent.events.describing import (
    COMMAND,
    Described,
    common,
    describe,
    described,
    schema,
)
from agent.service.command_desk import MAY, Answer

FOLDER: Final = Path(agent.events.__file__).parent
ANSWER: Final = Described("answer", "answers/<id>", Answer)

_HEAD: Final = """\
# Topics

Made by `scripts/make-topics` from the code: change that, not this. Each message is
one JSON object; its schema is `schemas/<name>.json` beside this file. What is not
named in a schema today may be added; nothing that is named changes its meaning.

All topics begin with `recording-agent/<host>/`, where `<host>` is `agent.name`, with
whatever has a meaning in topics escaped as in a URL. No topic, and no event but
`offered` and `answered`, holds anything of a person. What those two show of telephone
numbers, `mqtt.numbers` says: nothing, a masked form like `+35840***67` (the default),
or all of it. Whole numbers are never on disk: an event that was still waiting when
the process ended is sent with its masked ones.

MQTT 5, QoS 1. Every event comes at least once: who has seen its `event_id` has seen
it, and may drop what comes again, which is the same to the last byte but for numbers.
Events of one call come in the order of their `sequence`, those that come again aside;
between calls there is no order. A broker that is away costs nothing but time: events
wait on disk, `mqtt.max_events` of them, for `mqtt.max_age_days`. Beyond that the
oldest are dropped, which is an alarm (`events_dropped`), and which `sequence` shows.
One that the broker refuses (an ACL, a quota) waits with the later ones of its call
and is offered again, at least once a minute, while others go on; that is an alarm,
too (`event_refused`).

An event that tells of a change to the ledger was written in one transaction with that
change: there is neither ever without the other.

## All events have
"""

_COMMANDS: Final = """\
Signed documents (agent/formats/FORMAT.md, section 10.5): `recording-agent command`
makes them. The agent takes them only of people in its roster, by their `signing_key`,
and only the kinds that `mqtt.commands` names. What is retained, repeated, expired,
more than 30 seconds ahead, for another host, or not allowed is ignored: told in the
log (`command_ignored`), counted, and, where somebody of the roster had signed it,
audited, once a day however often it comes; there is no answer. What is carried out, or
refused by the call it is about, is audited and answered, and nowhere else than under
its own id.
"""

_ACL: Final = """\
## What a broker should allow

    user agent-of-host-a
    topic write recording-agent/host-a/#
    topic read recording-agent/host-a/commands/#

    user dashboard
    topic read recording-agent/#

    user operator
    topic write recording-agent/+/commands/#
    topic read recording-agent/+/answers/#
"""


def files() -> dict[str, bytes]:
    """Every file below agent/events, by its name there."""
    messages = [*described(), COMMAND, ANSWER]
    made = {f"schemas/{one.name}.json": schema(one) for one in messages}
    roles = ["| `type` | roles that may |", "|---|---|"]
    roles += [f"| `{kind}` | {', '.join(sorted(may))} |" for kind, may in MAY.items()]
    parts = [
        _HEAD,
        common(),
        "## Events\n",
        *(describe(one) for one in described()),
        "## Commands and answers\n",
        _COMMANDS,
        "\n".join(roles) + "\n",
        describe(COMMAND),
        describe(ANSWER),
        _ACL,
    ]
    made["TOPICS.md"] = "\n".join(parts).encode()
    return made
