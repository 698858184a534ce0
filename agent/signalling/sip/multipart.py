"""The session description of a message, and what else its body brought.

RFC 2046, RFC 5621. Emergency calls carry the caller's location beside the description,
recording sessions their metadata (RFC 7866 section 9), which is kept apart from the
body: what has no description is then no offer. A part we do not know is passed over
even where its handling is required (RFC 5621 section 5.3 would have us answer 415): a
call is worth more than a part that nobody here reads.
"""

from typing import TypeVar

from agent.signalling.sip.dialog import SDP
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.parts import MIXED
from agent.signalling.siprec.body import is_metadata_type, read_body

MessageT = TypeVar("MessageT", Request, Response)


def with_description_only(message: MessageT) -> MessageT:
    """`message` itself, or a copy whose body is its session description and no more.

    One of several parts without a description, or of metadata alone, comes back
    without a body: if it is an INVITE, it asks for our offer.
    """
    kind = message.content_type
    if kind != MIXED and not is_metadata_type(kind):
        return message
    read = read_body(message.headers.get("Content-Type") or "", message.body)
    single = message.copy()
    single.body = read.description
    if read.metadata:
        single.keep_apart(read.metadata, read.tolerated)
    single.headers.remove("Content-Type")
    if single.body:
        single.headers.set("Content-Type", SDP)
    return single
