"""The INVITE to a leg that is to be rung: where it goes, who it says is calling."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from agent.call.commands import Invite
from agent.call.config import PeerConfig
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.legs import Legs
from agent.call.routing import Plan
from agent.call.session import CallSession
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.identity.tags import officer_number
from agent.model.call import CallDirection
from agent.signalling import b2bua
from agent.signalling.sip.contact import contact_of
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import NameAddr, Uri, parse_uri
from agent.signalling.transport import TransportError

UNREACHABLE: Final = 502
"For a caller it is one like any other network that fails."
_HIDES_FROM: Final = frozenset({"header", "id", "user"})
"Priv-values of RFC 3323 and RFC 3325 that withhold the caller's number."


class Inviter:
    """Rings targets on behalf of the party that rang, whose INVITE is `invite`.

    `called` is the number it dialled. `open_media(leg)` gives a leg its ports, and
    raises AgentError if there are none.
    """

    def __init__(
        self,
        joint: Joint,
        session: CallSession,
        legs: Legs,
        invite: Request,
        *,
        plan: Plan,
        called: str,
        log: FilteringBoundLogger,
        open_media: Callable[[Leg], Awaitable[None]],
    ) -> None:
        self._joint = joint
        self._session = session
        self._legs = legs
        self._invite = invite
        self._plan = plan
        self._called = called
        self._log = log
        self._open_media = open_media

    async def ring(self, command: Invite, facing: Leg) -> Leg | None:
        """Ring a target, which is to talk with `facing`; None if it cannot be rung."""
        try:
            return await self._ring(command.leg, command.target, facing)
        except (AgentError, ValueError) as error:
            self._log.warning("target_unreachable", leg=command.leg, reason=str(error))
            self._session.target_refused(
                command.leg, UNREACHABLE, self._joint.user_agent.now
            )
        return None

    async def _ring(self, name: str, target: str, facing: Leg) -> Leg:
        joint, first = self._joint, self._legs.first
        uri = parse_uri(target)
        number = self._number(uri)
        flows: Sequence[Flow] = await joint.user_agent.flows_to(uri)
        peer = joint.routes.peer_towards(uri, flows[0])
        if not self._legs.exempt:
            flows = _fit_for_keys(flows, peer)
        flow, *others = flows
        leg = Leg(
            name=name,
            session="",
            flow=flow,
            peer=peer,
            media_id=new_id(),
            target=target,
            number=number,
            from_user=uri.user or "",
        )
        self._legs.add(leg)
        await self._open_media(leg)
        if not first.media_open and not first.gone:
            # Both legs must be ready before either party can be let talk.
            await self._open_media(first)
        if not self._session.rings(name):
            leg.gone = True
            self._legs.close_media(leg)
            raise TransportError("the call went on without this leg.")
        leg.session = joint.user_agent.core.invite(
            uri=uri,
            flow=flow,
            from_=self._from_towards(leg, facing),
            to=NameAddr(None, uri, ()),
            contact=contact(leg),
            body=self._legs.offer_to_target(leg, facing),
            headers=self._headers_towards(leg, facing),
            max_forwards=b2bua.next_max_forwards(self._invite),
            alternatives=others,
            now=joint.user_agent.now,
        )
        return leg

    def _number(self, target: Uri) -> str:
        """The number of who is rung: as dialled where that leads to a target."""
        outbound = self._plan.direction is CallDirection.OUTBOUND
        if outbound and self._session.conversation is None:
            return self._called
        return officer_number(target)

    def _headers_towards(self, leg: Leg, facing: Leg) -> list[tuple[str, str]]:
        """What the first party says of itself, as long as it is who calls."""
        first = self._legs.first
        if facing is not first:
            return []
        return b2bua.pass_headers(
            self._invite, from_trusted=first.trusted, to_trusted=leg.trusted
        )

    def _from_towards(self, leg: Leg, facing: Leg) -> NameAddr:
        """Who calls, at our address, without its tag.

        RFC 3323 section 4.1: what it asks to be hidden ends at the last peer we trust.
        """
        ours = contact(leg)
        if facing is not self._legs.first:
            user = parse_uri(facing.target).user
            return NameAddr(None, Uri("sip", user, ours.host, ours.port), ())
        original = self._invite.from_
        user = original.uri.user
        hidden = not _HIDES_FROM.isdisjoint(b2bua.privacy_of(self._invite))
        if (
            not user
            or original.uri.host == "anonymous.invalid"
            or (hidden and not leg.trusted)
        ):
            return b2bua.anonymous_from()
        return NameAddr(original.display, Uri("sip", user, ours.host, ours.port), ())


def _fit_for_keys(flows: Sequence[Flow], peer: PeerConfig | None) -> Sequence[Flow]:
    """Those of `flows` that one INVITE may try in turn: all of them, or TLS alone.

    What is offered over TLS may hold SRTP keys, which nothing else may carry; but a
    call that must get through is tried by every way, whoever reads its keys.
    """
    secure = [flow for flow in flows if flow.transport == "tls"]
    required = peer is not None and peer.srtp == "require"
    return secure if secure and (required or flows[0] == secure[0]) else flows


def contact(leg: Leg, *, secure: bool = False) -> Uri:
    """Where a leg's peer reaches us; a SIPS URI asks for one (RFC 5630 section 5)."""
    return contact_of(leg.flow, secure=secure or leg.target.startswith("sips:"))
