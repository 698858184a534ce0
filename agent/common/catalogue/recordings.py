"""Events of recordings: spool, sealing, keys, storage."""

from typing import Final

from agent.common.catalogue.entry import Entry

RECORDINGS: Final = (
    Entry(
        event="ledger_unwritable",
        message_id="a343d522d871468a8647df6b66f08748",
        summary="The ledger cannot be written.",
        explanation="Calls whose route says so are refused, because nobody could prove"
        " what became of them; recordings are still sealed and stored.",
        remedy="Look at the spool's file system: full, read-only or broken.",
    ),
    Entry(
        event="ledger_set_aside",
        message_id="2f258c664aed46f5854c53d5392a0b89",
        summary="The ledger was damaged; a new one was begun.",
        explanation="The old one is kept beside it. No recording is lost by it.",
        remedy="Keep the file that the line names; check the disk.",
    ),
    Entry(
        event="spool_refused",
        message_id="967afa8e647743c29b50bfdbfdcd831a",
        summary="A call cannot be recorded: the spool takes nothing new.",
        explanation="It is full, above its high-water mark, not writable, or too many"
        " recordings wait to be finished.",
        remedy="See the line's reason; make room, or bring storage back so that the"
        " spool empties.",
    ),
    Entry(
        event="spool_high_water",
        message_id="e5b6d9eccfb948198904298e4b875ae3",
        summary="The spool is fuller than its high-water mark.",
        explanation="New recordings are refused until it is emptier.",
        remedy="Bring storage back; remove what is not the agent's from that disk, or"
        " enlarge it.",
        cleared_by="spool_below_high_water",
    ),
    Entry(
        event="spool_unreadable",
        message_id="4db6074d85504a129db52ca1f226ba22",
        summary="The spool's file system cannot be measured.",
        explanation="Nobody knows how full it is; new recordings may fail.",
        remedy="Check the mount and its disk.",
        cleared_by="spool_readable",
    ),
    Entry(
        event="envelope_not_removed",
        message_id="d04eed52f637461aa920f3ab7e864d74",
        summary="What is left of a recording that is not kept could not be removed.",
        explanation="Nothing was written of it, or it was discarded: who must never be"
        " recorded was in it. The next start on a sound file system removes it.",
        remedy="Check the spool's file system.",
    ),
    Entry(
        event="finishing_failed",
        message_id="60155fb260ac4e15b242d05195d6e573",
        summary="A recording could not be finished; it is tried again.",
        explanation="Its journal is whole and waits in the spool.",
        remedy="See the line's reason; most often the disk is full or broken.",
        cleared_by="sealed",
        by=("recording_id",),
    ),
    Entry(
        event="finishing_impossible",
        message_id="daa09c6297924272829cf61bfc89c152",
        summary="A recording's journal cannot be finished here.",
        explanation="It is stored as it is, with its envelope; `recording-agent open`"
        " may finish it where the key is.",
        remedy="Open it, and report the line's reason.",
    ),
    Entry(
        event="sealed_unfinished",
        message_id="a48eb9703beb41ccb6366f3e66458c38",
        summary="A recording was sealed unfinished.",
        explanation="Its journal goes to storage with its envelope.",
        remedy="Open it with `recording-agent open`, which finishes it.",
    ),
    Entry(
        event="finisher_stalled",
        message_id="62b4ef6b33674f458766b497d3e32d26",
        summary="A finisher stood still and was ended.",
        explanation="Its recording is begun anew by another.",
        remedy="Look at the spool's disk: it does not answer.",
    ),
    Entry(
        event="finishing_behind",
        message_id="11199fad036a485bb64c7064b3e1f8b4",
        summary="Too many recordings wait to be finished.",
        explanation="New recordings are refused until there are fewer.",
        remedy="Raise [recording] finishers, or give the host more processor.",
        cleared_by="finishing_caught_up",
    ),
    Entry(
        event="not_recovered",
        message_id="b2495670884b4899bf0d30e7aada8ed2",
        summary="Something of an earlier run could not be salvaged.",
        explanation="left: it stays in the spool; quarantined: it was moved aside.",
        remedy="Keep it, look at the spool's quarantine folder, and check the disk.",
    ),
    Entry(
        event="day_key_missing",
        message_id="55c1f10bb41d4d5496a00ea827ff4a9d",
        summary="There is no key for a day: its recordings stay in the spool.",
        explanation="Without the gate's layer nothing goes to storage.",
        remedy="Bring the gate's newest list of day keys, and reload.",
        cleared_by="protection_reloaded",
    ),
    Entry(
        event="day_keys_running_out",
        message_id="2a37a3df865443998c16f3d73e6e651e",
        summary="Few coming days have a key.",
        explanation="When there is none, recordings stay in the spool.",
        remedy="Bring the gate's newest list of day keys, and reload.",
        cleared_by="protection_reloaded",
    ),
    Entry(
        event="index_key_missing",
        message_id="bd2628008d694a448b62d91214531266",
        summary="A month's index key is missing: recordings cannot be found by number.",
        explanation="They are recorded, sealed and stored all the same.",
        remedy="Bring what `recording-agent-gate keyring index-keys` prints, and"
        " reload.",
        cleared_by="protection_reloaded",
    ),
    Entry(
        event="protection_not_reloaded",
        message_id="c79b295a93dc462f8ff075402aaadf0b",
        summary="New keys or lists cannot be used; the old ones stay.",
        explanation="Recording goes on as before.",
        remedy="Correct the files that the line's reason names, and reload.",
        cleared_by="protection_reloaded",
    ),
    Entry(
        event="serial_not_remembered",
        message_id="85beb162d4824360bcf9ba2ce6815efe",
        summary="The serial of a new list of day keys could not be noted.",
        explanation="After a restart an older list would be believed.",
        remedy="Check the spool's file system.",
    ),
    Entry(
        event="addressees_damaged",
        message_id="4ebd577c6d654a02beb481cce93a1fc1",
        summary="What is known of a recording's recipients is damaged.",
        explanation="Its seal does not name them; the recording itself is whole.",
        remedy="Check the disk.",
    ),
    Entry(
        event="seal_damaged",
        message_id="0bcaac532fab444ca6771934800078ba",
        summary="The seal of a recording that waits in the spool is damaged.",
        explanation="The chain of seals goes on without it, and verification says so.",
        remedy="Check the disk; keep the recording's folder in the spool.",
    ),
    Entry(
        event="seal_chain_damaged",
        message_id="ea7064a93e0d494b971c5f9de4d143bc",
        summary="The head of the chain of seals was damaged; a new chain begins.",
        explanation="Older seals stay valid; verification shows two chains.",
        remedy="Check the disk, and who can write the spool.",
    ),
    Entry(
        event="storing_failed",
        message_id="af5916dfa365433da3b9511ecbbc8b12",
        summary="Storage does not take a recording; it is tried again.",
        explanation="Recording goes on; what is sealed waits in the spool.",
        remedy="Run `recording-agent storage check`; see the line's reason.",
        cleared_by="storage_back",
        by=("storage",),
    ),
    Entry(
        event="recording_not_storable",
        message_id="5ae634d125df4b74bccf620259951f60",
        summary="A recording cannot be stored as it is; others are not held up.",
        explanation="There is no key for its day, or storage holds something else under"
        " its name. It stays in the spool, and is tried again now and then.",
        remedy="See the line's reason; two hosts of one name, or somebody who writes"
        " into storage, make such objects.",
        by=("storage",),
    ),
)
