"""Events of media workers and of what they capture."""

from typing import Final

from agent.common.catalogue.entry import Entry

MEDIA: Final = (
    Entry(
        event="media_worker_lost",
        message_id="4f7855cdd98e4361b2c30cda5409f447",
        summary="A media worker has died.",
        explanation="Its calls are taken over by another within a fraction of a second;"
        " their recordings have a gap and are partial.",
        remedy="Look in the journal of the worker's unit for why; if memory ran"
        " out, give the host more or lower [sip] max_calls.",
        cleared_by="media_worker_ready",
        by=("worker",),
    ),
    Entry(
        event="media_worker_hung",
        message_id="24864af14ffa471d8f52f308e3c65c46",
        summary="A media worker stood still and was ended.",
        explanation="Another takes its calls; their recordings have a gap.",
        remedy="Look at the host's load and the spool's disk.",
    ),
    Entry(
        event="media_worker_given_up",
        message_id="f05bafdf43294c1690ebb409371446bf",
        summary="A media worker dies again and again, and is given a rest.",
        explanation="Until it is tried again there is one worker less.",
        remedy="Look in the journal of the worker's unit for why it dies.",
        cleared_by="media_worker_ready",
        by=("worker",),
    ),
    Entry(
        event="media_worker_not_started",
        message_id="fc4141e7c9b947aaa4a72ff2b058fb9f",
        summary="A media worker could not be started.",
        explanation="It is tried again; with none up, calls are refused.",
        remedy="See the line's reason; free memory or raise the unit's limits.",
        cleared_by="media_worker_ready",
    ),
    Entry(
        event="spare_worker_not_started",
        message_id="cc8ca57995d243a0bb0c70360c64cc25",
        summary="The spare media worker could not be started; it is tried again.",
        explanation="If a worker dies meanwhile, its calls wait longer for another.",
        remedy="See the line's reason; free memory or raise the unit's limits.",
    ),
    Entry(
        event="media_worker_unreachable",
        message_id="0a9300359ef844a79a9c9a9e1fb4dd7c",
        summary="A media worker's unit does not answer at its socket.",
        explanation="There is one worker less than configured.",
        remedy="Start the worker's unit of the number in the line's socket.",
        by=("socket",),
    ),
    Entry(
        event="recording_failed",
        message_id="aecec92efc0e4f1fb43ebfab17111b7c",
        summary="A recording broke off.",
        explanation="What was written is sealed; the route's on_recording_failure says"
        " whether the call goes on.",
        remedy="See the line's reason: a full or broken disk, or a worker that died.",
    ),
    Entry(
        event="open_block_not_kept",
        message_id="cb36309ade7f4f208e42a4dee4269819",
        summary="The last second of a recording is not safe from a worker's death.",
        explanation="No memory could be had that outlives the worker.",
        remedy="Raise LimitMEMLOCK of the unit, or give the host more memory.",
    ),
)
