"""The states of one call leg, as a table: RFC 3261 sections 9, 13 and 15.

The races are those of RFC 5407, whose Moratorium is ACCEPTED here, and whose Mortal
is ENDING.
"""

from collections.abc import Mapping
from enum import auto
from typing import Final

from agent.signalling.sip.symbol import Symbol


class State(Symbol):
    """Where one call leg stands."""

    CALLING = auto()
    "Our INVITE has no final response."
    CANCELLING = auto()
    "Nor is one wanted any more."
    ANSWERED = auto()
    "Its 2xx holds an offer; the ACK awaits our answer."
    INCOMING = auto()
    "The peer's INVITE has no final response."
    AWAITING_PRACK = auto()
    "Nor may it have our 2xx before the PRACK of a 1xx (RFC 3262 section 3)."
    ACCEPTED = auto()
    "Our 2xx to it has no ACK."
    LEAVING = auto()
    "Likewise, and the BYE must wait for it."
    CONFIRMED = auto()
    ENDING = auto()
    "Our BYE is under way."
    CLEARING = auto()
    "Likewise, and the application has been told that all is over."
    TERMINATED = auto()


class Input(Symbol):
    """What can happen to it."""

    RING = auto()
    ACCEPT = auto()
    ACCEPT_LATER = auto()
    "Once the PRACK has come."
    REFUSE = auto()
    ACKNOWLEDGE = auto()
    REOFFER = auto()
    HANG_UP = auto()
    RECV_1XX = auto()
    RECV_2XX = auto()
    RECV_2XX_OFFER = auto()
    "To an INVITE that had none."
    RECV_FAILURE = auto()
    "A 300-699, or none at all."
    RECV_CANCEL = auto()
    RECV_ACK = auto()
    RECV_REINVITE = auto()
    RECV_OFFER = auto()
    "An UPDATE or PRACK with a body."
    NO_PRACK = auto()
    "64*T1 after a reliable 1xx."
    RECV_REFER = auto()
    RECV_BYE = auto()
    NO_ACK = auto()
    "64*T1 after a 2xx."
    DIALOG_FAILED = auto()
    "Our re-INVITE got 481, 408 or nothing."
    EXPIRE = auto()
    "The session timer has run out (RFC 4028 section 10)."
    BYE_DONE = auto()
    "Our BYE has any final response, or will have none."


class Action(Symbol):
    """What it does about it."""

    NOTHING = auto()
    RESPOND = auto()
    ACCEPT = auto()
    TELL = auto()
    "Tell the application."
    ACKNOWLEDGE = auto()
    AWAIT_ACKNOWLEDGE = auto()
    ACKNOWLEDGE_AND_BYE = auto()
    CANCEL = auto()
    TERMINATE_INVITE = auto()
    "Answer it 487, or 504 where the PRACK is what has not come."
    BYE = auto()
    HOLD_BYE = auto()
    NEGOTIATE = auto()
    REFUSE_491 = auto()
    REFUSE_500 = auto()


