"""What shows that the parties of a call recorded beside were told of it: sans-IO.

Telling them is the client's duty (RFC 7866 section 6.1.2, RFC 7866 section 12.2): we
hear no notice and play none. What counts as shown is the operator's decision, and the
recording says which.
"""

from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.people import said
from agent.call.siprec.rules import RuleKind, fits
from agent.model.recording import NoticeStatement
from agent.signalling.sip.message import Request
from agent.signalling.siprec.metadata_state import MetadataState


def notice_of(
    state: MetadataState, invite: Request, rules: SiprecConfig
) -> NoticeStatement:
    """The evidence there is now; `given` is False as long as there is none.

    A header counts in the INVITE that began the session; extension data anywhere in
    the metadata, the participants' own included.
    """
    if rules.statement:
        return NoticeStatement(basis="statement", given=True, detail=rules.statement)
    rule = rules.notice_rule
    if rule.kind is RuleKind.HEADER:
        basis, values = "header", iter(invite.headers.get_all(rule.name))
    else:
        own = [
            extension
            for one in state.present
            for extension in one.participant.extensions
        ]
        basis, values = "metadata", said([*state.extensions, *own], rule.name)
    given = any(value.strip() and fits(rule.pattern, value) for value in values)
    return NoticeStatement(basis=basis, given=given, detail=rule.name)
