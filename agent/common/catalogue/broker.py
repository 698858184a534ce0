"""Events of the way to the MQTT broker."""

from typing import Final

from agent.common.catalogue.entry import Entry

BROKER: Final = (
    Entry(
        event="broker_away",
        message_id="d35e33cab7c540b89da2c418f3932631",
        summary="The MQTT broker does not answer, or refuses us.",
        explanation="Calls and recordings are not touched. Events wait in the outbox.",
        remedy="See the reason; look at the broker, our password and certificate.",
        cleared_by="broker_back",
    ),
    Entry(
        event="event_refused",
        message_id="aa60ccaee9f54f2ba554843332b7cf25",
        summary="The broker refuses an event.",
        explanation="It stays in the outbox and is tried again; others go on.",
        remedy="Let the broker's access list allow what agent/events/TOPICS.md names.",
        cleared_by="events_accepted",
    ),
    Entry(
        event="events_dropped",
        message_id="5c707a98f3cd492a991fa064e901021c",
        summary="Events were dropped: the outbox is full, or they are too old.",
        explanation="Ledger and recordings have everything; the broker has not.",
        remedy="Bring the broker back, or raise the bounds in [mqtt].",
    ),
    Entry(
        event="outbox_unreadable",
        message_id="ea33f8375bdb45eeadaca61ac939b1d7",
        summary="The outbox of events cannot be read.",
        explanation="Events are not sent; they are written as before.",
        remedy="Look at the spool's file system.",
    ),
    Entry(
        event="status_refused",
        message_id="6bedee0096ed4308a3e4bde4b3442b79",
        summary="The broker refuses the host's status.",
        explanation="Whoever looks at the broker believes the host to be away.",
        remedy="Let the broker's access list allow what agent/events/TOPICS.md names.",
    ),
    Entry(
        event="answer_refused",
        message_id="e63bcd62fd854252a18fdd1071b0d6fb",
        summary="The broker refuses the answer to a command.",
        explanation="The command was carried out; who sent it does not hear so.",
        remedy="Let the broker's access list allow what agent/events/TOPICS.md names.",
    ),
    Entry(
        event="command_not_noted",
        message_id="07c744894dce4a1abaeaaeebd8481942",
        summary="A command from the broker could not be noted, so it was not done.",
        explanation="What is not noted could be repeated by whoever listens.",
        remedy="Look at the spool's file system.",
    ),
    Entry(
        event="broker_access_unreadable",
        message_id="c6463d4e0447452492e499548c17319c",
        summary="Certificate, key or password of the broker cannot be read.",
        explanation="Those read before are used on.",
        remedy="Correct the files that [mqtt] names, and who may read them.",
    ),
    Entry(
        event="event_unreadable",
        message_id="b6fb3fa9b333442d9e4b7fdd0cff0884",
        summary="An event in the outbox cannot be read; it is not sent.",
        explanation="A later version has written it. Later events of its call wait with"
        " it, others go on; it is dropped when it is too old.",
        remedy="Go back to the later version, if the events of these calls matter.",
    ),
    Entry(
        event="commands_not_heard",
        message_id="d98a29c805d74bbba771cf3879c49361",
        summary="The broker lets us hear no commands.",
        explanation="Events are sent; commands that are given over MQTT do nothing.",
        remedy="Let its access list allow the subscription, or set mqtt.commands = [].",
    ),
)