# What is not in this table is not allowed and changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.CALLING, Input.RECV_1XX): (Action.TELL, State.CALLING),
    (State.CALLING, Input.RECV_2XX): (Action.ACKNOWLEDGE, State.CONFIRMED),
    (State.CALLING, Input.RECV_2XX_OFFER): (Action.AWAIT_ACKNOWLEDGE, State.ANSWERED),
    (State.CALLING, Input.RECV_FAILURE): (Action.TELL, State.TERMINATED),
    (State.CALLING, Input.HANG_UP): (Action.CANCEL, State.CANCELLING),
    (State.CALLING, Input.RECV_REINVITE): (Action.REFUSE_491, State.CALLING),
    (State.CALLING, Input.RECV_OFFER): (Action.NEGOTIATE, State.CALLING),
    (State.CALLING, Input.REOFFER): (Action.NEGOTIATE, State.CALLING),
    # The answer to an offer in a reliable 1xx, for the PRACK.
    (State.CALLING, Input.ACKNOWLEDGE): (Action.ACKNOWLEDGE, State.CALLING),
    # Section 9.1: the 2xx has crossed the CANCEL.
    (State.CANCELLING, Input.RECV_2XX): (Action.ACKNOWLEDGE_AND_BYE, State.CLEARING),
    (State.CANCELLING, Input.RECV_2XX_OFFER): (
        Action.ACKNOWLEDGE_AND_BYE,
        State.CLEARING,
    ),
    (State.CANCELLING, Input.RECV_FAILURE): (Action.TELL, State.TERMINATED),
    (State.ANSWERED, Input.ACKNOWLEDGE): (Action.ACKNOWLEDGE, State.CONFIRMED),
    # The offer in the 2xx is still unanswered.
    (State.ANSWERED, Input.RECV_REINVITE): (Action.REFUSE_491, State.ANSWERED),
    (State.ANSWERED, Input.RECV_OFFER): (Action.REFUSE_491, State.ANSWERED),
    (State.ANSWERED, Input.HANG_UP): (Action.ACKNOWLEDGE_AND_BYE, State.ENDING),
    (State.ANSWERED, Input.NO_ACK): (Action.ACKNOWLEDGE_AND_BYE, State.CLEARING),
    (State.ANSWERED, Input.RECV_BYE): (Action.TELL, State.TERMINATED),
    (State.INCOMING, Input.RING): (Action.RESPOND, State.INCOMING),
    (State.INCOMING, Input.ACCEPT): (Action.ACCEPT, State.ACCEPTED),
    (State.INCOMING, Input.ACCEPT_LATER): (Action.NOTHING, State.AWAITING_PRACK),
    (State.INCOMING, Input.REOFFER): (Action.NEGOTIATE, State.INCOMING),
    (State.AWAITING_PRACK, Input.ACCEPT): (Action.ACCEPT, State.ACCEPTED),
    **{
        (state, input_): (action, State.TERMINATED)
        for state in (State.INCOMING, State.AWAITING_PRACK)
        for input_, action in (
            (Input.REFUSE, Action.RESPOND),
            (Input.HANG_UP, Action.RESPOND),
            (Input.RECV_CANCEL, Action.TERMINATE_INVITE),
            (Input.RECV_BYE, Action.TERMINATE_INVITE),
            (Input.NO_PRACK, Action.TERMINATE_INVITE),
        )
    },
    # Section 14.2: a second INVITE before the first is answered.
    (State.INCOMING, Input.RECV_REINVITE): (Action.REFUSE_500, State.INCOMING),
    (State.INCOMING, Input.RECV_OFFER): (Action.NEGOTIATE, State.INCOMING),
    (State.AWAITING_PRACK, Input.RECV_REINVITE): (
        Action.REFUSE_500,
        State.AWAITING_PRACK,
    ),
    (State.AWAITING_PRACK, Input.RECV_OFFER): (Action.NEGOTIATE, State.AWAITING_PRACK),
    (State.ACCEPTED, Input.RECV_ACK): (Action.TELL, State.CONFIRMED),
    (State.ACCEPTED, Input.REOFFER): (Action.NEGOTIATE, State.ACCEPTED),
    # RFC 5407 section 3.1.4: the peer has our 2xx, only its ACK is late.
    (State.ACCEPTED, Input.RECV_REINVITE): (Action.NEGOTIATE, State.ACCEPTED),
    (State.ACCEPTED, Input.RECV_OFFER): (Action.NEGOTIATE, State.ACCEPTED),
    (State.ACCEPTED, Input.RECV_REFER): (Action.TELL, State.ACCEPTED),
    # Section 15: no BYE of ours before the ACK.
    (State.ACCEPTED, Input.HANG_UP): (Action.HOLD_BYE, State.LEAVING),
    (State.ACCEPTED, Input.NO_ACK): (Action.BYE, State.CLEARING),
    (State.ACCEPTED, Input.RECV_BYE): (Action.TELL, State.TERMINATED),
    (State.LEAVING, Input.RECV_ACK): (Action.BYE, State.ENDING),
    (State.LEAVING, Input.NO_ACK): (Action.BYE, State.ENDING),
    (State.LEAVING, Input.RECV_BYE): (Action.TELL, State.TERMINATED),
    (State.CONFIRMED, Input.REOFFER): (Action.NEGOTIATE, State.CONFIRMED),
    (State.CONFIRMED, Input.RECV_REINVITE): (Action.NEGOTIATE, State.CONFIRMED),
    (State.CONFIRMED, Input.RECV_OFFER): (Action.NEGOTIATE, State.CONFIRMED),
    (State.CONFIRMED, Input.RECV_REFER): (Action.TELL, State.CONFIRMED),
    # The ACK for the 2xx to a re-INVITE.
    (State.CONFIRMED, Input.RECV_ACK): (Action.TELL, State.CONFIRMED),
    (State.CONFIRMED, Input.HANG_UP): (Action.BYE, State.ENDING),
    (State.CONFIRMED, Input.RECV_BYE): (Action.TELL, State.TERMINATED),
    (State.CONFIRMED, Input.NO_ACK): (Action.BYE, State.CLEARING),
    (State.CONFIRMED, Input.DIALOG_FAILED): (Action.BYE, State.CLEARING),
    (State.CONFIRMED, Input.EXPIRE): (Action.BYE, State.CLEARING),
    # RFC 5407 section 3.2.1: BYE crosses BYE.
    (State.ENDING, Input.RECV_BYE): (Action.NOTHING, State.ENDING),
    (State.ENDING, Input.BYE_DONE): (Action.TELL, State.TERMINATED),
    (State.CLEARING, Input.RECV_BYE): (Action.NOTHING, State.CLEARING),
    (State.CLEARING, Input.BYE_DONE): (Action.NOTHING, State.TERMINATED),
}

OVER: Final = frozenset(
    {
        State.CANCELLING,
        State.LEAVING,
        State.ENDING,
        State.CLEARING,
        State.TERMINATED,
    }
)
"Nothing that the application asks for matters any more."
MORTAL: Final = OVER - {State.CANCELLING}
"For the peer there is no dialog any more, but to say BYE or a late PRACK in."
