"""Events of the service on a telephony host: state, configuration, audit log."""

from typing import Final

from agent.common.catalogue.entry import Entry

HOST: Final = (
    Entry(
        event="health_lost",
        message_id="8f68fdca9cb043b39c107f00e9d76e57",
        summary="The service is stuck: systemd will end it and start another.",
        explanation="Established calls go on with the next process.",
        remedy="See the line's findings; report them, and look at the spool's disk.",
    ),
    Entry(
        event="process_failed",
        message_id="ef8772c860a943dda7d762db1733d116",
        summary="A process ended because of a mistake in the agent.",
        explanation="The service manager, or the main process, starts another one.",
        remedy="Report the line's error and where.",
    ),
    Entry(
        event="part_failed",
        message_id="4765d581cd224d03b08d7297d3318e24",
        summary="A part that must run for ever has failed: the service restarts.",
        explanation="Established calls go on where systemd keeps them; otherwise what"
        " was recorded is salvaged at the start.",
        remedy="Report the line's part, error and where.",
    ),
    Entry(
        event="task_failed",
        message_id="e419aa38b1f6436599d8ef8d94091fb9",
        summary="Something in the background failed.",
        explanation="What it was for has not been done; the line names it.",
        remedy="See the line's reason; else report its task, error and where.",
        by=("task",),
    ),
    Entry(
        event="library_error",
        message_id="19eb3102047648aea663a9a420d92c1a",
        summary="A library the agent uses reports an error.",
        explanation="The line names the library's logger; values are left out, for they"
        " may be personal.",
        remedy="Report the line.",
        by=("logger",),
    ),
    Entry(
        event="log_lines_dropped",
        message_id="b3535b29704847109623877a507956f1",
        summary="Lines of the log were dropped: nobody took them.",
        explanation="The journal, or whoever reads standard output, stood still. Calls"
        " are not held up by that; alarms were raised all the same.",
        remedy="Look at systemd-journald and its disk.",
    ),
    Entry(
        event="state_failed",
        message_id="484521c90348471082bc8f136ba196e7",
        summary="The state of a call cannot be kept over a restart.",
        explanation="The call goes on; a restart of the service would end it.",
        remedy="Report the line's error and where.",
    ),
    Entry(
        event="state_not_kept",
        message_id="6c457a3b2f0e4d809a4d3e25887d268b",
        summary="What a restart needs of calls does not fit into memory.",
        explanation="A restart of the service would end some calls; what they have"
        " recorded would be salvaged.",
        remedy="Raise [sip] max_calls to what is really carried, and restart when few"
        " calls are up.",
    ),
    Entry(
        event="state_unknown",
        message_id="c8336617eb8b40de9e10848607dc507b",
        summary="The state of the process before this one is not understood.",
        explanation="Its calls were ended, and their recordings salvaged: it was of"
        " another version, or several starts have failed with it.",
        remedy="After an upgrade that says so, nothing; else report the reason.",
    ),
    Entry(
        event="call_not_resumed",
        message_id="d3b37e0503d748a78a7e130bd5f9a219",
        summary="A call did not outlive the restart.",
        explanation="It was ended; what was recorded is sealed and partial.",
        remedy="If a route was removed, keep it until its calls are over; else report"
        " the line.",
    ),
    Entry(
        event="config_digest_lost",
        message_id="095cd0d60ba9433db17e7d24cddc7c3e",
        summary="It could not be noted which configuration runs.",
        explanation="The next start says again that it has changed.",
        remedy="Check the spool's file system.",
    ),
    Entry(
        event="audit_log_unusable",
        message_id="98945ca7bfe1465aa82cf0db251a9c7b",
        summary="The host's audit log cannot be continued; nothing is written to it.",
        explanation="Recording goes on. The log was altered, or the disk fails.",
        remedy="Keep the spool's audit folder as it is, find out who wrote to it, then"
        " move it aside and restart.",
    ),
    Entry(
        event="audit_row_lost",
        message_id="8b8a47e2ab3a436099c678b4796401d9",
        summary="A row of the host's audit log could not be written.",
        explanation="What was done is known from this line only.",
        remedy="Check the spool's file system; keep the journal of that time.",
    ),
    Entry(
        event="audit_mark_not_written",
        message_id="45c8283b311d4f808de19c6cf11a8d8e",
        summary="The mark that shows a cut-off audit log could not be written.",
        explanation="The log itself is whole.",
        remedy="Check the file system that holds the mark.",
    ),
    Entry(
        event="audit_log_not_stored",
        message_id="d04818c8a41e47dfaa96a3a34806028c",
        summary="The host's audit log does not reach storage; it is tried again.",
        explanation="It waits in the spool.",
        remedy="Run `recording-agent storage check`; see the line's reason.",
        cleared_by="audit_log_stored",
        by=("storage",),
    ),
    Entry(
        event="roster_refused",
        message_id="526726fdc72040fbb8a398e7c5f83682",
        summary="The roster cannot be used; the one before counts.",
        explanation="Nobody new has access, and nobody who left has lost it.",
        remedy="Correct what the line's reason says, and have it signed again.",
        cleared_by="roster_read",
    ),
    Entry(
        event="officers_file_not_of_roster",
        message_id="8b46157b0204443db58ea6b0229a2133",
        summary="The officers file says something that the roster has not signed.",
        explanation="The roster counts.",
        remedy="Bring both in line.",
        raises=False,
    ),
    Entry(
        event="configuration_not_reloaded",
        message_id="8fd31ad557df47fe851d4296bb9421d7",
        summary="The configuration has a mistake; the one before stays in use.",
        explanation="Nothing of what was read counts, and no call was touched.",
        remedy="Correct what the line's mistakes name, and reload again.",
        cleared_by="configuration_reloaded",
    ),
    Entry(
        event="storage_not_proven",
        message_id="02523b4f811049ec8fbdacd81550ef73",
        summary="A storage did not take the notice that a start brings to it.",
        explanation="Recording goes on; what is sealed waits in the spool.",
        remedy="Run `recording-agent storage check`; see the line's reason.",
        cleared_by="storage_back",
        by=("storage",),
    ),
)
