"""Events of calls, and of signalling to peers and phones."""

from typing import Final

from agent.common.catalogue.entry import Entry

CALLS: Final = (
    Entry(
        event="call_without_outcome",
        message_id="2a7f7c43985c4be19882faf798a70025",
        summary="An answered call is over and has had no outcome for a minute.",
        explanation="Nobody knows yet whether its recording is whole: its journal is"
        " not closed, or its row in the ledger is not.",
        remedy="Look for lines with the call's id, and at the spool's disk. A restart"
        " of the service settles it: what was journalled is sealed then.",
        cleared_by="call_outcome_known",
        by=("call_id",),
    ),
    Entry(
        event="invite_failed",
        message_id="3d3ad1f433ef4599a30768dd0ba7d441",
        summary="A new call was refused because of a mistake in the agent.",
        explanation="The caller heard 500. Other calls are not touched.",
        remedy="Report the line's error and where; restart only if it repeats.",
    ),
    Entry(
        event="call_failed",
        message_id="1823e8ddf54b4d5b9664b3c2d23e9ae0",
        summary="A call was ended because of a mistake in the agent.",
        explanation="Both parties were cut off; what was recorded until then is sealed."
        " Other calls are not touched.",
        remedy="Report the line's error and where, with the call's id.",
    ),
    Entry(
        event="call_stuck",
        message_id="9f8409f8daff4da09c4cf7a2d89fc428",
        summary="A failed call could not be ended.",
        explanation="Its phones may stay connected until a session timer ends them.",
        remedy="Report the line; if places for calls run out, restart the service:"
        " established calls go on.",
    ),
    Entry(
        event="segment_lost",
        message_id="5c936ad2e84e403c85d69aea167c84ad",
        summary="A part of a call is not recorded: its media worker died.",
        explanation="What was written before is sealed; the call goes on, and its"
        " outcome is partial.",
        remedy="Look why the worker died: media_worker_lost at the same time.",
    ),
    Entry(
        event="codecs_apart",
        message_id="b0a52e58fa4a4f4b946b3dc2690d4a95",
        summary="A call was ended: its two parties have no codec in common.",
        explanation="Both were asked for one, and neither agreed.",
        remedy="Let the codecs of the route, the trunk and the phones overlap.",
    ),
    Entry(
        event="going_on_unrecorded",
        message_id="d2825867cdb9442b88725d6b7ecaae4b",
        summary="A call goes on without being recorded.",
        explanation="Its recording failed, and the route's on_recording_failure lets"
        " it go on.",
        remedy="See the reason, and spool_refused or recording_failed before it.",
    ),
    Entry(
        event="notice_missing",
        message_id="610547306c77415f8981459998018e0a",
        summary="Nothing shows that the parties of a call beside us were told.",
        explanation="What its recording client sends is discarded, never written; the"
        " call itself goes on, and its outcome is exempt. If the line says recorded,"
        " the entry's on_notice_failure has it recorded all the same.",
        remedy="Have the client play the notice and say so, as the peer's [[siprec]]"
        " entry expects it in `notice`; or state there how the parties are told.",
        by=("peer",),
    ),
    Entry(
        event="parties_undecided",
        message_id="cf7775086ee24ce2892fe7ac1575ff91",
        summary="Nobody can tell officer and caller of a call beside us apart.",
        explanation="It is recorded, and sealed to quality staff and the recovery key;"
        " its tags say that they are undecided, and no officer can open it.",
        remedy="Put the officers into the directory under the numbers that the client"
        " names; or give the peer's [[siprec]] entry rules: officer, caller, calling.",
        by=("peer",),
    ),
    Entry(
        event="metadata_unread",
        message_id="da380e2b01464a188e53ddd71d884376",
        summary="A recording client tells more metadata than we have time to read.",
        explanation="It is recorded, and what it told is sealed unread with the audio."
        " Who is heard stays as it was told before; who was never told is undecided,"
        " and no officer can open it. The client is asked for all of it later.",
        remedy="See why the peer sends so much, or messages so large: it is broken, or"
        " somebody has it in hand. Lower its max_rate, or take its [[siprec]] entry"
        " away.",
        by=("peer",),
    ),
    Entry(
        event="media_not_authentic",
        message_id="1656009338114450822b3ba829660e57",
        summary="Media of a call is not authentic: it is neither heard nor recorded.",
        explanation="Packets do not fit the SRTP keys that were agreed: a broken phone,"
        " or somebody who sends into the call.",
        remedy="See whose leg it is, capture its traffic, update the phone or trunk.",
    ),
    Entry(
        event="rekey_refused",
        message_id="7b33e5e1108e428db64a98fed3da1d1e",
        summary="A peer refused a new SRTP key, and hears nothing any more.",
        explanation="Its old key was used up; without a new one nothing may be sent.",
        remedy="Find out why the peer refuses a re-INVITE with new keys.",
    ),
    Entry(
        event="identity_changes_too_often",
        message_id="2250f57c853c4741b537c42fa087d05a",
        summary="A call's parties change their identity too often to be followed.",
        explanation="Later changes are not in the recording's manifest.",
        remedy="Correct the PBX that sends a new P-Asserted-Identity again and again.",
    ),
    Entry(
        event="officer_key_unusable",
        message_id="732fdcfcc3e44ac4b69f737fd4efccff",
        summary="An officer's key cannot be used: recordings are sealed without it.",
        explanation="Quality staff and the recovery key open them; the officer cannot.",
        remedy="Correct the officer's recipient in the roster or the officers file.",
    ),
    Entry(
        event="credentials_refused",
        message_id="723dcbbf88b54dab8b4c8aaf4a5b5d40",
        summary="A peer does not accept our password.",
        explanation="Calls to it fail.",
        remedy="Correct the user and secret of the peer in the configuration, and"
        " reload.",
    ),
    Entry(
        event="locked_out",
        message_id="cad35d9a0fa04df9b6ddf42d907696c8",
        summary="A phone's account is locked after too many wrong passwords.",
        explanation="Somebody guesses passwords, or a phone has an old one.",
        remedy="See the line's source; correct the phone, or keep the stranger out by a"
        " firewall.",
        by=("peer",),
    ),
    Entry(
        event="peer_down",
        message_id="1462e58f1f6d480389d814ff4b07ec1d",
        summary="A peer does not answer.",
        explanation="Calls go to the next target of their routes; without one they"
        " fail.",
        remedy="Look at the peer, its address and the network between.",
        cleared_by="peer_up",
        by=("peer",),
    ),
    Entry(
        event="registration_failed",
        message_id="4783a75ac5c54435ab447f620de641e3",
        summary="We are not registered with a peer.",
        explanation="It sends us no calls until it accepts us; it is tried again.",
        remedy="See the line's status or reason; correct the account or the network.",
        cleared_by="registered",
        by=("peer",),
    ),
    Entry(
        event="accept_failed",
        message_id="833e0a7433bf4998a2521dddfa4c94c3",
        summary="A connection could not be accepted.",
        explanation="Most likely the process is out of file descriptors.",
        remedy="Raise LimitNOFILE of the unit, or lower [sip] max_connections.",
    ),
    Entry(
        event="keys_in_the_clear",
        message_id="29cee5b98a4d4b859f399d9cffea3ead",
        summary="SRTP keys of a call were passed on over a connection without TLS.",
        explanation="An exempt call passed us by without a media worker, and would have"
        " failed without its keys: who reads that network can hear it.",
        remedy="Let both peers use TLS; look why no media worker was up.",
        raises=False,
    ),
)
